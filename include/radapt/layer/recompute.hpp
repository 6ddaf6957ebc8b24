#pragma once
/// Activations that are computed again in backward instead of kept: memory for time (Chen et al., 2016,
/// arXiv:1604.06174).
#include <cstdint>

#include "radapt/core/plan.hpp"
#include "radapt/layer/around.hpp"
#include "radapt/layer/run_again.hpp"

namespace radapt {

namespace detail {
template <class Body, class X>
struct recompute_output {
  using type = typename Body::template output<X>;
  static constexpr bool the_width_of_the_output_is_known = type::width != dynamic;
  static_assert(the_width_of_the_output_is_known,
                "radapt: a Recompute cannot plan memory for a body whose output's width is data; to fix: leave the "
                "layer with the dynamic extent outside.");
};
}  // namespace detail

/// y = body(x), and of all that body's backward reads only x is kept. Backward runs body forward again, then backward:
/// the same bits, for the time of another forward pass but its last layers, whose output nobody reads.
///
/// What body keeps lies on top of the kept stack while its backward runs, `backward_kept` of the plan. Stochastic
/// layers of the body draw what they drew: the second pass counts them from the same number. The names of the body's
/// tensors are the body's own.
template <class Body>
struct Recompute : detail::Around<Body> {
  static constexpr auto name = "recompute";

  template <class X>
  using output = typename detail::recompute_output<Body, X>::type;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = true;

  /// Where the second pass begins to count stochastic layers, and what it saves.
  template <class T, class X, class Tune, bool Dx>
  struct FirstSite {
    using body_plan = Plan<Body, X, T, Tune, Dx>;
    std::uint32_t number = 0;
    static constexpr void each(auto&&, auto&...) {}
    static constexpr Index bytes(Extent) { return 0; }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = FirstSite<T, X, Tune, Dx>;

  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return Plan<Body, X, T, tune::nothing, false>::forward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    using plan = Plan<Body, X, T, Tune, Dx>;
    const Index back = plan::backward_scratch(e);
    if constexpr (plan::reads_y) {
      const Index again = plan::forward_scratch(e);
      return bytes_of<T, output<X>>(e) + (again > back ? again : back);
    } else {
      const Index again = detail::run_again_scratch<Body, X, T, Tune, Dx>(e);
      return again > back ? again : back;
    }
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    using plan = Plan<Body, X, T, Tune, Dx>;
    return plan::kept(e) + plan::backward_kept(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, auto x, View<T, output<X>> y, auto& saved) {
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) { saved.number = c.phase.next_site; }
    Unsaved none;
    Body::template forward<T, X>(c, p, x, y, none);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    using plan = typename std::remove_cvref_t<decltype(saved)>::body_plan;
    const Arena::Mark before = c.arena.mark();
    const std::uint32_t next_site = c.phase.next_site;
    c.phase.next_site = saved.number;
    typename plan::Saved again;
    if constexpr (plan::reads_y) {
      const View<T, output<X>> y = c.arena.template scratch<T, output<X>>(dy.rows);
      Body::template forward<T, X>(c, p, x, y, again);
      c.phase.next_site = next_site;
      Body::template backward<T, X>(c, p, g, x, View<const T, output<X>>(y), again, dy, dx);
    } else {
      detail::run_again<Body, T, X>(c, p, x, again);
      c.phase.next_site = next_site;
      Body::template backward<T, X>(c, p, g, x, Dropped{}, again, dy, dx);
    }
    c.arena.release(before);
  }

  /// A second pass around this one needs the number alone.
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index run_again_scratch(Extent) {
    return 0;
  }
  template <class T, class X>
  static void run_again(auto& c, const auto&, auto, auto& saved) {
    saved.number = c.phase.next_site;
  }
};

}  // namespace radapt
