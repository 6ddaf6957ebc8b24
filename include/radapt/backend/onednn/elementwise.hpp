#pragma once
/// oneDNN backend's kernels of op/elementwise.hpp: one pass over memory each.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

inline void launch(onednn&, const op::add<float>& o) {
  using namespace detail::cpu;
  parallel_blocks(o.y.size(), [&](Index begin, Index n) { array(o.y.data + begin, n) += array(o.x.data + begin, n); });
}

inline void launch(onednn& device, const op::scaled_add<float>& o) {
  using namespace detail::cpu;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const auto combine = [&](Index begin, Index n) {
    array(o.y.data + begin, n) = array(o.x.data + begin, n) + coefficient * array(o.z.data + begin, n);
  };
  if (o.kept.mask == nullptr) { return parallel_blocks(o.y.size(), combine); }
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
          const auto a = array(o.a.data + table.rows[i] * width, width);
          const auto b = array(o.b.data + table.rows[i] * width, width);
          part += (a.cast<double>() * b.cast<double>()).sum();
        }
        return part;
      });
  *o.dscale += static_cast<float>(o.factor * sum);
}

}  // namespace radapt
