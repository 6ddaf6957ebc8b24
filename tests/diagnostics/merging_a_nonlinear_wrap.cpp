// expect-error: only a linear adapter behind a linear layer can be merged
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/sequential.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
/// Adapters that fold behind every MLP, and a layer in the place of c_fc that does not: a merge would lose it.
struct Policy : radapt::RAdapter<> {
  template <class Site, class L>
  using wrap =
      std::conditional_t<std::is_same_v<typename Site::place, radapt::site::c_fc>,
                         radapt::Sequential<radapt::Named<"", L>, radapt::Activate<radapt::Activation::relu>>, L>;
};

}  // namespace

auto merged(const radapt::Weights<radapt::Clip<Small, Policy>>& adapted) { return radapt::merge(0.5, adapted); }
