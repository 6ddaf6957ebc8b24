// expect-error: projection_needs_folded_adapters<
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

// Adapters that stay in the model have no counterpart in the base to be projected to.
constexpr auto size = sizeof(radapt::with_after<radapt::recipe::adapt_former<Small>, radapt::Project>);
