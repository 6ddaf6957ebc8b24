// expect-error: no_block_of_this_model_is_unlocked<
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
template <class... Unlock>
using Recipe = radapt::Recipe<radapt::Clip<Small, radapt::RAdapter<>, Unlock...>,
                              radapt::tune::only<radapt::role::adapter, radapt::role::unlocked>,
                              radapt::ensemble::During<>, radapt::ensemble::After<>, radapt::loss::MpmNce>;

}  // namespace

constexpr auto size = sizeof(Recipe<>);
