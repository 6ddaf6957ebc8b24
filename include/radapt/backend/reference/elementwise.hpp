#pragma once
/// Reference kernels of op/elementwise.hpp.
#include <algorithm>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::add<T>& o) {
  detail::eigen::map(o.y) += detail::eigen::map(o.x);
}

template <class T>
void launch(reference&, const op::scaled_add<T>& o) {
  const T coefficient = static_cast<T>(o.factor) * (o.scale == nullptr ? T{1} : *o.scale);
  const Index width = o.y.columns;
  Index done = 0;  // rows before this one are written
  const auto copy_until = [&](Index end) {
    if (o.y.data != o.x.data) { std::copy(o.x.data + done * width, o.x.data + end * width, o.y.data + done * width); }
    done = end;
  };
  op::for_each_kept_run(o.kept, o.y.rows, [&](Index begin, Index end) {
    copy_until(begin);
    for (Index i = begin * width; i < end * width; ++i) { o.y.data[i] = o.x.data[i] + coefficient * o.z.data[i]; }
    done = end;
  });
  copy_until(o.y.rows);
}

template <class T>
void launch(reference&, const op::scaled_add_backward_scale<T>& o) {
  const Index width = o.a.columns;
  double sum = 0;
  op::for_each_kept_run(o.kept, o.a.rows, [&](Index begin, Index end) {
    for (Index i = begin * width; i < end * width; ++i) {
      sum += static_cast<double>(o.a.data[i]) * static_cast<double>(o.b.data[i]);
    }
  });
  *o.dscale += static_cast<T>(o.factor * sum);
}

}  // namespace radapt
