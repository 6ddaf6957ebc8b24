#pragma once
/// Linear layers of onednn_bf16 on processors that multiply bf16.
#include "radapt/backend/onednn/bf16_device.hpp"
#include "radapt/backend/onednn/linear.hpp"

#ifdef RADAPT_HAS_AVX512
namespace radapt::detail::bf16_tiles {

/// As map_kept_rows, but kept rows are always gathered: dropping gives runs of all lengths, and tiles take 32 rows at a
/// time.
template <class T, class F>
void map_gathered_rows(onednn& device, Matrix<T> y, Matrix<const T> x, const op::KeptRows& kept, F&& multiply) {
  if (kept.keeps_all()) { return multiply(y.data, x.data, y.rows); }
  const cpu::RowTable table = cpu::kept_rows(device, kept, y.rows);
  if (table.count == 0) { return; }
  T* const panel_x = device.workspace<T>(table.count * (x.columns + y.columns));
  T* const panel_y = panel_x + table.count * x.columns;
  cpu::gather_rows(panel_x, x, table.rows, table.count);
  multiply(panel_y, panel_x, table.count);
  cpu::scatter_rows<T>(y, panel_y, table.rows, table.count);
}

/// The product of a layer's forward pass, all rows of x.
template <class T, class Op>
void multiply_forward(onednn_bf16& device, const Op& o, const Result<T>& result, const T* x, Index rows) {
  device.products().multiply(result, x, rows, o.x.columns, o.y.columns, o.weight.data, true, device.constant());
}

template <class T>
void run(onednn_bf16& device, const op::linear_forward<T>& o) {
  map_gathered_rows(device, o.y, o.x, o.kept, [&](T* y, const T* x, Index rows) {
    multiply_forward<T>(device, o, {.y = y, .stride = o.y.columns, .bias = o.bias.data}, x, rows);
  });
}

template <class T>
void run(onednn_bf16& device, const op::linear_activation_forward<T>& o) {
  const Result<T> y{.y = o.y.data, .stride = o.y.columns, .bias = o.bias.data, .activation = o.kind, .h = o.h.data};
  multiply_forward<T>(device, o, y, o.x.data, o.x.rows);
}

template <class T>
void run(onednn_bf16& device, const op::linear_residual_forward<T>& o) {
  const Result<T> y{.y = o.y.data, .stride = o.y.columns, .bias = o.bias.data, .residual = o.residual.data};
  multiply_forward<T>(device, o, y, o.x.data, o.x.rows);
}

template <class T>
void run(onednn_bf16& device, const op::linear_backward_input<T>& o) {
  map_gathered_rows(device, o.dx, o.dy, o.kept, [&](T* dx, const T* dy, Index rows) {
    const Result<T> result{.y = dx, .stride = o.dx.columns};
    device.products().multiply(result, dy, rows, o.dy.columns, o.dx.columns, o.weight.data, false, device.constant());
  });
}

template <class T>
void run(onednn_bf16& device, const op::linear_backward_weight<T>& o) {
  const Index in = o.x.columns, out = o.dy.columns;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const auto accumulate = [&](const T* dy, const T* x, Index rows) {
    device.products().add_transposed_product(o.dw.data, dy, x, rows, out, in, coefficient);
  };
  if (o.kept.keeps_all()) { return accumulate(o.dy.data, o.x.data, o.x.rows); }
  const cpu::RowTable table = cpu::kept_rows(device, o.kept, o.x.rows);
  if (table.count == 0) { return; }
  T* const gathered_x = device.workspace<T>(table.count * (in + out));
  T* const gathered_dy = gathered_x + table.count * in;
  cpu::gather_rows(gathered_x, o.x, table.rows, table.count);
  cpu::gather_rows(gathered_dy, o.dy, table.rows, table.count);
  accumulate(gathered_dy, gathered_x, table.count);
}

}  // namespace radapt::detail::bf16_tiles
#endif
