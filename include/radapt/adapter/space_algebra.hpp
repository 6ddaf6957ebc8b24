#pragma once
/// Projections onto the leading spaces of a weight and their complements, applied to columns.
#include <string>

#include "radapt/adapter/eigen_matrix.hpp"
#include "radapt/core/error.hpp"

namespace radapt::detail {

/// A template over the one element type that is used, so that only programs that call a function compile Eigen's
/// products: the header itself costs nothing.
template <class S>
struct SpaceAlgebra {
  using Dense = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  static Dense product(const Dense& a, const Dense& b) { return a * b; }
  /// a^T b
  static Dense transposed_product(const Dense& a, const Dense& b) { return a.transpose() * b; }
  static Dense transposed(const Dense& a) { return a.transpose(); }

  /// U (U^T x), and the rest of x.
  static Dense inside(const Dense& basis, const Dense& x) { return product(basis, transposed_product(basis, x)); }
  static Dense outside(const Dense& basis, const Dense& x) {
    Dense rest = x;
    rest -= inside(basis, x);
    return rest;
  }

  /// From the spaces of the source to those of the target: leading to leading, complement to complement, and both.
  static Dense parallel(const Dense& source, const Dense& target, const Dense& x) {
    return inside(target, inside(source, x));
  }
  static Dense perpendicular(const Dense& source, const Dense& target, const Dense& x) {
    return outside(target, outside(source, x));
  }
  static Dense both(const Dense& source, const Dense& target, const Dense& x) {
    Dense sum = parallel(source, target, x);
    sum += perpendicular(source, target, x);
    return sum;
  }

  /// |B A|^2 from the factors alone: tr((B^T B)(A A^T)).
  static S product_energy(const Dense& B, const Dense& A) {
    const Dense At = transposed(A);
    return transposed_product(B, B).cwiseProduct(transposed_product(At, At)).sum();
  }
};

inline std::string extents_text(Eigen::Index rows, Eigen::Index columns) {
  return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

}  // namespace radapt::detail
