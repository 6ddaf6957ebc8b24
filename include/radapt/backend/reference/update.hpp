#pragma once
/// Reference kernels of op/update.hpp.
#include <cmath>
#include <limits>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/update.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::adamw<T>& o) {
  const double correction1 = 1.0 - std::pow(o.beta1, static_cast<double>(o.step));
  const double correction2 = 1.0 - std::pow(o.beta2, static_cast<double>(o.step));
  const T b1 = static_cast<T>(o.beta1), b2 = static_cast<T>(o.beta2);
  const T keep = static_cast<T>(1.0 - o.lr * o.weight_decay), rate = static_cast<T>(o.lr / correction1);
  const T root = static_cast<T>(1.0 / std::sqrt(correction2)), eps = static_cast<T>(o.eps);
  const T momentum = static_cast<T>(o.average_momentum), fresh = static_cast<T>(1.0 - o.average_momentum);
  const T clip = o.clip == nullptr ? T{1} : *o.clip;
  if (std::isnan(clip)) { return; }
  for (Index i = 0; i < o.parameters.size; ++i) {
    const T g = static_cast<T>(o.gradient_scale) * clip * o.gradients.data[i];
    T& m = o.first_moment.data[i];
    T& v = o.second_moment.data[i];
    T& p = o.parameters.data[i];
    m = b1 * m + (T{1} - b1) * g;
    v = b2 * v + (T{1} - b2) * g * g;
    p = p * keep - rate * m / (std::sqrt(v) * root + eps);
    if (o.average) { o.average.data[i] = momentum * o.average.data[i] + fresh * p; }
  }
}

template <class T>
void launch(reference&, const op::distance_penalty<T>& o) {
  double sum = 0;
  for (Index i = 0; i < o.parameters.size; ++i) {
    const T difference = o.parameters.data[i] - o.anchor.data[i];
    sum += static_cast<double>(difference) * static_cast<double>(difference);
    o.gradients.data[i] += static_cast<T>(2 * o.strength) * difference;
  }
  *o.loss += o.strength * sum;
}

template <class T>
void launch(reference&, const op::sum_of_squares<T>& o) {
  double sum = 0;
  for (Index i = 0; i < o.x.size; ++i) { sum += static_cast<double>(o.x.data[i]) * static_cast<double>(o.x.data[i]); }
  *o.result += sum;
}

template <class T>
void launch(reference&, const op::clip_factor<T>& o) {
  bool finite = std::isfinite(*o.squares);
  for (Index i = 0; i < o.losses.size; ++i) { finite = finite && std::isfinite(o.losses.data[i]); }
  const double shrinks = o.most / (std::sqrt(*o.squares) + 1e-6);
  const double factor = o.most <= 0.0 || shrinks > 1.0 ? 1.0 : shrinks;
  *o.factor = finite ? static_cast<T>(factor) : std::numeric_limits<T>::quiet_NaN();
}

template <class T>
void launch(reference&, const op::clear<T>& o) {
  for (Index i = 0; i < o.x.size; ++i) { o.x.data[i] = T{0}; }
}

}  // namespace radapt
