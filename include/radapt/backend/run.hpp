#pragma once
/// The one place from which kernels are launched.
#include "radapt/core/context.hpp"

namespace radapt {

/// A kernel is an overload `launch(Backend&, const Op&)`, found by the namespaces of its arguments. The answer is
/// cached by the compiler: include a backend's all.hpp before the first use of `run` on it.
template <class Op, class Backend>
concept has_kernel = requires(Backend& b, const Op& o) {
  launch(b, o);
};

/// The reason type of a missing kernel.
template <class Op, class Backend>
struct check_kernel {
  static constexpr bool this_backend_has_a_kernel_for_this_operation = has_kernel<Op, Backend>;
  static_assert(this_backend_has_a_kernel_for_this_operation,
                "radapt: this backend has no kernel for this operation. Read check_kernel<operation, backend>; to fix: "
                "include the backend's all.hpp, or write `void launch(Backend&, const Op&)` beside the operation.");
};

/// Launches the kernel for `o` on the context's backend. Never inlined: a kernel is compiled once in a translation unit
/// and not again in every layer that calls it.
template <class Op, class Backend>
[[gnu::noinline]] void run(Context<Backend>& c, const Op& o) {
  [[maybe_unused]] const check_kernel<Op, Backend> checked{};
  if constexpr (has_kernel<Op, Backend>) { launch(c.device, o); }
}

/// What is launched from here to `finish` is one training step. Backends that gain from knowing it have `begin_step()`.
template <class Backend>
void begin_step(Context<Backend>& c) {
  if constexpr (requires { c.device.begin_step(); }) { c.device.begin_step(); }
}

/// Waits for what was launched. Backends that return from a launch before its work is done have `synchronize()`.
template <class Backend>
void finish(Context<Backend>& c) {
  if constexpr (requires { c.device.synchronize(); }) { c.device.synchronize(); }
}

}  // namespace radapt
