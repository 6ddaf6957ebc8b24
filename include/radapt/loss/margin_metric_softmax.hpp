#pragma once
/// Margin metric softmax, the loss of CLIPood (methods.md 7.15): classes whose texts are unlike that of the label must
/// stay further away.
#include <cmath>

#include "radapt/loss/targets.hpp"

namespace radapt::loss {

/// Cross entropy on the logits z_k = s (<f, t_k> - lambda <t_y, t_k>) of a sample of class y, where the rows of the
/// head are s t_k with |t_k| = 1. Up to a constant of the row that adds s lambda (1 - <t_y, t_k>) to every other class.
/// The margins are those of the head that the run began with: CLIPood does not train it
/// (`tune::only<role::tower::image>`).
struct MarginMetricSoftmax {
  using needs = needs_head;
  static constexpr auto name = "margin_metric_softmax";
  double lambda = 0.3;     ///< >= 0
  double smoothing = 0.0;  ///< 0 .. 1; 0 in the paper

  /// out (classes, classes): row y is what the logits of a sample of class y get; head (classes, width).
  template <class T>
  void margins(const T* head, Index classes, Index width, T* out) const {
    const auto dot = [&](Index a, Index b) {
      double sum = 0;
      for (Index i = 0; i < width; ++i) {
        sum += static_cast<double>(head[a * width + i]) * static_cast<double>(head[b * width + i]);
      }
      return sum;
    };
    for (Index y = 0; y < classes; ++y) {
      const double scale = std::sqrt(dot(y, y));
      for (Index k = 0; k < classes; ++k) {
        out[y * classes + k] = scale > 0 ? static_cast<T>(-lambda * dot(y, k) / scale) : T{0};
      }
    }
  }
};

}  // namespace radapt::loss
