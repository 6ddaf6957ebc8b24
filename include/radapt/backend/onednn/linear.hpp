#pragma once
/// oneDNN kernels of op/linear.hpp, on dnnl_sgemm; and on panels of weights that are constant (panel_products.hpp).
///
/// dnnl_sgemm rather than oneDNN's matmul primitive: with AVX2 both run the same generated code (1600 x 768 x 3072 on
/// two cores: 164 and 160 to 170 GFLOP/s), and a primitive is made for one number of rows (0.2 ms), while text towers
/// and adapter dropping give another number in every batch. The bias is one pass afterwards, while y is in the cache.
#include "radapt/backend/onednn/activation.hpp"
#include "radapt/backend/onednn/elementwise.hpp"
#include "radapt/backend/onednn/panel_products.hpp"
#include "radapt/op/linear.hpp"

namespace radapt {

namespace detail::cpu {

/// Kept rows that do not form long runs are gathered in panels of so many rows, multiplied at once, and put back.
inline constexpr Index panel_rows = 512;

/// Mean length from which runs are multiplied where they lie. Copying a row of 512 floats in and out takes as long as
/// the difference between products of 16 rows (104 GFLOP/s) and of 64 rows (170).
inline constexpr Index direct_run_rows = 32;

template <class T>
void gather_rows(T* to, Matrix<const T> from, const Index* rows, Index count) {
  parallel_for(count, from.columns, [&](Index i) {
    std::memcpy(to + i * from.columns, from.data + rows[i] * from.columns, from.columns * sizeof(T));
  });
}
template <class T>
void scatter_rows(Matrix<T> to, const T* from, const Index* rows, Index count) {
  parallel_for(count, to.columns, [&](Index i) {
    std::memcpy(to.data + rows[i] * to.columns, from + i * to.columns, to.columns * sizeof(T));
  });
}

/// Calls f(rows, count) for panels of a table.
template <class F>
void for_each_panel(const RowTable& table, F&& f) {
  for (Index i = 0; i < table.count; i += panel_rows) { f(table.rows + i, std::min(panel_rows, table.count - i)); }
}

/// Calls multiply(y, x, count) so that every kept row of y is made from its row of x, and no other row is touched.
template <class F>
void map_kept_rows(onednn& device, Matrix<float> y, Matrix<const float> x, const op::KeptRows& kept, F&& multiply) {
  const auto direct = [&](Index begin, Index end) {
    multiply(y.data + begin * y.columns, x.data + begin * x.columns, end - begin);
  };
  if (kept.keeps_all()) { return op::for_each_kept_run(kept, y.rows, direct); }
  const RowTable table = kept_rows(device, kept, y.rows);
  if (table.count >= table.runs * direct_run_rows || table.runs == 1) {
    return op::for_each_kept_run(kept, y.rows, direct);
  }
  const Index most = std::min(panel_rows, table.count);
  float* const panel_x = device.workspace<float>(most * (x.columns + y.columns));
  float* const panel_y = panel_x + most * x.columns;
  for_each_panel(table, [&](const Index* rows, Index count) {
    gather_rows(panel_x, x, rows, count);
    multiply(panel_y, panel_x, count);
    scatter_rows(y, panel_y, rows, count);
  });
}

inline void add_bias(float* y, const float* bias, Index rows, Index width) {
  parallel_for(rows, width, [&](Index r) { add_to(y + r * width, bias, width); });
}

/// h += bias, which may be null, and y = act(h); y may be h. On AVX-512 row by row, so that h passes once.
inline void add_bias_and_activate(onednn& device, Activation kind, float* y, float* h, const float* bias, Index rows,
                                  Index width) {
#ifdef RADAPT_HAS_AVX512
  if (avx512::available<float>()) {
    return parallel_for(rows, 2 * width, [&](Index r) {
      float* const row = h + r * width;
      if (bias != nullptr) { add_to(row, bias, width); }
      avx512::activate(kind, y + r * width, row, width);
    });
  }
#endif
  if (bias != nullptr) { add_bias(h, bias, rows, width); }
  device.activate(kind, y, h, rows * width);
}

inline void add_bias_and_residual(float* y, const float* bias, const float* residual, Index rows, Index width) {
  parallel_for(rows, width, [&](Index r) {
    float* const row = y + r * width;
    const float* const added = residual + r * width;
    RADAPT_VECTOR_LOOP
    for (Index i = 0; i < width; ++i) { row[i] = row[i] + bias[i] + added[i]; }
  });
}

}  // namespace detail::cpu

inline void launch(onednn& device, const op::linear_forward<float>& o) {
  using namespace detail::cpu;
  const Index in = o.x.columns, out = o.y.columns;
  const Panels panels = panels_of(device, o.weight.data, in, out, true);
  map_kept_rows(device, o.y, o.x, o.kept, [&](float* y, const float* x, Index rows) {
    if (multiply(device, {.y = y, .stride = out, .bias = o.bias.data}, x, rows, panels)) { return; }
    check_product(product(y, out, rows, out, in, {x, in}, {o.weight.data, in, true}));
    if (o.bias) { add_bias(y, o.bias.data, rows, out); }
  });
}

inline void launch(onednn& device, const op::linear_activation_forward<float>& o) {
  using namespace detail::cpu;
  const Index rows = o.x.rows, in = o.x.columns, out = o.y.columns;
  const PanelResult y{.y = o.y.data, .stride = out, .bias = o.bias.data, .activation = o.kind, .h = o.h.data};
  if (multiply(device, y, o.x.data, rows, panels_of(device, o.weight.data, in, out, true))) { return; }
  float* const h = o.h.data == nullptr ? o.y.data : o.h.data;
  check_product(product(h, out, rows, out, in, {o.x.data, in}, {o.weight.data, in, true}));
  add_bias_and_activate(device, o.kind, o.y.data, h, o.bias.data, rows, out);
}

inline void launch(onednn& device, const op::linear_residual_forward<float>& o) {
  using namespace detail::cpu;
  const Index rows = o.x.rows, in = o.x.columns, out = o.y.columns;
  const PanelResult y{.y = o.y.data, .stride = out, .bias = o.bias.data, .residual = o.residual.data};
  if (multiply(device, y, o.x.data, rows, panels_of(device, o.weight.data, in, out, true))) { return; }
  check_product(product(o.y.data, out, rows, out, in, {o.x.data, in}, {o.weight.data, in, true}));
  if (o.bias) { return add_bias_and_residual(o.y.data, o.bias.data, o.residual.data, rows, out); }
  launch(device, op::add<float>{.y = o.y, .x = o.residual});
}

inline void launch(onednn& device, const op::linear_backward_input<float>& o) {
  using namespace detail::cpu;
  const Index in = o.dx.columns, out = o.dy.columns;
  const Panels panels = panels_of(device, o.weight.data, out, in, false);
  map_kept_rows(device, o.dx, o.dy, o.kept, [&](float* dx, const float* dy, Index rows) {
    if (multiply(device, {.y = dx, .stride = in}, dy, rows, panels)) { return; }
    check_product(product(dx, in, rows, in, out, {dy, out}, {o.weight.data, in}));
  });
}

inline void launch(onednn& device, const op::linear_backward_weight<float>& o) {
  using namespace detail::cpu;
  const Index in = o.x.columns, out = o.dy.columns;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const auto accumulate = [&](const float* dy, const float* x, Index rows) {
    if (rows == 0) { return; }
    check_product(product(o.dw.data, in, out, in, rows, {dy, out, true}, {x, in}, coefficient, 1.0F));
  };
  if (o.kept.keeps_all()) { return accumulate(o.dy.data, o.x.data, o.x.rows); }
  const RowTable table = kept_rows(device, o.kept, o.x.rows);
  if (table.runs == 1) {
    return accumulate(o.dy.data + table.rows[0] * out, o.x.data + table.rows[0] * in, table.count);
  }
  // Every product reads and writes all of dW: several runs are gathered whatever their length.
  const Index most = std::min(panel_rows, table.count);
  float* const panel_x = device.workspace<float>(most * (in + out));
  float* const panel_dy = panel_x + most * in;
  for_each_panel(table, [&](const Index* rows, Index count) {
    gather_rows(panel_x, o.x, rows, count);
    gather_rows(panel_dy, o.dy, rows, count);
    accumulate(panel_dy, panel_x, count);
  });
}

template <cpu_element T>
void launch(onednn& device, const op::linear_backward_bias<T>& o) {
  using namespace detail::cpu;
  const Index out = o.dy.columns;
  const auto add_row = [&](Index r, const std::array<float*, 1>& sums) { add_to(sums[0], o.dy.data + r * out, out); };
  if (o.kept.keeps_all()) { return sum_rows<1>(device, o.dy.rows, out, {o.db.data}, add_row); }
  const RowTable table = kept_rows(device, o.kept, o.dy.rows);
  sum_rows<1>(device, table.count, out, {o.db.data}, [&](Index i, const auto& sums) { add_row(table.rows[i], sums); });
}

}  // namespace radapt
