#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/merge.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
/// Adapters that fold, and nothing in the place of a linear layer.
struct Policy : radapt::RAdapter<> {
  template <class Site, class L>
  using wrap = L;
};

}  // namespace

auto merged(const radapt::Weights<radapt::Clip<Small, Policy>>& adapted) { return radapt::merge(0.5, adapted); }
