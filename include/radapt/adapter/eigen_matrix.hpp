#pragma once
/// Matrices of doubles with Eigen's algebra, for what decomposes and projects.
#include <Eigen/Core>

#include "radapt/adapter/fold.hpp"

namespace radapt::detail {

using EigenMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A copy of m (rows, columns), in double.
inline EigenMatrix eigen_matrix(const DoubleMatrix& m) {
  return Eigen::Map<const EigenMatrix>(m.data(), static_cast<Eigen::Index>(m.rows()),
                                       static_cast<Eigen::Index>(m.columns()));
}
template <class T>
EigenMatrix eigen_matrix(const Matrix<T>& m) {
  return eigen_matrix(in_double(m));
}

/// to += what, of the same extents; each sum is rounded once.
template <class T>
void add_to(const Matrix<T>& to, const EigenMatrix& what) {
  for (Index i = 0; i < to.size(); ++i) {
    to.data[i] = static_cast<T>(static_cast<double>(to.data[i]) + what.data()[i]);
  }
}

}  // namespace radapt::detail
