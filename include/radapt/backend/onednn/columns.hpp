#pragma once
/// oneDNN backend's kernels of op/columns.hpp: one pass over the columns.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/columns.hpp"

namespace radapt {

template <cpu_element T>
void launch(onednn&, const op::take_columns<T>& o) {
  const Index width = o.y.columns;
  detail::cpu::parallel_for(o.y.rows, width, [&](Index r) {
    std::memcpy(o.y.data + r * width, o.x.data + r * o.x.columns + o.first, width * sizeof(T));
  });
}

template <cpu_element T>
void launch(onednn& device, const op::add_columns<T>& o) {
  using namespace detail::cpu;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const Index width = o.z.columns;
  const auto add_row = [&](Index r) {
    T* const y = o.y.data + r * o.y.columns + o.first;
    const T* const z = o.z.data + r * width;
    RADAPT_VECTOR_LOOP
    for (Index j = 0; j < width; ++j) { store(y, j, load(y, j) + coefficient * load(z, j)); }
  };
  if (o.kept.keeps_all()) { return parallel_for(o.y.rows, width, add_row); }
  const RowTable table = kept_rows(device, o.kept, o.y.rows);
  parallel_for(table.count, width, [&](Index i) { add_row(table.rows[i]); });
}

}  // namespace radapt
