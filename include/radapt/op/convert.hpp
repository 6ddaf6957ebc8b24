#pragma once
/// Between the elements that a pass stores and those that enter and leave it.
#include "radapt/core/element.hpp"
#include "radapt/core/view.hpp"

namespace radapt::op {

/// y = x, exact: features and logits that leave a model.
template <class T>
struct widen {
  static constexpr auto name = "widen";
  using element = T;
  Matrix<parameter_t<T>> y;  // (rows, width)
  Matrix<const T> x;         // (rows, width)
};

/// y = x, rounded to nearest, ties to even: gradients of features and logits that enter it.
template <class T>
struct narrow {
  static constexpr auto name = "narrow";
  using element = T;
  Matrix<T> y;                     // (rows, width)
  Matrix<const parameter_t<T>> x;  // (rows, width)
};

}  // namespace radapt::op
