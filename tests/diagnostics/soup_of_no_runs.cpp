// expect-error: takes_at_least_one_run<
#include <array>

#include "radapt/backend/reference/all.hpp"
#include "radapt/train/deploy_ensembles.hpp"
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
template <class R>
using Trainer = radapt::Trainer<R, radapt::reference>;
using Run = Trainer<radapt::recipe::model_soup<Small>>;

}  // namespace

auto finish() { return radapt::deploy(std::array<Run*, 0>{}, 1.0); }
