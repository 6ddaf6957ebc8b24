#pragma once
/// oneDNN backend's kernels of op/convert.hpp.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/convert.hpp"

namespace radapt {

namespace detail::cpu {

/// y = x, n elements, in whichever types.
template <class Y, class X>
void convert(Y* y, const X* x, Index n) {
  RADAPT_VECTOR_LOOP
  for (Index i = 0; i < n; ++i) { store(y, i, load(x, i)); }
}
template <class Y, class X>
void convert_in_parallel(Y* y, const X* x, Index n) {
  parallel_blocks(n, [&](Index begin, Index size) { convert(y + begin, x + begin, size); });
}

}  // namespace detail::cpu

template <cpu_element T>
void launch(onednn&, const op::widen<T>& o) {
  detail::cpu::convert_in_parallel(o.y.data, o.x.data, o.x.size());
}

template <cpu_element T>
void launch(onednn&, const op::narrow<T>& o) {
  detail::cpu::convert_in_parallel(o.y.data, o.x.data, o.x.size());
}

}  // namespace radapt
