#pragma once
/// AdamW over the trainable parameters, and which of them decay.
#include <string_view>

namespace radapt {

/// Which parameters weight decay applies to (clip_compat.md 6.1).
enum class DecayRule {
  matrices_only,  ///< none on tensors of rank < 2 or whose name holds bn, ln, bias or logit_scale: open_clip, R-Adapter
  /// WiSE-FT. Also what has no gradient and PyTorch would leave alone: a logit_scale that the loss does not use.
  everything,
};

/// Whether the rule decays the tensor of that name and rank.
constexpr bool decays(DecayRule rule, std::string_view name, std::size_t rank) {
  if (rule == DecayRule::everything) { return true; }
  for (const std::string_view part : {"bn", "ln", "bias", "logit_scale"}) {
    if (name.find(part) != std::string_view::npos) { return false; }
  }
  return rank >= 2;
}

/// Options of AdamW; the defaults are PyTorch's, with the decay of the R-Adapter recipe. The rate comes from a
/// schedule.
struct AdamW {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
  DecayRule rule = DecayRule::matrices_only;
};

}  // namespace radapt
