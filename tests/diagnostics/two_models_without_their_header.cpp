// expect-error: leaves_two_models_and_needs_deploy_ensembles<
#include "radapt/backend/reference/all.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
template <class R>
using Trainer = radapt::Trainer<R, radapt::reference>;

}  // namespace

auto finish(Trainer<radapt::recipe::vrf<Small>>& run) { return radapt::deploy(run, 1.0); }
