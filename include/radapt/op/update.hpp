#pragma once
/// What turns gradients into new parameters, one pass over flat buffers each.
#include <cstdint>

#include "radapt/core/view.hpp"

namespace radapt::op {

/// AdamW with decoupled decay (PyTorch's order: decay, moments, step), and the moving average of the result:
///   p *= 1 - lr decay;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr mhat / (sqrt(vhat) + eps)
///   average = momentum average + (1 - momentum) p, where `average` is not null.
/// Nothing changes where *clip is NaN: see clip_factor.
template <class T>
struct adamw {
  static constexpr auto name = "adamw";
  using element = T;
  Vector<T> parameters, first_moment, second_moment;
  Vector<const T> gradients;
  Vector<T> average{};      // or null
  const T* clip = nullptr;  // in the backend's memory: multiplies the gradients, too; null is 1
  double gradient_scale = 1.0, lr = 0.0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
  double average_momentum = 0.0;
  std::uint64_t step = 1;  // of the bias corrections, from 1
};

/// L2-SP (methods.md 7.13): *loss += strength sum (p - anchor)^2, gradients += 2 strength (p - anchor).
template <class T>
struct distance_penalty {
  static constexpr auto name = "distance_penalty";
  using element = T;
  Vector<T> gradients;
  Vector<const T> parameters, anchor;
  double strength = 0.0;
  double* loss = nullptr;
};

/// *result += sum of squares, in a fixed order.
template <class T>
struct sum_of_squares {
  static constexpr auto name = "sum_of_squares";
  using element = T;
  Vector<const T> x;
  double* result = nullptr;
};

/// What gradients are multiplied with so that their global L2 norm is at most `most`, as PyTorch clips:
///   *factor = min(1, most / (sqrt(*squares) + 1e-6)), and 1 where `most` is 0,
/// or NaN where *squares or one of the losses is not finite. An update that reads it needs no host in between.
template <class T>
struct clip_factor {
  static constexpr auto name = "clip_factor";
  using element = T;
  const double* squares = nullptr;  // the sum over all gradients
  Vector<const double> losses{};
  double most = 1.0;
  T* factor = nullptr;
};

/// x = 0.
template <class T>
struct clear {
  static constexpr auto name = "clear";
  using element = T;
  Vector<T> x;
};

}  // namespace radapt::op
