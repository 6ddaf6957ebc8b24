#pragma once
/// The reference backend: every operation as its formula, in float or double, on any platform. It is the oracle that
/// the other backends are held against, so it is written for reading; Eigen does the matrix products.
#include <Eigen/Core>

#include "radapt/core/view.hpp"

namespace radapt {

struct reference {
  static constexpr auto name = "reference";
};

namespace detail::eigen {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Eigen::Index extent(Index n) { return static_cast<Eigen::Index>(n); }

template <class T>
auto map(Matrix<T> m) {
  return Eigen::Map<RowMajor<T>>(m.data, extent(m.rows), extent(m.columns));
}
template <class T>
auto map(Matrix<const T> m) {
  return Eigen::Map<const RowMajor<T>>(m.data, extent(m.rows), extent(m.columns));
}
template <class T>
auto map(Vector<T> v) {
  return Eigen::Map<Eigen::RowVector<T, Eigen::Dynamic>>(v.data, extent(v.size));
}
template <class T>
auto map(Vector<const T> v) {
  return Eigen::Map<const Eigen::RowVector<T, Eigen::Dynamic>>(v.data, extent(v.size));
}
/// `rows` rows of `columns` elements, `stride` elements apart.
template <class T>
auto strided(T* data, Index rows, Index columns, Index stride) {
  using Plain = RowMajor<std::remove_const_t<T>>;
  using Mapped = std::conditional_t<std::is_const_v<T>, const Plain, Plain>;
  return Eigen::Map<Mapped, 0, Eigen::OuterStride<>>(data, extent(rows), extent(columns),
                                                     Eigen::OuterStride<>(extent(stride)));
}

}  // namespace detail::eigen
}  // namespace radapt
