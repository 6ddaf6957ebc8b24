#pragma once
/// L2-SP (methods.md 7.13): a penalty on the distance from the weights that a run began with.
#include <string_view>

#include "radapt/loss/terms.hpp"

namespace radapt::loss {

/// strength * sum over trained tensors of |theta - theta_0|^2; its gradient is 2 strength (theta - theta_0). The
/// trainer adds it after the loss of the batch.
struct TowardBase {
  static constexpr auto name = "toward_base";
  double strength = 1e-2;     ///< lambda, >= 0; no value is published for CLIP: choose it on held-out data
  bool includes_head = true;  ///< false: the classifier's head is free, as in the original

  /// Whether the tensor of that name is held.
  constexpr bool reaches(std::string_view tensor) const { return includes_head || !tensor.starts_with("head."); }
};

}  // namespace radapt::loss
