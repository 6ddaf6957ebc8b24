#pragma once
/// Reference kernels of op/columns.hpp.
#include <algorithm>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/columns.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::take_columns<T>& o) {
  for (Index r = 0; r < o.y.rows; ++r) {
    std::copy_n(o.x.data + r * o.x.columns + o.first, o.y.columns, o.y.data + r * o.y.columns);
  }
}

template <class T>
void launch(reference&, const op::add_columns<T>& o) {
  const T coefficient = static_cast<T>(o.factor) * (o.scale == nullptr ? T{1} : *o.scale);
  op::for_each_kept_run(o.kept, o.y.rows, [&](Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      T* const y = o.y.data + r * o.y.columns + o.first;
      const T* const z = o.z.data + r * o.z.columns;
      for (Index j = 0; j < o.z.columns; ++j) { y[j] += coefficient * z[j]; }
    }
  });
}

}  // namespace radapt
