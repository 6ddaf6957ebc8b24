// expect-error: the layers that LoRA adapts are a list
#include "radapt/train/recipes.hpp"

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 16, image = 16, patch = 8;
  static constexpr radapt::TowerSize vision{32, 2, 1, 64}, text{32, 2, 1, 64};
};

}  // namespace

constexpr auto size = radapt::count<radapt::Clip<Small, radapt::Lora<4, radapt::site::q>>>();
