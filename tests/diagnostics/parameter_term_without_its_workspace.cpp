// expect-error: but no static scratch_elements
#include "radapt/backend/onednn/all.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

struct Term {
  static constexpr auto name = "mine";
  double strength = 1.0;
  static bool reaches(std::string_view tensor) { return tensor == "visual.proj"; }
  radapt::Index scratch_elements(radapt::Index, radapt::Index) const { return 0; }
  template <class T>
  void add(auto&, radapt::Matrix<T>, radapt::Matrix<const T>, T*, double*) const {}
};

}  // namespace

using Recipe = radapt::Recipe<radapt::Clip<Small>, radapt::tune::everything, radapt::ensemble::During<>,
                              radapt::ensemble::After<>, radapt::loss::With<radapt::loss::Contrastive, Term>>;
void train(const radapt::Weights<radapt::Clip<Small>>& weights) {
  radapt::Trainer<Recipe, radapt::onednn> trainer(weights, {});
}
