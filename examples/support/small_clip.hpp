#pragma once
/// The CLIP that fine_tune pre-trains where no checkpoint is given.
#include "radapt/clip/arch.hpp"

namespace example {

/// Small enough that two cores can pre-train it on some thousand pictures in minutes; CLIP's own vocabulary, so that
/// its checkpoints work with CLIP's tokenizer.
struct SmallClip : radapt::arch::Defaults {
  static constexpr radapt::Index embed = 128, image = 48, patch = 8;
  static constexpr radapt::TowerSize vision{128, 4, 4, 512}, text{64, 2, 2, 256};
  static constexpr radapt::Activation activation = radapt::Activation::quick_gelu;
};

}  // namespace example
