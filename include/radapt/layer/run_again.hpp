#pragma once
/// Running a layer forward a second time for what its backward reads, when nobody wants its output.
#include "radapt/core/arena.hpp"
#include "radapt/core/plan.hpp"

namespace radapt::detail {

/// Whether L can leave out what only its output needs: it has `run_again(c, parameters, x, saved)`, and
/// `run_again_scratch<T, X, Tune, Dx>(extent)` that says the bytes of scratch at its peak. Such a layer never stands
/// in front of others in that pass, so it need not count the stochastic layers that it leaves out.
/// A layer that inherits from another and runs forward in another way needs both members of its own.
template <class L, class T, class X, class Tune, bool Dx>
concept leaves_out_its_output = requires(Extent e) {
  L::template run_again_scratch<T, X, Tune, Dx>(e);
};

/// Peak bytes of scratch of run_again.
template <class L, class X, class T, class Tune, bool Dx>
constexpr Index run_again_scratch(Extent e) {
  using plan = Plan<L, X, T, Tune, Dx>;
  if constexpr (!is_saved<typename plan::Saved>) {
    return 0;
  } else if constexpr (leaves_out_its_output<L, T, X, Tune, Dx>) {
    return L::template run_again_scratch<T, X, Tune, Dx>(e);
  } else {
    return bytes_of<T, typename L::template output<X>>(e) + plan::forward_scratch(e);
  }
}

/// Runs forward of L into `saved` and forgets the output. A layer that saves nothing does not run.
template <class L, class T, class X>
void run_again(auto& c, const auto& p, auto x, auto& saved) {
  if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) {
    if constexpr (leaves_out_its_output<L, T, X, tune::nothing, true>) {
      L::template run_again<T, X>(c, p, x, saved);
    } else {
      using Out = typename L::template output<X>;
      const Arena::Mark before = c.arena.mark();
      const auto y = c.arena.template scratch<T, Out>(Out::rows(c.sequences.extent()));
      L::template forward<T, X>(c, p, x, y, saved);
      c.arena.release_scratch(before);
    }
  }
}

}  // namespace radapt::detail
