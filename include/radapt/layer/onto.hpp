#pragma once
/// y = stream + L(x): a layer that adds what it puts out to a residual stream as it writes it.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/linear.hpp"

namespace radapt::detail {

/// Where no stream is added to.
struct NoStream {};

/// Whether L has a `forward_onto` that saves a pass on this backend: L is a Linear, or a chain that ends with one.
template <class L, class Op, class Backend>
concept adds_to_stream = L::adds_to_stream && has_kernel<Op, Backend>;

/// Forward of L, and the sum. The stream and y lie apart.
template <class L, class T, class X>
[[gnu::always_inline]] inline void forward_onto(auto& c, const auto& p, auto x, auto stream,
                                                View<T, typename L::template output<X>> y, auto& saved) {
  if constexpr (adds_to_stream<L, op::linear_residual_forward<T>, backend_of<decltype(c)>>) {
    L::template forward_onto<T, X>(c, p, x, stream, y, saved);
  } else {
    L::template forward<T, X>(c, p, x, y, saved);
    run(c, op::add<T>{.y = y, .x = stream});
  }
}

}  // namespace radapt::detail
