#pragma once
/// oneDNN backend's kernels of op/pool.hpp: copies of rows.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/pool.hpp"

namespace radapt {

inline void launch(onednn&, const op::pool_forward<float>& o) {
  const Index width = o.x.columns;
  detail::cpu::parallel_for(o.sequences.count, width, [&](Index i) {
    const float* const x = o.x.data + op::pooled_row(o.sequences, o.pooling, i) * width;
    std::memcpy(o.y.data + i * width, x, width * sizeof(float));
  });
}

inline void launch(onednn&, const op::pool_backward<float>& o) {
  const Index width = o.dx.columns;
  detail::cpu::parallel_blocks(o.dx.size(),
                               [&](Index begin, Index n) { std::memset(o.dx.data + begin, 0, n * sizeof(float)); });
  detail::cpu::parallel_for(o.sequences.count, width, [&](Index i) {
    float* const dx = o.dx.data + op::pooled_row(o.sequences, o.pooling, i) * width;
    std::memcpy(dx, o.dy.data + i * width, width * sizeof(float));
  });
}

}  // namespace radapt
