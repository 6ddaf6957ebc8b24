#include "radapt/train/recipe.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
using Model = radapt::Clip<Small, radapt::RAdapter<>>;
template <class M, class Loss>
using Recipe =
    radapt::Recipe<M, radapt::tune::only<radapt::role::adapter>, radapt::ensemble::During<radapt::AdapterDrop>,
                   radapt::ensemble::After<radapt::Rescale>, Loss>;

}  // namespace

constexpr auto size = sizeof(radapt::Recipe<radapt::Clip<Small>, radapt::tune::everything, radapt::ensemble::During<>,
                                            radapt::ensemble::After<radapt::Interpolate>, radapt::loss::MpmNce>);
