#pragma once
/// Mask-fill without filling: masked patches are left out (methods.md 7.11, "no fill").
#include "radapt/loss/masked_distillation.hpp"

namespace radapt::loss {

/// MaskedDistillation on the images of the batch without the patches that LabelledBatch::kept leaves out, in place of
/// images with parts filled in. The frozen weights see the same patches. All terms on filled images of a loss that has
/// this one do.
struct DroppedPatchDistillation : MaskedDistillation {
  static constexpr auto name = "dropped_patch_distillation";
  static constexpr bool drops_patches = true;
};

}  // namespace radapt::loss
