#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/with_adapters.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

void train(const radapt::Weights<radapt::Clip<Small>>& plain) {
  const auto adapted = radapt::with_adapters<radapt::RAdapter<>>(plain);
  radapt::Trainer<radapt::recipe::r_adapter<Small>, radapt::onednn> trainer(adapted, {});
}
