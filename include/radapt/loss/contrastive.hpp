#pragma once
/// The symmetric contrastive loss of CLIP and FLYP: the partner of the same row is the only target.
#include <span>

#include "radapt/loss/mpm_nce.hpp"

namespace radapt::loss {

/// L = (CE(s f g^T, diagonal) + CE(s g f^T, diagonal)) / 2 with s = exp(logit_scale), the model's own parameter.
struct Contrastive {
  using needs = needs_both_towers;
  static constexpr auto name = "contrastive";
  static constexpr bool uses_logit_scale = true;

  /// Groups are ignored: FLYP treats captions of the same class as negatives (methods.md 9).
  template <class S>
  void targets(std::span<const std::int32_t>, ContrastiveTargets<S>& t) const {
    t.margin = 0.0;
    for (Index i = 0; i < t.size(); ++i) {
      t.labels[i] = static_cast<std::int32_t>(i);
      t.positive[i] = S{1};
      t.negative[i] = S{0};
    }
  }
};

}  // namespace radapt::loss
