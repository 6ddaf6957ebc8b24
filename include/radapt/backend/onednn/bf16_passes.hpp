#pragma once
/// What onednn_bf16 does itself beside products: attention and passes over rows, on processors with AMX. Elsewhere, and
/// for all other operations, the kernels of `onednn` run on bf16.
#include "radapt/backend/onednn/amx/attention_backward.hpp"
#include "radapt/backend/onednn/amx/rows.hpp"
#include "radapt/backend/onednn/bf16_device.hpp"

#ifdef RADAPT_HAS_AMX
namespace radapt {

namespace detail::amx {

inline void run(onednn_bf16& device, const op::attention_forward<bf16>& o) {
  for_each_head<ForwardRoom>(device, o, attend);
}
inline void run(onednn_bf16& device, const op::attention_backward<bf16>& o) {
  for_each_head<BackwardRoom>(device, o, attend_backward);
}

inline void run(onednn_bf16&, const op::layer_norm_forward<bf16>& o) {
  const Index width = o.x.columns;
  cpu::parallel_for(o.x.rows, width, [&](Index r) {
    const RowStatistics s = normalise_row(o.y.data + r * width, o.x.data + r * width, o.weight.data, o.bias.data, width,
                                          static_cast<float>(o.eps));
    if (o.mean) { o.mean.data[r] = s.mean; }
    if (o.rstd) { o.rstd.data[r] = s.rstd; }
  });
}

inline void run(onednn_bf16&, const op::layer_norm_backward_input<bf16>& o) {
  const Index width = o.x.columns;
  cpu::parallel_for(o.x.rows, width, [&](Index r) {
    normalise_row_backward(o.dx.data + r * width, o.dy.data + r * width, o.x.data + r * width, o.weight.data, width,
                           {o.mean.data[r], o.rstd.data[r]});
  });
}

inline void run(onednn_bf16&, const op::activation_forward<bf16>& o) {
  cpu::parallel_blocks(o.x.size(),
                       [&](Index begin, Index n) { activate(o.kind, o.y.data + begin, o.x.data + begin, n); });
}

inline void run(onednn_bf16&, const op::activation_backward<bf16>& o) {
  cpu::parallel_blocks(o.x.size(), [&](Index begin, Index n) {
    activate_backward(o.kind, o.dx.data + begin, o.dy.data + begin, o.x.data + begin, n);
  });
}

inline void run(onednn_bf16&, const op::add<bf16>& o) {
  cpu::parallel_blocks(o.y.size(), [&](Index begin, Index n) { add(o.y.data + begin, o.x.data + begin, n); });
}

/// The operations that have a `run` above.
template <class Op>
concept has_pass = requires(onednn_bf16& device, const Op& o) {
  run(device, o);
};

}  // namespace detail::amx

/// On tiles and vectors where the processor has them.
template <template <class> class Op>
requires detail::amx::has_pass<Op<bf16>>
void launch(onednn_bf16& device, const Op<bf16>& o) {
  if (detail::amx::available()) { return detail::amx::run(device, o); }
  launch(static_cast<onednn&>(device), o);
}

}  // namespace radapt
#endif
