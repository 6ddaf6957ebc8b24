// expect-error: only a linear adapter behind a linear layer can be merged
#include "radapt/clip/merge.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/layer/residual.hpp"

namespace {

/// A bottleneck with an activation inside: not linear, so it cannot be folded into a weight.
struct Bottleneck {
  template <class Site, radapt::Index D>
  using at = radapt::Residual<
      radapt::Sequential<radapt::Named<"down", radapt::Linear<D, 8, radapt::role::adapter>>, radapt::QuickGelu,
                         radapt::Named<"up", radapt::Linear<8, D, radapt::role::adapter>>>>;
};
struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

void merge_all(const radapt::Weights<radapt::Clip<Small, Bottleneck>>& weights) { radapt::merge(0.5, weights); }
