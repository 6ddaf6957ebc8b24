// expect-error: weights of two different models
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/ensemble/interpolate.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
using Plain = radapt::Clip<Small>;
using Adapted = radapt::Clip<Small, radapt::RAdapter<>>;

}  // namespace

void mix(const radapt::Weights<Plain>& a, const radapt::Weights<Adapted>& b) { radapt::interpolate(0.5, a, b); }
