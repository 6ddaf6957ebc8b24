#pragma once
/// Layer norm over the width of a row, and L2 normalisation.
#include "radapt/core/element.hpp"
#include "radapt/core/plan.hpp"

namespace radapt::op {

/// y = (x - mean) rstd * weight + bias, mean and variance over the row (biased), rstd = 1 / sqrt(variance + eps).
template <class T>
struct layer_norm_forward {
  static constexpr auto name = "layer_norm_forward";
  using element = T;
  Matrix<T> y;                          // (rows, width)
  Matrix<const T> x;                    // (rows, width)
  Vector<const parameter_t<T>> weight;  // (width)
  Vector<const parameter_t<T>> bias;    // (width)
  Vector<statistic_t<T>> mean{};        // (rows), or null when nobody reads it
  Vector<statistic_t<T>> rstd{};        // (rows), or null
  double eps = 1e-5;
};

/// dx = rstd (g - mean(g) - xhat mean(g xhat)), g = dy weight, xhat = (x - mean) rstd.
template <class T>
struct layer_norm_backward_input {
  static constexpr auto name = "layer_norm_backward_input";
  using element = T;
  Matrix<T> dx;                         // (rows, width)
  Matrix<const T> dy;                   // (rows, width)
  Matrix<const T> x;                    // (rows, width)
  Vector<const parameter_t<T>> weight;  // (width)
  Vector<const statistic_t<T>> mean, rstd;
};

/// dweight += sum over rows of dy xhat; dbias += sum over rows of dy.
template <class T>
struct layer_norm_backward_weight {
  static constexpr auto name = "layer_norm_backward_weight";
  using element = T;
  Vector<parameter_t<T>> dweight;  // (width)
  Vector<parameter_t<T>> dbias;    // (width)
  Matrix<const T> dy;              // (rows, width)
  Matrix<const T> x;               // (rows, width)
  Vector<const statistic_t<T>> mean, rstd;
};

/// y = x / max(|x|, eps) by rows (open_clip's normalize); norm keeps the divisor.
template <class T>
struct l2_normalize_forward {
  static constexpr auto name = "l2_normalize_forward";
  using element = T;
  Matrix<T> y;                    // (rows, width)
  Matrix<const T> x;              // (rows, width)
  Vector<statistic_t<T>> norm{};  // (rows), or null
  double eps = 1e-12;
};

/// dx = (dy - y <y, dy>) / norm; dx = dy / norm in rows whose norm is eps, which were divided by a constant.
template <class T>
struct l2_normalize_backward {
  static constexpr auto name = "l2_normalize_backward";
  using element = T;
  Matrix<T> dx;        // (rows, width)
  Matrix<const T> dy;  // (rows, width)
  Matrix<const T> y;   // (rows, width)
  Vector<const statistic_t<T>> norm;
  double eps = 1e-12;
};

}  // namespace radapt::op
