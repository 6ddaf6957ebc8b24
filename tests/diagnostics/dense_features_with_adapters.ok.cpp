#include "radapt/adapter/r_adapter.hpp"
#include "radapt/backend/reference/all.hpp"
#include "radapt/task/dense_features.hpp"

namespace {
struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
using Model = radapt::Clip<Small>;
}  // namespace

void encode(const radapt::Weights<Model>& weights) {
  [[maybe_unused]] radapt::task::DenseSession<Model, radapt::reference> session{weights};
}
