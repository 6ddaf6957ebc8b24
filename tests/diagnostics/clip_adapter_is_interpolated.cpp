// expect-error: interpolation_is_for_models_without_adapters<
#include "radapt/task/feature_recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

// What is between two bottlenecks with an activation is not between what they do.
constexpr auto size = sizeof(radapt::with_after<radapt::recipe::clip_adapter<Small>, radapt::Interpolate>);
