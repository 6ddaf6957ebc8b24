#pragma once
/// Products that fold a linear map behind a linear layer into it. In double: a merge happens once, and its rounding
/// stays.
#include <Eigen/Core>

#include "radapt/core/view.hpp"

namespace radapt::detail {

using DoubleMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T, class S>
Matrix<T> matrix_of(const Parameter<T, S>& p) {
  return Matrix<T>(p);
}

template <class T>
DoubleMatrix in_double(Matrix<T> m) {
  using Plain = Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return Eigen::Map<const Plain>(m.data, static_cast<Eigen::Index>(m.rows), static_cast<Eigen::Index>(m.columns))
      .template cast<double>();
}

/// m += coefficient * added(m) for W (out, in) and b (out) alike, where `added` maps the columns of a matrix linearly.
/// A layer without a bias passes a null one.
template <class T, class Added>
void fold_into(double coefficient, Matrix<T> weight, Vector<T> bias, Added&& added) {
  if (coefficient == 0.0) { return; }  // alpha 0 is the original model, bit for bit
  const auto fold_one = [&](const Matrix<T>& m) {
    DoubleMatrix sum = in_double(m);
    sum += coefficient * added(sum);
    for (Index i = 0; i < m.size(); ++i) { m.data[i] = static_cast<T>(sum.data()[i]); }
  };
  fold_one(weight);
  if (bias) { fold_one(Matrix<T>(bias.data, bias.size, 1)); }
}

}  // namespace radapt::detail
