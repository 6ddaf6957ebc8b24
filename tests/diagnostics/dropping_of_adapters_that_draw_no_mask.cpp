// expect-error: no_adapter_of_this_model_is_ever_dropped<
#include "radapt/train/recipe.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

/// y + down up y, composed of layers that know nothing of adapters.
struct Composed {
  template <class Site, radapt::Index D>
  using at = radapt::Residual<radapt::Sequential<
      radapt::Named<"down", radapt::Projection<D, 4, radapt::role::in<radapt::role::adapter, typename Site::tower>>>,
      radapt::Named<"up", radapt::Projection<4, D, radapt::role::in<radapt::role::adapter, typename Site::tower>>>>>;
};

}  // namespace

constexpr auto size = sizeof(
    radapt::Recipe<radapt::Clip<Small, Composed>, radapt::tune::only<radapt::role::adapter>,
                   radapt::ensemble::During<radapt::AdapterDrop>, radapt::ensemble::After<>, radapt::loss::MpmNce>);
