// expect-error: no_tuning_policy<radapt::role::adapter
#include "radapt/train/recipe.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
template <class Tune>
using Recipe = radapt::Recipe<radapt::Clip<Small, radapt::RAdapter<>>, Tune, radapt::ensemble::During<>,
                              radapt::ensemble::After<radapt::Rescale>, radapt::loss::MpmNce>;

}  // namespace

constexpr auto size = sizeof(Recipe<radapt::role::adapter>);
