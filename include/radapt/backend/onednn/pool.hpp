#pragma once
/// oneDNN backend's kernels of op/pool.hpp: copies of rows.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/pool.hpp"

namespace radapt {

template <cpu_element T>
void launch(onednn&, const op::pool_forward<T>& o) {
  const Index width = o.x.columns;
  detail::cpu::parallel_for(o.sequences.count, width, [&](Index i) {
    const T* const x = o.x.data + op::pooled_row(o.sequences, o.pooling, i) * width;
    std::memcpy(o.y.data + i * width, x, width * sizeof(T));
  });
}

template <cpu_element T>
void launch(onednn&, const op::pool_backward<T>& o) {
  const Index width = o.dx.columns;
  const auto at = [&](Index i) { return o.dx.data + op::pooled_row(o.sequences, o.pooling, i) * width; };
  if (o.adds) {
    detail::cpu::parallel_for(o.sequences.count, width,
                              [&](Index i) { detail::cpu::add_to(at(i), o.dy.data + i * width, width); });
    return;
  }
  detail::cpu::parallel_blocks(
      o.dx.size(), [&](Index begin, Index n) { std::memset(static_cast<void*>(o.dx.data + begin), 0, n * sizeof(T)); });
  detail::cpu::parallel_for(o.sequences.count, width,
                            [&](Index i) { std::memcpy(at(i), o.dy.data + i * width, width * sizeof(T)); });
}

}  // namespace radapt
