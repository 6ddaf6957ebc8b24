#pragma once
/// The CPU backend in bf16: its state and its kernels. Where the processor multiplies bf16 they are our own, on tiles;
/// elsewhere those of `onednn` run on copies in float.
#include <utility>

#include "radapt/backend/onednn/bf16_device.hpp"
#include "radapt/backend/onednn/bf16_tiles/attention_backward.hpp"
#include "radapt/backend/onednn/bf16_tiles/linear.hpp"

namespace radapt {

namespace detail::cpu {

/// Runs a linear layer on tiles. False: nothing was done.
template <class Op>
bool run_on_tiles([[maybe_unused]] onednn_bf16& device, [[maybe_unused]] const Op& o) {
#ifdef RADAPT_HAS_AVX512
  if (onednn_bf16::multiplies_bf16()) { return bf16_tiles::run(device, o), true; }
#endif
  return false;
}

/// A matrix of floats, or a copy in float of one of bf16, the next in `room`.
inline Matrix<const float> widened(float*&, Matrix<const float> x) { return x; }
inline Matrix<const float> widened(float*& room, Matrix<const bf16> x) {
  float* const copy = std::exchange(room, room + x.size());
  convert_in_parallel(copy, x.data, x.size());
  return {copy, x.rows, x.columns};
}

/// Runs make(y, widen), an operation of `onednn` that writes the floats y and reads what widen(x) gives, of
/// `elements_read` in all. Rows of y that it leaves stay as they are.
template <class F>
void run_widened(onednn& device, Matrix<float> y, Index, F&& make) {
  launch(device, make(y, [](Matrix<const float> x) { return x; }));
}
template <class F>
void run_widened(onednn& device, Matrix<bf16> y, Index elements_read, F&& make) {
  float* room = device.widened(y.size() + elements_read);
  const Matrix<float> wide{std::exchange(room, room + y.size()), y.rows, y.columns};
  convert_in_parallel(wide.data, y.data, y.size());
  launch(device, make(wide, [&](Matrix<const bf16> x) { return widened(room, x); }));
  convert_in_parallel(y.data, wide.data, y.size());
}

}  // namespace detail::cpu

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_forward<T>& o) {
  using namespace detail::cpu;
  if (run_on_tiles(device, o)) { return; }
  run_widened(device, o.y, o.x.size(), [&](Matrix<float> y, auto&& widen) {
    return op::linear_forward<float>{.y = y, .x = widen(o.x), .weight = o.weight, .bias = o.bias, .kept = o.kept};
  });
}

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_activation_forward<T>& o) {
  using namespace detail::cpu;
  if (run_on_tiles(device, o)) { return; }
  const Matrix<T> h = o.h.data == nullptr ? o.y : o.h;
  launch(device, op::linear_forward<T>{.y = h, .x = o.x, .weight = o.weight, .bias = o.bias});
  launch(static_cast<onednn&>(device), op::activation_forward<T>{.y = o.y, .x = h, .kind = o.kind});
}

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_residual_forward<T>& o) {
  using namespace detail::cpu;
  if (run_on_tiles(device, o)) { return; }
  run_widened(device, o.y, o.x.size() + o.residual.size(), [&](Matrix<float> y, auto&& widen) {
    return op::linear_residual_forward<float>{
        .y = y, .x = widen(o.x), .residual = widen(o.residual), .weight = o.weight, .bias = o.bias};
  });
}

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_backward_input<T>& o) {
  using namespace detail::cpu;
  if (run_on_tiles(device, o)) { return; }
  run_widened(device, o.dx, o.dy.size(), [&](Matrix<float> dx, auto&& widen) {
    return op::linear_backward_input<float>{.dx = dx, .dy = widen(o.dy), .weight = o.weight, .kept = o.kept};
  });
}

template <cpu_element T>
void launch(onednn_bf16& device, const op::linear_backward_weight<T>& o) {
  using namespace detail::cpu;
  if (run_on_tiles(device, o)) { return; }
  float* room = std::is_same_v<T, float> ? nullptr : device.widened(o.dy.size() + o.x.size());
  const Matrix<const float> dy = widened(room, o.dy), x = widened(room, o.x);
  launch(static_cast<onednn&>(device),
         op::linear_backward_weight<float>{
             .dw = o.dw, .dy = dy, .x = x, .factor = o.factor, .scale = o.scale, .kept = o.kept});
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
