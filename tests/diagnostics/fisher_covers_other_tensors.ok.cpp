#include "radapt/clip/classifier.hpp"
#include "radapt/ensemble/fisher.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
using Model = radapt::Classifier<radapt::Clip<Small>>;
using OnlyHead = radapt::tune::only<radapt::role::head>;
using Everything = radapt::tune::everything;

}  // namespace

void mix(const radapt::Weights<Model>& a, const radapt::Weights<Model>& b, const radapt::Fisher<Model, OnlyHead>& of_a,
         const radapt::Fisher<Model, OnlyHead>& of_b) {
  radapt::fisher_interpolate(0.5, a, b, of_a, of_b);
}
