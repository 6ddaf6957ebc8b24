#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

constexpr auto size =
    radapt::count<radapt::Clip<Small>, radapt::tune::both<radapt::tune::only<radapt::role::norm>,
                                                          radapt::tune::only<radapt::role::tower::image>>>();
