#pragma once
/// Cross entropy of a linear head on normalised image features, the loss of WiSE-FT's recipe (methods.md 2.2).
#include "radapt/loss/mpm_nce.hpp"

namespace radapt::loss {

/// L = (1 - smoothing) nll + smoothing mean over classes of -log p, mean over rows.
struct CrossEntropy {
  using needs = needs_head;
  static constexpr auto name = "cross_entropy";
  double smoothing = 0.0;  ///< 0 .. 1
};

}  // namespace radapt::loss
