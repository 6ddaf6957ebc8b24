#pragma once
/// oneDNN backend's kernels of op/elementwise.hpp: one pass over memory each.
#include "radapt/backend/onednn/avx512/passes.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

template <cpu_element T>
void launch(onednn&, const op::add<T>& o) {
  using namespace detail::cpu;
  if (run_on_avx512(o)) { return; }
  parallel_blocks(o.y.size(), [&](Index begin, Index n) { add_to(o.y.data + begin, o.x.data + begin, n); });
}

template <cpu_element T>
void launch(onednn& device, const op::scaled_add<T>& o) {
  using namespace detail::cpu;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const auto combine = [&](Index begin, Index n) {
    T* const y = o.y.data + begin;
    const T *const x = o.x.data + begin, *const z = o.z.data + begin;
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < n; ++i) { store(y, i, load(x, i) + coefficient * load(z, i)); }
  };
  if (o.kept.keeps_all()) { return parallel_blocks(o.y.size(), combine); }
  const Index width = o.y.columns;
  const RowTable table = kept_rows(device, o.kept, o.y.rows);
  // Row i of the table is handled together with the dropped rows in front of it; the last task takes those behind.
  parallel_for(table.count + 1, width, [&](Index i) {
    const Index dropped = i == 0 ? 0 : table.rows[i - 1] + 1;
    const Index kept = i == table.count ? o.y.rows : table.rows[i];
    if (o.y.data != o.x.data && kept > dropped) {
      std::memcpy(o.y.data + dropped * width, o.x.data + dropped * width, (kept - dropped) * width * sizeof(T));
    }
    if (i < table.count) { combine(kept * width, width); }
  });
}

template <cpu_element T>
void launch(onednn& device, const op::scaled_add_backward_scale<T>& o) {
  using namespace detail::cpu;
  constexpr Index rows_per_block = 16;
  const Index width = o.a.columns;
  const RowTable table = kept_rows(device, o.kept, o.a.rows);
  const double sum =
      ordered_sum(device, block_count(table.count, rows_per_block), rows_per_block * width, [&](Index block) {
        double part = 0;
        for (Index i = block * rows_per_block; i < std::min(table.count, (block + 1) * rows_per_block); ++i) {
          const T *const a = o.a.data + table.rows[i] * width, *const b = o.b.data + table.rows[i] * width;
          RADAPT_VECTOR_SUM(part)
          for (Index j = 0; j < width; ++j) {
            part += static_cast<double>(load(a, j)) * static_cast<double>(load(b, j));
          }
        }
        return part;
      });
  *o.dscale += static_cast<float>(o.factor * sum);
}

}  // namespace radapt
