#include "radapt/train/recipe.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

constexpr auto size =
    sizeof(radapt::Recipe<radapt::Clip<Small, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>,
                          radapt::ensemble::During<radapt::AdapterDrop>, radapt::ensemble::After<radapt::Rescale>,
                          radapt::loss::MpmNce>);
