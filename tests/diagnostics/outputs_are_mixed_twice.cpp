// expect-error: outputs_are_mixed_twice<
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

// One of the two decides how much each model counts.
constexpr auto size = sizeof(radapt::with_after<radapt::recipe::ose<Small>, radapt::VarianceReduction>);
