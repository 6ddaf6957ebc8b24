#pragma once
/// A singular value decomposition in double. Eigen's own costs every program that calls it half a minute of compiling.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <Eigen/Eigenvalues>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt::detail {

/// A = U diag(singular) V^T with as many columns as the smaller extent, singular values falling. Those that are nothing
/// but rounding, below max(m, n) eps of the largest, are given as 0, with a column of zeros in the longer factor.
///
/// V begins as the eigenvectors of A^T A, which are off by the square of the condition. One-sided Jacobi rotations
/// (Hestenes 1958) of A V then make its columns orthogonal to sqrt(m) eps, also where they are short. A template, so
/// that only programs that call it compile it.
template <class S = double>
class ThinSvd {
 public:
  using Plain = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
  Plain u;                  ///< (m, min)
  Plain v;                  ///< (n, min)
  std::vector<S> singular;  ///< (min)

  explicit ThinSvd(const Plain& a) {
    if (a.rows() >= a.cols()) {
      decompose(a, u, v);
    } else {
      decompose(a.transpose(), v, u);
    }
    fix_signs();
  }

 private:
  static constexpr S eps = std::numeric_limits<S>::epsilon();

  /// For m >= n: `tall` (m, n) gets the left side, `square` (n, n) the right one.
  void decompose(const Plain& a, Plain& tall, Plain& square) {
    const Eigen::Index n = a.cols();
    const S largest = a.size() == 0 ? S{0} : a.cwiseAbs().maxCoeff();
    if (largest == S{0}) {
      tall = Plain::Zero(a.rows(), n);
      square = Plain::Identity(n, n);
      singular.assign(static_cast<Index>(n), S{0});
      return;
    }
    const Plain scaled = a / largest;  // squares of any finite number stay finite
    tall = scaled;
    square = Plain::Identity(n, n);
    diagonalise(tall, square);
    make_orthogonal(tall, square);

    std::vector<S> lengths(static_cast<Index>(n));
    for (Eigen::Index i = 0; i < n; ++i) { lengths[static_cast<Index>(i)] = tall.col(i).norm(); }
    std::vector<Index> order(lengths.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&](Index i, Index j) { return lengths[i] > lengths[j]; });
    const S noise = static_cast<S>(a.rows()) * eps * lengths[order.front()];
    const Plain columns = tall, rotations = square;
    for (Eigen::Index i = 0; i < n; ++i) {
      const Index from = order[static_cast<Index>(i)];
      const bool counts = lengths[from] > noise;
      singular.push_back(counts ? lengths[from] * largest : S{0});
      square.col(i) = rotations.col(static_cast<Eigen::Index>(from));
      if (counts) {
        tall.col(i) = columns.col(static_cast<Eigen::Index>(from)) / lengths[from];
      } else {
        tall.col(i).setZero();
      }
    }
  }

  /// Turns the columns of `b`, and of `v` alike, to the eigenvectors of b^T b. Its small eigenvalues drown in the
  /// rounding of the large ones, so the columns that come out short are turned again by themselves.
  static void diagonalise(Plain& b, Plain& v) {
    const Eigen::Index n = b.cols();
    S first = 0;
    for (Eigen::Index begin = 0; begin < n;) {
      const Eigen::Index rest = n - begin;
      const Plain block = b.rightCols(rest);
      const Plain turn =
          Eigen::SelfAdjointEigenSolver<Plain>(block.transpose() * block).eigenvectors().rowwise().reverse();
      b.rightCols(rest) = block * turn;
      v.rightCols(rest) = v.rightCols(rest) * turn;
      const S longest = b.col(begin).norm();
      first = begin == 0 ? longest : first;
      if (longest <= static_cast<S>(b.rows()) * eps * first) { return; }
      Eigen::Index next = begin + 1;
      while (next < n && b.col(next).norm() > S{1e-5} * longest) { ++next; }
      begin = next;
    }
  }

  /// Rotates pairs of columns, of `b` and of `v` alike, until no two that count are closer than rounding allows.
  /// Columns of nothing but rounding are left alone: turning others against them would never end.
  static void make_orthogonal(Plain& b, Plain& v) {
    const S tolerance = std::sqrt(static_cast<S>(b.rows())) * eps;
    const S noise = static_cast<S>(b.rows()) * eps * std::sqrt(b.colwise().squaredNorm().maxCoeff());
    bool rotated = true;
    for (int sweep = 0; sweep < 40 && rotated; ++sweep) {  // a handful suffice; convergence is quadratic
      rotated = false;
      const Plain products = b.transpose() * b;
      for (Eigen::Index i = 0; i + 1 < b.cols(); ++i) {
        for (Eigen::Index j = i + 1; j < b.cols(); ++j) {
          const auto too_close = [&](S ij, S ii, S jj) {
            return std::abs(ij) > tolerance * std::sqrt(ii * jj) && std::min(ii, jj) > noise * noise;
          };
          if (!too_close(products(i, j), products(i, i), products(j, j))) { continue; }
          // Rotations before this one have changed the columns.
          const S ij = b.col(i).dot(b.col(j)), ii = b.col(i).squaredNorm(), jj = b.col(j).squaredNorm();
          if (!too_close(ij, ii, jj)) { continue; }
          rotated = true;
          const S zeta = (jj - ii) / (2 * ij);
          const S tangent = (zeta < 0 ? S{-1} : S{1}) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
          const S cosine = 1 / std::sqrt(1 + tangent * tangent), sine = cosine * tangent;
          rotate(b, i, j, cosine, sine);
          rotate(v, i, j, cosine, sine);
        }
      }
    }
    if (rotated) {
      fail({.what = "singular value decomposition",
            .expected = "columns that become orthogonal within 40 sweeps",
            .got = "a matrix whose columns do not",
            .hint = "Please report it with the matrix"});
    }
  }
  static void rotate(Plain& m, Eigen::Index i, Eigen::Index j, S cosine, S sine) {
    for (Eigen::Index r = 0; r < m.rows(); ++r) {
      const S x = m(r, i), y = m(r, j);
      m(r, i) = cosine * x - sine * y;
      m(r, j) = sine * x + cosine * y;
    }
  }

  /// Each pair (u_i, v_i) is known up to one joint sign: the largest element of u_i, the first of equal ones, becomes
  /// positive. Spans do not care; transfer between shapes does.
  void fix_signs() {
    for (Eigen::Index i = 0; i < u.cols(); ++i) {
      Eigen::Index at = 0;
      for (Eigen::Index r = 1; r < u.rows(); ++r) { at = std::abs(u(r, i)) > std::abs(u(at, i)) ? r : at; }
      if (u(at, i) < 0) {
        u.col(i) = -u.col(i);
        v.col(i) = -v.col(i);
      }
    }
  }
};

}  // namespace radapt::detail
