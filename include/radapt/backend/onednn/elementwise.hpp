#pragma once
/// oneDNN backend's kernels of op/elementwise.hpp: one pass over memory each.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

inline void launch(onednn&, const op::add<float>& o) {
  using namespace detail::cpu;
  parallel_blocks(o.y.size(), [&](Index begin, Index n) { add_to(o.y.data + begin, o.x.data + begin, n); });
}

inline void launch(onednn& device, const op::scaled_add<float>& o) {
  using namespace detail::cpu;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const auto combine = [&](Index begin, Index n) {
    float* const y = o.y.data + begin;
    const float *const x = o.x.data + begin, *const z = o.z.data + begin;
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < n; ++i) { y[i] = x[i] + coefficient * z[i]; }
  };
  if (o.kept.keeps_all()) { return parallel_blocks(o.y.size(), combine); }
  const Index width = o.y.columns;
  const RowTable table = kept_rows(device, o.kept, o.y.rows);
  // Row i of the table is handled together with the dropped rows in front of it; the last task takes those behind.
  parallel_for(table.count + 1, width, [&](Index i) {
    const Index dropped = i == 0 ? 0 : table.rows[i - 1] + 1;
    const Index kept = i == table.count ? o.y.rows : table.rows[i];
    if (o.y.data != o.x.data && kept > dropped) {
      std::memcpy(o.y.data + dropped * width, o.x.data + dropped * width, (kept - dropped) * width * sizeof(float));
    }
    if (i < table.count) { combine(kept * width, width); }
  });
}

inline void launch(onednn& device, const op::scaled_add_backward_scale<float>& o) {
  using namespace detail::cpu;
  constexpr Index rows_per_block = 16;
  const Index width = o.a.columns;
  const RowTable table = kept_rows(device, o.kept, o.a.rows);
  const double sum =
      ordered_sum(device, block_count(table.count, rows_per_block), rows_per_block * width, [&](Index block) {
        double part = 0;
        for (Index i = block * rows_per_block; i < std::min(table.count, (block + 1) * rows_per_block); ++i) {
          const float *const a = o.a.data + table.rows[i] * width, *const b = o.b.data + table.rows[i] * width;
          RADAPT_VECTOR_SUM(part)
          for (Index j = 0; j < width; ++j) { part += static_cast<double>(a[j]) * static_cast<double>(b[j]); }
        }
        return part;
      });
  *o.dscale += static_cast<float>(o.factor * sum);
}

}  // namespace radapt
