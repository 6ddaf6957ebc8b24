// expect-error: transfer_needs_linear_adapters<
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

// A bottleneck with an activation inside is no update of a weight.
constexpr auto size =
    sizeof(radapt::with_after<radapt::recipe::adapt_former<Small, 8, radapt::loss::Contrastive>, radapt::Transfer>);
