// expect-error: no_adapter_policy<radapt::role::adapter
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/core/weights.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

radapt::Weights<radapt::Clip<Small, radapt::role::adapter>> weights;
