#pragma once
/// y = x + body(x).
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/around.hpp"
#include "radapt/layer/onto.hpp"
#include "radapt/layer/run_again.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

namespace detail {
template <class Body, class X>
struct residual_output {
  static constexpr bool body_keeps_the_width_of_the_stream = std::is_same_v<typename Body::template output<X>, X>;
  static_assert(body_keeps_the_width_of_the_stream,
                "radapt: the body of a Residual must put out what it takes in; to fix: end it with a layer of the "
                "stream's width.");
  using type = X;
};
}  // namespace detail

/// The names of the body's tensors are the body's own: Residual adds no step to them.
template <class Body>
struct Residual : detail::Around<Body> {
  static constexpr auto name = "residual";

  template <class X>
  using output = typename detail::residual_output<Body, X>::type;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Plan<Body, X, float, Tune, Dx>::reads_x;
  /// From what the body puts out again, and x if that is kept.
  template <class X, class Tune, bool Dx>
  static constexpr Rebuild rebuilds =
      Plan<Body, X, float, Tune, Dx>::rebuilds != Rebuild::impossible&& reads_x<X, Tune, Dx> ? Rebuild::from_saved_and_x
                                                                                             : Rebuild::impossible;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index rebuild_scratch(Extent e) {
    return Plan<Body, X, T, Tune, Dx>::rebuild_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  using Saved = typename Plan<Body, X, T, Tune, Dx>::Saved;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return Plan<Body, X, T, Tune, Dx>::forward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    static_assert(!Plan<Body, X, T, Tune, Dx>::reads_y,
                  "radapt: the last layer of a Residual's body may not read its output in backward, because the sum "
                  "overwrites it; to fix: end the body with a linear layer.");
    return Plan<Body, X, T, Tune, Dx>::backward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    return Plan<Body, X, T, Tune, Dx>::backward_kept(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index run_again_scratch(Extent e) {
    return detail::run_again_scratch<Body, X, T, Tune, Dx>(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, X> y, auto& saved) {
    detail::forward_onto<Body, T, X>(c, p, x, x, y, saved);
  }
  /// Forward for what is saved alone: the sum is not wanted.
  template <class T, class X>
  static void run_again(auto& c, const auto& p, auto x, auto& saved) {
    detail::run_again<Body, T, X>(c, p, x, saved);
  }
  template <class T, class X>
  static void rebuild(auto& c, const auto& p, auto x, const auto& saved, View<T, X> y) {
    Body::template rebuild<T, X>(c, p, x, saved, y);
    run(c, op::add<T>{.y = y, .x = x});
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, X> dy, auto dx) {
    Body::template backward<T, X>(c, p, g, x, Dropped{}, saved, dy, dx);
    if constexpr (wanted<decltype(dx)>) { run(c, op::add<T>{.y = dx, .x = dy}); }
  }
};

}  // namespace radapt
