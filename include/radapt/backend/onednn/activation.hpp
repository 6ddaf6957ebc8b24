#pragma once
/// oneDNN kernels of op/activation.hpp.
#include <algorithm>

#include "radapt/backend/onednn/avx512/passes.hpp"
#include "radapt/backend/onednn/convert.hpp"
#include "radapt/op/activation.hpp"

namespace radapt {

namespace detail::cpu {
/// Elements of bf16 that are widened at a time on processors without AVX512-BF16: 64 KiB.
inline constexpr Index widened_block = 16384;
}  // namespace detail::cpu

template <cpu_element T>
void launch(onednn& device, const op::activation_forward<T>& o) {
  using namespace detail::cpu;
  if (run_on_avx512(o)) { return; }
  const Index size = o.x.size();
  if constexpr (std::is_same_v<T, float>) { return device.activate(o.kind, o.y.data, o.x.data, size); }
  float* const y = device.widened(widened_block);
  for (Index begin = 0; begin < size; begin += widened_block) {
    const Index n = std::min(widened_block, size - begin);
    convert(y, o.x.data + begin, n);
    device.activate(o.kind, y, y, n);
    convert(o.y.data + begin, y, n);
  }
}

template <cpu_element T>
void launch(onednn& device, const op::activation_backward<T>& o) {
  using namespace detail::cpu;
  if (run_on_avx512(o)) { return; }
  const Index size = o.x.size();
  if constexpr (std::is_same_v<T, float>) {
    return device.activate_backward(o.kind, o.dx.data, o.dy.data, o.x.data, size);
  }
  float *const dy = device.widened(2 * widened_block), *const x = dy + widened_block;
  for (Index begin = 0; begin < size; begin += widened_block) {
    const Index n = std::min(widened_block, size - begin);
    convert(dy, o.dy.data + begin, n);
    convert(x, o.x.data + begin, n);
    device.activate_backward(o.kind, dy, dy, x, n);
    convert(o.dx.data + begin, dy, n);
  }
}

}  // namespace radapt
