#pragma once
/// Matrix products of a linear layer, in PyTorch's layout: weight is (out, in) and y = x W^T + b.
#include "radapt/core/element.hpp"
#include "radapt/op/activation.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt::op {

/// y = x W^T + b on the kept rows; other rows of y are left as they are.
template <class T>
struct linear_forward {
  static constexpr auto name = "linear_forward";
  using element = T;
  Matrix<T> y;                          // (rows, out)
  Matrix<const T> x;                    // (rows, in)
  Matrix<const parameter_t<T>> weight;  // (out, in)
  Vector<const parameter_t<T>> bias{};  // (out) or null
  KeptRows kept{};
};

/// y = act(h), h = x W^T + b: a linear layer and the activation behind it. What is between them is rounded to T, and
/// kept if `h` is given.
template <class T>
struct linear_activation_forward {
  static constexpr auto name = "linear_activation_forward";
  using element = T;
  Matrix<T> y;                          // (rows, out)
  Matrix<const T> x;                    // (rows, in)
  Matrix<const parameter_t<T>> weight;  // (out, in)
  Vector<const parameter_t<T>> bias{};  // (out) or null
  Activation kind = Activation::quick_gelu;
  Matrix<T> h{};  // (rows, out), apart from y; or null
};

/// y = residual + (x W^T + b): the last linear layer of a residual branch and the sum behind it, with the bits of both
/// one after the other: what is added is rounded to T. y and residual lie apart.
template <class T>
struct linear_residual_forward {
  static constexpr auto name = "linear_residual_forward";
  using element = T;
  Matrix<T> y;                          // (rows, out)
  Matrix<const T> x;                    // (rows, in)
  Matrix<const T> residual;             // (rows, out)
  Matrix<const parameter_t<T>> weight;  // (out, in)
  Vector<const parameter_t<T>> bias{};  // (out) or null
};

/// dx = dy W on the kept rows; other rows of dx are left as they are.
template <class T>
struct linear_backward_input {
  static constexpr auto name = "linear_backward_input";
  using element = T;
  Matrix<T> dx;                         // (rows, in)
  Matrix<const T> dy;                   // (rows, out)
  Matrix<const parameter_t<T>> weight;  // (out, in)
  KeptRows kept{};
};

/// dW += factor * scale * dy^T x, over the kept rows.
template <class T>
struct linear_backward_weight {
  static constexpr auto name = "linear_backward_weight";
  using element = T;
  Matrix<parameter_t<T>> dw;              // (out, in)
  Matrix<const T> dy;                     // (rows, out)
  Matrix<const T> x;                      // (rows, in)
  double factor = 1.0;                    // known to the host
  const parameter_t<T>* scale = nullptr;  // a parameter in the backend's memory; null is 1
  KeptRows kept{};
};

/// db += sum over the kept rows of dy.
template <class T>
struct linear_backward_bias {
  static constexpr auto name = "linear_backward_bias";
  using element = T;
  Vector<parameter_t<T>> db;  // (out)
  Matrix<const T> dy;         // (rows, out)
  KeptRows kept{};
};

}  // namespace radapt::op
