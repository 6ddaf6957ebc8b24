#pragma once
/// WiSE-FT: a straight line between two weights of one model (methods.md 2.1).
#include "radapt/core/weights.hpp"

namespace radapt {

/// (1 - alpha) zero_shot + alpha tuned over every tensor. alpha weights the fine-tuned side; 0 and 1 return the ends
/// bit for bit, values outside 0 .. 1 extrapolate. Weights of two different models do not compile.
template <class M, class T>
Weights<M, T> interpolate(double alpha, const Weights<M, T>& zero_shot, const Weights<M, T>& tuned) {
  if (alpha == 0.0) { return zero_shot; }
  if (alpha == 1.0) { return tuned; }
  Weights<M, T> mixed = zero_shot;
  each(
      [&](auto& out, const auto& a, const auto& b) {
        for (Index i = 0; i < out.size(); ++i) {
          out.data[i] =
              static_cast<T>((1.0 - alpha) * static_cast<double>(a.data[i]) + alpha * static_cast<double>(b.data[i]));
        }
      },
      mixed.tree(), zero_shot.tree(), tuned.tree());
  return mixed;
}

}  // namespace radapt
