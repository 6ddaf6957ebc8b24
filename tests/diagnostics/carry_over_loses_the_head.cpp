// expect-error: the_head_would_be_lost<
#include "radapt/backend/reference/all.hpp"
#include "radapt/train/carry_over.hpp"
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
using Probe = radapt::Trainer<radapt::recipe::linear_probe<Small>, radapt::reference>;

}  // namespace

auto start_of_the_second_run(Probe& probe) { return radapt::carry_over<radapt::recipe::flyp<Small>>(probe); }
