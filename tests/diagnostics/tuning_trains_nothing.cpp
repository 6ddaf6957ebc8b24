// expect-error: this tuning policy trains nothing in this model
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/train/trainable.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
template <class Policy>
using State = radapt::Trainable<radapt::Clip<Small, Policy>, radapt::tune::only<radapt::role::adapter>, float>;

}  // namespace

constexpr auto size = sizeof(State<radapt::NoAdapter>);
