#pragma once
/// Sums of streams: residual connections and scaled adapter branches.
#include "radapt/core/element.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt::op {

/// y += x.
template <class T>
struct add {
  static constexpr auto name = "add";
  using element = T;
  Matrix<T> y;        // (rows, width)
  Matrix<const T> x;  // (rows, width)
};

/// y = x + factor * scale * z on the kept rows, y = x on the others. y may be the memory of x or of z.
template <class T>
struct scaled_add {
  static constexpr auto name = "scaled_add";
  using element = T;
  Matrix<T> y;                            // (rows, width)
  Matrix<const T> x;                      // (rows, width)
  Matrix<const T> z;                      // (rows, width), read at kept rows only
  double factor = 1.0;                    // known to the host
  const parameter_t<T>* scale = nullptr;  // a parameter in the backend's memory; null is 1
  KeptRows kept{};
};

/// dscale += factor * sum over the kept rows of <a, b>.
template <class T>
struct scaled_add_backward_scale {
  static constexpr auto name = "scaled_add_backward_scale";
  using element = T;
  parameter_t<T>* dscale = nullptr;
  Matrix<const T> a;  // (rows, width)
  Matrix<const T> b;  // (rows, width)
  double factor = 1.0;
  KeptRows kept{};
};

}  // namespace radapt::op
