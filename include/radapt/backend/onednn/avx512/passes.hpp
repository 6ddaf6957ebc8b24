#pragma once
/// Operations on rows as kernels of our own.
#include "radapt/backend/onednn/avx512/rows.hpp"
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/norm.hpp"

#ifdef RADAPT_HAS_AVX512

namespace radapt::detail::avx512 {

template <class T>
void run(const op::layer_norm_forward<T>& o) {
  const Index width = o.x.columns;
  cpu::parallel_for(o.x.rows, width, [&](Index r) {
    const RowStatistics s = normalise_row(o.y.data + r * width, o.x.data + r * width, o.weight.data, o.bias.data, width,
                                          static_cast<float>(o.eps));
    if (o.mean) { o.mean.data[r] = s.mean; }
    if (o.rstd) { o.rstd.data[r] = s.rstd; }
  });
}

template <class T>
void run(const op::layer_norm_backward_input<T>& o) {
  const Index width = o.x.columns;
  cpu::parallel_for(o.x.rows, width, [&](Index r) {
    normalise_row_backward(o.dx.data + r * width, o.dy.data + r * width, o.x.data + r * width, o.weight.data, width,
                           {o.mean.data[r], o.rstd.data[r]});
  });
}

template <class T>
void run(const op::activation_forward<T>& o) {
  cpu::parallel_blocks(o.x.size(),
                       [&](Index begin, Index n) { activate(o.kind, o.y.data + begin, o.x.data + begin, n); });
}

template <class T>
void run(const op::activation_backward<T>& o) {
  cpu::parallel_blocks(o.x.size(), [&](Index begin, Index n) {
    activate_backward(o.kind, o.dx.data + begin, o.dy.data + begin, o.x.data + begin, n);
  });
}

template <class T>
void run(const op::add<T>& o) {
  cpu::parallel_blocks(o.y.size(), [&](Index begin, Index n) { add(o.y.data + begin, o.x.data + begin, n); });
}

}  // namespace radapt::detail::avx512

#endif

namespace radapt::detail::cpu {

/// Runs an operation that has a `run` above where the processor has AVX-512. False: nothing was done.
template <class Op>
bool run_on_avx512([[maybe_unused]] const Op& o) {
#ifdef RADAPT_HAS_AVX512
  if (avx512::available<typename Op::element>()) { return avx512::run(o), true; }
#endif
  return false;
}

}  // namespace radapt::detail::cpu
