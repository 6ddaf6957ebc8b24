// expect-error: transfer_needs_both_towers<
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

// Under a cross entropy there is no text tower, and the head belongs to the classes.
constexpr auto size = sizeof(radapt::recipe::pro_lora<Small, radapt::recipe::lora<Small>>);
