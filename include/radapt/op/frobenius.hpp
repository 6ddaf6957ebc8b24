#pragma once
/// The Frobenius norm of a matrix as a penalty, value and gradient in one operation.
#include "radapt/core/view.hpp"

namespace radapt::op {

/// The norm |x|, not squared:
///
///     *loss += strength |x|
///     x = strength x / |x|, its gradient, and nothing where x is zero
template <class T>
struct frobenius_penalty {
  static constexpr auto name = "frobenius_penalty";
  using element = T;
  Matrix<T> x;  // (rows, columns)
  double strength = 0.0;
  double* loss = nullptr;
};

}  // namespace radapt::op
