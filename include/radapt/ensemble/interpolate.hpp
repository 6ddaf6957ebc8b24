#pragma once
/// WiSE-FT: a straight line between two weights of one model (methods.md 2.1).
#include <utility>

#include "radapt/core/const_weights.hpp"
#include "radapt/ensemble/checks.hpp"

namespace radapt {

/// (1 - alpha) zero_shot + alpha tuned over every tensor. alpha weights the fine-tuned side; 0 and 1 return the ends
/// bit for bit, values outside 0 .. 1 extrapolate. Weights of two different models do not compile. An alpha that is no
/// number and heads of different class sets are errors.
template <class M, class T>
Weights<M, T> interpolate(double alpha, const ConstWeights<M, T>& zero_shot, Weights<M, T> tuned) {
  detail::check_finite("interpolate", "alpha", alpha);
  detail::check_same_classes("interpolate", zero_shot, tuned);
  if (alpha == 0.0) { return zero_shot.copy(); }
  if (alpha == 1.0) { return tuned; }
  const auto to = tuned.tensors();
  const auto from = zero_shot.tensors();
  for (Index k = 0; k < to.size(); ++k) {
    T* const out = to[k].data;
    const T* const a = from[k].data;
    for (Index i = 0; i < to[k].size(); ++i) {
      out[i] = static_cast<T>((1.0 - alpha) * static_cast<double>(a[i]) + alpha * static_cast<double>(out[i]));
    }
  }
  return tuned;
}
template <class M, class T>
Weights<M, T> interpolate(double alpha, const Weights<M, T>& zero_shot, Weights<M, T> tuned) {
  return interpolate(alpha, ConstWeights<M, T>(zero_shot), std::move(tuned));
}

/// The reason type of weights that do not belong together.
template <class A, class B>
struct check_same_model {
  static constexpr bool both_weights_are_of_one_model = std::is_same_v<A, B>;
  static_assert(
      both_weights_are_of_one_model,
      "radapt: weights of two different models cannot be interpolated. Read check_same_model<first, second>; to "
      "fix: merge adapters first, so that both are weights of the plain Clip.");
};
template <class A, class B, class T, class U>
requires(!std::is_same_v<Weights<A, T>, Weights<B, U>>) Weights<A, T> interpolate(double,
                                                                                  const Weights<A, T>& zero_shot,
                                                                                  const Weights<B, U>&) {
  [[maybe_unused]] const check_same_model<Weights<A, T>, Weights<B, U>> checked{};
  return zero_shot;
}

}  // namespace radapt
