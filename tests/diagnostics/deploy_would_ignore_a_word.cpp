// expect-error: this call of deploy.* does not give what the recipe
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

// TPGM learns its radii on held-out data; alpha alone would leave the weights as they were trained.
auto finish(Trainer<radapt::recipe::tpgm<Small>>& run) { return radapt::deploy(run, 1.0); }
