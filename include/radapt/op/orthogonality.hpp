#pragma once
/// How far the columns of a matrix are from orthonormal, value and gradient in one operation.
#include "radapt/core/view.hpp"

namespace radapt::op {

/// CaRot's penalty on a projection W (methods.md 7.12), with G = W^T W - 1 and the Frobenius norm, not squared:
///
///     *loss += strength |G|
///     gradients += 2 strength W G / |G|, and nothing where G is zero
template <class T>
struct orthogonality_penalty {
  static constexpr auto name = "orthogonality_penalty";
  using element = T;
  Matrix<T> gradients;         // (rows, columns)
  Matrix<const T> parameters;  // (rows, columns)
  Matrix<T> gram;              // (columns, columns) workspace
  double strength = 0.0;
  double* loss = nullptr;
};

}  // namespace radapt::op
