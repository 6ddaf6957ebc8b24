#pragma once
/// Some columns of a matrix: what adapters of one of q, k and v read and change in their fused projection.
#include "radapt/core/element.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt::op {

/// y = the columns of x from `first` on, as many as y has.
template <class T>
struct take_columns {
  static constexpr auto name = "take_columns";
  using element = T;
  Matrix<T> y;        // (rows, width)
  Matrix<const T> x;  // (rows, at least first + width)
  Index first = 0;
};

/// y += factor * scale * z in the columns from `first` on, as many as z has, on the kept rows.
template <class T>
struct add_columns {
  static constexpr auto name = "add_columns";
  using element = T;
  Matrix<T> y;        // (rows, at least first + width)
  Matrix<const T> z;  // (rows, width), read at kept rows only
  Index first = 0;
  double factor = 1.0;                    // known to the host
  const parameter_t<T>* scale = nullptr;  // a parameter in the backend's memory; null is 1
  KeptRows kept{};
};

}  // namespace radapt::op
