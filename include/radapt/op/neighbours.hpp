#pragma once
/// How far rows are from the members of a set.
#include "radapt/core/view.hpp"

namespace radapt::op {

/// distances_i = the k-th smallest over j of max(0, 2 - 2 <x_i, set_j>): for rows of length 1 the squared distance of
/// row i to its k-th nearest member. Of members at one distance each counts. The numbers must be finite.
///
/// Products are not rounded to bf16 on any backend: a distance is the difference of two numbers near one. Kernels work
/// on as many rows at once as keep the table of their cosines within `table_bytes`, at least on one.
template <class T>
struct kth_neighbour {
  static constexpr auto name = "kth_neighbour";
  using element = T;
  Vector<double> distances;  // (rows)
  Matrix<const T> x;         // (rows, width), rows of length 1
  Matrix<const T> set;       // (n, width), rows of length 1
  Index k = 1;               // 1 .. n
  Index table_bytes = Index{64} << 20;
};

/// The cosine of the k-th nearest member as a distance. Rounding may lift the cosine of equal directions above 1.
constexpr double squared_distance(double cosine) { return cosine < 1.0 ? 2.0 - 2.0 * cosine : 0.0; }

/// Rows that a kernel works on at once.
template <class T>
constexpr Index rows_at_once(const kth_neighbour<T>& o) {
  const Index fit = o.table_bytes / (o.set.rows * sizeof(T));
  return fit >= o.x.rows ? o.x.rows : fit == 0 ? 1 : fit;
}

}  // namespace radapt::op
