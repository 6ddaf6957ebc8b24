#pragma once
/// oneDNN kernels of op/linear.hpp.
#include <algorithm>

#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/op/linear.hpp"

namespace radapt {

inline void launch(onednn&, const op::linear_forward<float>& o) {
  using namespace detail::cpu;
  const Index in = o.x.columns, out = o.y.columns;
  op::for_each_kept_run(o.kept, o.y.rows, [&](Index begin, Index end) {
    float* y = o.y.data + begin * out;
    if (o.bias) {  // the product adds to rows that already hold the bias: one pass less than adding it afterwards
      parallel_for(end - begin, 256, [&](Index r) { std::copy(o.bias.data, o.bias.data + out, y + r * out); });
    }
    multiply(Transpose::no, Transpose::yes, end - begin, out, in, 1.0f, o.x.data + begin * in, in, o.weight.data, in,
             o.bias ? 1.0f : 0.0f, y, out);
  });
}

inline void launch(onednn&, const op::linear_backward_input<float>& o) {
  using namespace detail::cpu;
  const Index in = o.dx.columns, out = o.dy.columns;
  op::for_each_kept_run(o.kept, o.dx.rows, [&](Index begin, Index end) {
    multiply(Transpose::no, Transpose::no, end - begin, in, out, 1.0f, o.dy.data + begin * out, out, o.weight.data, in,
             0.0f, o.dx.data + begin * in, in);
  });
}

inline void launch(onednn&, const op::linear_backward_weight<float>& o) {
  using namespace detail::cpu;
  const Index in = o.x.columns, out = o.dy.columns;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0f : *o.scale);
  op::for_each_kept_run(o.kept, o.x.rows, [&](Index begin, Index end) {
    multiply(Transpose::yes, Transpose::no, out, in, end - begin, coefficient, o.dy.data + begin * out, out,
             o.x.data + begin * in, in, 1.0f, o.dw.data, in);
  });
}

inline void launch(onednn&, const op::linear_backward_bias<float>& o) {
  using namespace detail::cpu;
  // Columns are dealt out, rows are added in order: the sum does not depend on the number of threads.
  constexpr Index chunk = 64;
  const Index width = o.dy.columns;
  parallel_for((width + chunk - 1) / chunk, 4, [&](Index c) {
    const Index first = c * chunk, last = std::min(width, first + chunk);
    for (Index r = 0; r < o.dy.rows; ++r) {
      const float* dy = o.dy.data + r * width;
      for (Index i = first; i < last; ++i) { o.db.data[i] += dy[i]; }
    }
  });
}

}  // namespace radapt
