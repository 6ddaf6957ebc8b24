#pragma once
/// The published methods that work on features which a CLIP has computed once, by name and by its architecture.
#include <cstdint>
#include <span>
#include <type_traits>

#include "radapt/task/feature_classifier.hpp"
#include "radapt/task/tip_adapter.hpp"
#include "radapt/train/recipe.hpp"

namespace radapt {
namespace recipe {

/// CLIP-Adapter (Gao et al., IJCV 2024; methods.md 7.7) on the image features of Arch: a bottleneck of Hidden, blended
/// in with Percent / 100, under the frozen zero-shot head. It begins as `task::clip_adapter<trained>(head, scale,
/// seed)` and stays beside the model.
template <class Arch, Index Hidden = Arch::embed / 4, Index Percent = 20>
using clip_adapter = Recipe<task::ClipAdapter<Arch::embed, Hidden, Percent>, tune::only<role::adapter>,
                            ensemble::During<>, ensemble::After<>, loss::CrossEntropy>;

/// The linear probe (methods.md 7.2) on features of Arch: what `linear_probe<Arch>` learns, without the image tower. It
/// begins as `task::feature_classifier<Arch::embed>(head, scale)`, or as zeros.
template <class Arch>
using feature_probe = Recipe<task::FeatureClassifier<Arch::embed>, tune::only<role::head>, ensemble::During<>,
                             ensemble::After<>, loss::CrossEntropy>;

/// Tip-Adapter and Tip-Adapter-F (Zhang et al., ECCV 2022; methods.md 7.9) on features of Arch. What it learns are the
/// training samples themselves, so there is nothing that a trainer would step: `cache` makes it, `train` of the result
/// is the F, `search` chooses alpha and beta.
template <class Arch>
struct tip_adapter {
  static constexpr Index embed = Arch::embed;
  /// `keys` (labels.size(), embed) and `head` (classes, embed) as in task::TipAdapter.
  template <class Backend, class T = float>
  static task::TipAdapter<Backend, T> cache(std::type_identity_t<std::span<const T>> keys,
                                            std::span<const std::int32_t> labels,
                                            std::type_identity_t<std::span<const T>> head, Index classes,
                                            task::TipSettings settings = {}) {
    return {keys, labels, head, classes, embed, settings};
  }
};

}  // namespace recipe
}  // namespace radapt
