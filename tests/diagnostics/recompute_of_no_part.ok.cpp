#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};
using Model = radapt::with_recompute<radapt::recipe::r_adapter<Small>, radapt::recompute::block>::trained;

}  // namespace

constexpr auto size = sizeof(radapt::Values<Model, float>);
