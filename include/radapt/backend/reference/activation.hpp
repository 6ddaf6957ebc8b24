#pragma once
/// Reference kernels of op/activation.hpp.
#include <cmath>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/activation.hpp"

namespace radapt {

namespace detail {

template <class T>
T activate(Activation kind, T x) {
  if (kind == Activation::relu) { return x < T{0} ? T{0} : x; }
  if (kind == Activation::quick_gelu) { return x / (T{1} + std::exp(T(-1.702) * x)); }
  if (kind == Activation::gelu) { return T{0.5} * x * (T{1} + std::erf(x * T(0.7071067811865475244))); }
  const T inner = T(0.7978845608028653559) * (x + T(0.044715) * x * x * x);
  return T{0.5} * x * (T{1} + std::tanh(inner));
}

template <class T>
T activation_slope(Activation kind, T x) {
  if (kind == Activation::relu) { return x > T{0} ? T{1} : T{0}; }
  if (kind == Activation::quick_gelu) {
    const T s = T{1} / (T{1} + std::exp(T(-1.702) * x));
    return s + T(1.702) * x * s * (T{1} - s);
  }
  if (kind == Activation::gelu) {
    return T{0.5} * (T{1} + std::erf(x * T(0.7071067811865475244))) +
           x * T(0.3989422804014326779) * std::exp(T{-0.5} * x * x);
  }
  const T t = std::tanh(T(0.7978845608028653559) * (x + T(0.044715) * x * x * x));
  return T{0.5} * (T{1} + t) +
         T{0.5} * x * (T{1} - t * t) * T(0.7978845608028653559) * (T{1} + T(3 * 0.044715) * x * x);
}

}  // namespace detail

template <class T>
void launch(reference&, const op::activation_forward<T>& o) {
  for (Index i = 0; i < o.x.size(); ++i) { o.y.data[i] = detail::activate(o.kind, o.x.data[i]); }
}

template <class T>
void launch(reference&, const op::activation_backward<T>& o) {
  for (Index i = 0; i < o.x.size(); ++i) {
    o.dx.data[i] = o.dy.data[i] * detail::activation_slope(o.kind, o.x.data[i]);
  }
}

}  // namespace radapt
