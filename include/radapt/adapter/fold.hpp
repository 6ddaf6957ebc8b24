#pragma once
/// Products that fold a linear map into a linear layer beside it. In double: a merge happens once, and its rounding
/// stays.
#include <algorithm>
#include <vector>

#include "radapt/core/view.hpp"

namespace radapt {

/// Which linear layer a foldable layer changes.
enum class Host {
  in_front,  ///< the layer sits behind a sub-layer, and its weight is that of the last linear layer before it
  itself     ///< the layer stands in the place of a linear layer, and holds that layer's weight and bias
};

namespace detail {

/// A matrix of doubles, row after row, zeros at first. Not Eigen's: every program that trains or merges compiles this
/// header, and Eigen's costs it more than all the rest of it. Where more than products is wanted: eigen_matrix.hpp.
class DoubleMatrix {
 public:
  DoubleMatrix() = default;
  DoubleMatrix(Index rows, Index columns) : rows_(rows), columns_(columns), elements_(rows * columns) {}

  Index rows() const { return rows_; }
  Index columns() const { return columns_; }
  Index size() const { return elements_.size(); }
  double* data() { return elements_.data(); }
  const double* data() const { return elements_.data(); }
  bool operator==(const DoubleMatrix&) const = default;

 private:
  Index rows_ = 0, columns_ = 0;
  std::vector<double> elements_{};
};

template <class T, class S>
Matrix<T> matrix_of(const Parameter<T, S>& p) {
  return Matrix<T>(p);
}

template <class T>
DoubleMatrix in_double(Matrix<T> m) {
  DoubleMatrix out(m.rows, m.columns);
  for (Index i = 0; i < m.size(); ++i) { out.data()[i] = static_cast<double>(m.data[i]); }
  return out;
}

/// a b. Blocks of `deep` rows of b and `high` rows of a are copied so that tiles of 4 rows by 8 columns read them one
/// number after the other; a tile's sums stay in registers. The order of every sum follows from the extents alone.
/// Loops and not Eigen's product, which costs every program that merges a second of compilation.
inline DoubleMatrix multiply(const DoubleMatrix& a, const DoubleMatrix& b) {
  constexpr Index tall = 4, wide = 8, deep = 256, high = 64;
  const Index rows = a.rows(), inner = a.columns(), columns = b.columns();
  DoubleMatrix c(rows, columns);
  const Index panels = (columns + wide - 1) / wide;
  std::vector<double> tall_rows(std::min(deep, inner) * high), wide_columns(std::min(deep, inner) * panels * wide);
  for (Index first = 0; first < inner; first += deep) {
    const Index depth = std::min(deep, inner - first);
    double* packed = wide_columns.data();
    for (Index j = 0; j < columns; j += wide) {
      const Index width = std::min(wide, columns - j);
      for (Index k = first; k < first + depth; ++k, packed += wide) {
        std::copy_n(b.data() + k * columns + j, width, packed);
        std::fill(packed + width, packed + wide, 0.0);  // behind the last column
      }
    }
    for (Index top = 0; top < rows; top += high) {
      const Index height = std::min(high, rows - top);
      packed = tall_rows.data();
      for (Index i = 0; i < height; i += tall) {
        for (Index k = first; k < first + depth; ++k) {
          for (Index r = i; r < i + tall; ++r) { *packed++ = r < height ? a.data()[(top + r) * inner + k] : 0.0; }
        }
      }
      for (Index j = 0; j < columns; j += wide) {
        for (Index i = 0; i < height; i += tall) {
          const double* x = tall_rows.data() + i * depth;
          const double* y = wide_columns.data() + j * depth;
          double sum0[wide] = {}, sum1[wide] = {}, sum2[wide] = {}, sum3[wide] = {};
          for (Index k = 0; k < depth; ++k, x += tall, y += wide) {
#ifdef _OPENMP
#pragma omp simd
#endif
            for (Index t = 0; t < wide; ++t) {
              sum0[t] += x[0] * y[t];
              sum1[t] += x[1] * y[t];
              sum2[t] += x[2] * y[t];
              sum3[t] += x[3] * y[t];
            }
          }
          const double* const sums[tall] = {sum0, sum1, sum2, sum3};
          for (Index r = 0; r < std::min(tall, height - i); ++r) {
            double* const to = c.data() + (top + i + r) * columns + j;
            for (Index t = 0; t < std::min(wide, columns - j); ++t) { to[t] += sums[r][t]; }
          }
        }
      }
    }
  }
  return c;
}

inline DoubleMatrix scaled(double factor, DoubleMatrix m) {
  for (Index i = 0; i < m.size(); ++i) { m.data()[i] *= factor; }
  return m;
}

/// to += coefficient * what, rounded once.
template <class T>
void add_to(const Matrix<T>& to, double coefficient, const DoubleMatrix& what) {
  for (Index i = 0; i < to.size(); ++i) {
    to.data[i] = static_cast<T>(static_cast<double>(to.data[i]) + coefficient * what.data()[i]);
  }
}

/// m += coefficient * added(m) for W (out, in) and b (out) alike, where `added` maps the columns of a matrix linearly.
/// A layer without a bias passes a null one.
template <class T, class Added>
void fold_into(double coefficient, Matrix<T> weight, Vector<T> bias, Added&& added) {
  if (coefficient == 0.0) { return; }  // alpha 0 is the original model, bit for bit
  const Matrix<T> hosts[] = {weight, Matrix<T>(bias.data, bias.size, 1)};
  for (const Matrix<T>& host : hosts) {
    if (host.data != nullptr) { add_to(host, coefficient, added(in_double(host))); }
  }
}

}  // namespace detail
}  // namespace radapt
