#include "radapt/train/recipe.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
struct WithoutTargets {
  using needs = radapt::needs_both_towers;
  [[maybe_unused]] static constexpr auto name = "without_targets";
  [[maybe_unused]] static constexpr bool uses_logit_scale = false;
};
template <class Loss>
using Recipe = radapt::Recipe<radapt::Clip<Small, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>,
                              radapt::ensemble::During<>, radapt::ensemble::After<radapt::Rescale>, Loss>;

}  // namespace

constexpr auto size = sizeof(Recipe<radapt::loss::MpmNce>);
