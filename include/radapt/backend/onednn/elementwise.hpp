#pragma once
/// CPU kernels of op/elementwise.hpp.
#include <algorithm>

#include "radapt/backend/onednn/norm.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

inline void launch(onednn&, const op::add<float>& o) {
  using namespace detail::cpu;
  parallel_for(o.y.rows, worthwhile_rows, [&](Index r) { row(o.y, r) += row(o.x, r); });
}

inline void launch(onednn&, const op::scaled_add<float>& o) {
  using namespace detail::cpu;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0f : *o.scale);
  const Index width = o.y.columns;
  Index done = 0;  // rows before this one are written
  const auto copy_until = [&](Index end) {
    if (o.y.data != o.x.data) { std::copy(o.x.data + done * width, o.x.data + end * width, o.y.data + done * width); }
    done = end;
  };
  op::for_each_kept_run(o.kept, o.y.rows, [&](Index begin, Index end) {
    copy_until(begin);
    parallel_for(end - begin, worthwhile_rows, [&](Index i) {
      const Index r = begin + i;
      row(o.y, r) = row(o.x, r) + coefficient * row(o.z, r);
    });
    done = end;
  });
  copy_until(o.y.rows);
}

inline void launch(onednn& device, const op::scaled_add_backward_scale<float>& o) {
  using namespace detail::cpu;
  // One partial sum per row, then added in order: the result does not depend on the number of threads.
  float* partial = device.workspace(o.a.rows);
  double sum = 0;
  op::for_each_kept_run(o.kept, o.a.rows, [&](Index begin, Index end) {
    parallel_for(end - begin, worthwhile_rows,
                 [&](Index i) { partial[begin + i] = (row(o.a, begin + i) * row(o.b, begin + i)).sum(); });
    for (Index r = begin; r < end; ++r) { sum += static_cast<double>(partial[r]); }
  });
  *o.dscale += static_cast<float>(o.factor * sum);
}

}  // namespace radapt
