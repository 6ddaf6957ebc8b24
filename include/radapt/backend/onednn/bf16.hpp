#pragma once
/// The CPU backend in bf16: its state and its kernels.
#include "radapt/backend/onednn/bf16_device.hpp"
#include "radapt/backend/onednn/bf16_tiles/attention_backward.hpp"

namespace radapt {

namespace detail::cpu {

/// As map_kept_rows, but kept rows are always gathered: dropping gives runs of all lengths, while a primitive of oneDNN
/// is made for one number of rows, and tiles take 32 rows at a time.
template <class T, class F>
void map_gathered_rows(onednn& device, Matrix<T> y, Matrix<const T> x, const op::KeptRows& kept, F&& multiply) {
  if (kept.keeps_all()) { return multiply(y.data, x.data, y.rows); }
  const RowTable table = kept_rows(device, kept, y.rows);
  if (table.count == 0) { return; }
  T* const panel_x = device.workspace<T>(table.count * (x.columns + y.columns));
  T* const panel_y = panel_x + table.count * x.columns;
  gather_rows(panel_x, x, table.rows, table.count);
  multiply(panel_y, panel_x, table.count);
  scatter_rows<T>(y, panel_y, table.rows, table.count);
}

/// On processors without bf16: op on copies of its rows in float, `make(out, in)` being the same operation on those.
template <class F>
void map_widened_rows(onednn& device, Matrix<bf16> y, Matrix<const bf16> x, F&& make) {
  float* const wide_y = device.widened(y.size() + x.size());
  float* const wide_x = wide_y + y.size();
  convert_in_parallel(wide_y, y.data, y.size());  // rows that are not kept stay as they are
  convert_in_parallel(wide_x, x.data, x.size());
  launch(device, make(Matrix<float>{wide_y, y.rows, y.columns}, Matrix<const float>{wide_x, x.rows, x.columns}));
  convert_in_parallel(y.data, wide_y, y.size());
}

}  // namespace detail::cpu

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_forward<T>& o) {
  using namespace detail::cpu;
  if (onednn_bf16::multiplies_bf16()) {
    map_gathered_rows(device, o.y, o.x, o.kept, [&](T* y, const T* x, Index rows) {
      device.multiply(y, x, rows, o.x.columns, o.y.columns, o.weight.data, true, o.bias.data);
    });
  } else if constexpr (std::is_same_v<T, float>) {
    launch(static_cast<onednn&>(device), o);
  } else {
    map_widened_rows(device, o.y, o.x, [&](Matrix<float> y, Matrix<const float> x) {
      return op::linear_forward<float>{.y = y, .x = x, .weight = o.weight, .bias = o.bias, .kept = o.kept};
    });
  }
}

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_activation_forward<T>& o) {
  using namespace detail::cpu;
  if (onednn_bf16::multiplies_bf16()) {
    device.multiply(o.y.data, o.x.data, o.x.rows, o.x.columns, o.y.columns, o.weight.data, true, o.bias.data, o.kind);
  } else if constexpr (std::is_same_v<T, float>) {
    launch(static_cast<onednn&>(device), o);
  } else {
    map_widened_rows(device, o.y, o.x, [&](Matrix<float> y, Matrix<const float> x) {
      return op::linear_activation_forward<float>{.y = y, .x = x, .weight = o.weight, .bias = o.bias, .kind = o.kind};
    });
  }
}

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_backward_input<T>& o) {
  using namespace detail::cpu;
  if (onednn_bf16::multiplies_bf16()) {
    map_gathered_rows(device, o.dx, o.dy, o.kept, [&](T* dx, const T* dy, Index rows) {
      device.multiply(dx, dy, rows, o.dy.columns, o.dx.columns, o.weight.data, false);
    });
  } else if constexpr (std::is_same_v<T, float>) {
    launch(static_cast<onednn&>(device), o);
  } else {
    map_widened_rows(device, o.dx, o.dy, [&](Matrix<float> dx, Matrix<const float> dy) {
      return op::linear_backward_input<float>{.dx = dx, .dy = dy, .weight = o.weight, .kept = o.kept};
    });
  }
}

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_backward_weight<T>& o) {
  using namespace detail::cpu;
  const Index in = o.x.columns, out = o.dy.columns;
  if (!onednn_bf16::multiplies_bf16()) {
    op::linear_backward_weight<float> wide{
        .dw = o.dw, .dy = {}, .x = {}, .factor = o.factor, .scale = o.scale, .kept = o.kept};
    if constexpr (std::is_same_v<T, float>) {
      wide.dy = o.dy;
      wide.x = o.x;
    } else {
      float* const dy = device.widened(o.dy.size() + o.x.size());
      float* const x = dy + o.dy.size();
      convert_in_parallel(dy, o.dy.data, o.dy.size());
      convert_in_parallel(x, o.x.data, o.x.size());
      wide.dy = {dy, o.dy.rows, out};
      wide.x = {x, o.x.rows, in};
    }
    return launch(static_cast<onednn&>(device), wide);
  }
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const auto accumulate = [&](const T* dy, const T* x, Index rows) {
    device.add_transposed_product(o.dw.data, dy, x, rows, out, in, coefficient);
  };
  if (o.kept.keeps_all()) { return accumulate(o.dy.data, o.x.data, o.x.rows); }
  const RowTable table = kept_rows(device, o.kept, o.x.rows);
  if (table.count == 0) { return; }
  T* const gathered_x = device.workspace<T>(table.count * (in + out));
  T* const gathered_dy = gathered_x + table.count * in;
  gather_rows(gathered_x, o.x, table.rows, table.count);
  gather_rows(gathered_dy, o.dy, table.rows, table.count);
  accumulate(gathered_dy, gathered_x, table.count);
}

#ifdef RADAPT_HAS_AVX512
inline void launch(onednn_bf16& device, const op::attention_forward<bf16>& o) {
  using namespace detail::bf16_tiles;
  if (!available()) { return launch(static_cast<onednn&>(device), o); }
  for_each_head<ForwardRoom>(device, o, attend);
}
inline void launch(onednn_bf16& device, const op::attention_backward<bf16>& o) {
  using namespace detail::bf16_tiles;
  if (!available()) { return launch(static_cast<onednn&>(device), o); }
  for_each_head<BackwardRoom>(device, o, attend_backward);
}
#endif

}  // namespace radapt
