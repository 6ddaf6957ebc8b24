#pragma once
/// Reference kernels of op/pool.hpp.
#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/pool.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::pool_forward<T>& o) {
  using namespace detail::eigen;
  for (Index i = 0; i < o.sequences.count; ++i) {
    map(o.y).row(extent(i)) = map(o.x).row(extent(op::pooled_row(o.sequences, o.pooling, i)));
  }
}

template <class T>
void launch(reference&, const op::pool_backward<T>& o) {
  using namespace detail::eigen;
  if (!o.adds) { map(o.dx).setZero(); }
  for (Index i = 0; i < o.sequences.count; ++i) {
    auto dx = map(o.dx).row(extent(op::pooled_row(o.sequences, o.pooling, i)));
    if (o.adds) {
      dx += map(o.dy).row(extent(i));
    } else {
      dx = map(o.dy).row(extent(i));
    }
  }
}

}  // namespace radapt
