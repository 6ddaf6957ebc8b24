#pragma once
/// A share of what a branch makes of its input, and the rest of the input itself, up to a common factor.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/around.hpp"
#include "radapt/layer/residual.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/update.hpp"

namespace radapt::task {

/// y = x + rho / (1 - rho) body(x) with rho = Percent / 100: the direction of rho body(x) + (1 - rho) x, for a model
/// that normalises next. The names of the body's tensors are the body's own.
template <Index Percent, class Body>
struct Blend : radapt::detail::Around<Body> {
  static_assert(
      Percent > 0 && Percent < 100,
      "radapt: a blend takes more than 0 and less than 100 percent of its branch; to fix: leave the branch or "
      "the input out.");
  static constexpr auto name = "blend";
  static constexpr double factor = static_cast<double>(Percent) / static_cast<double>(100 - Percent);

  template <class X>
  using output = typename radapt::detail::residual_output<Body, X>::type;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Plan<Body, X, float, Tune, Dx>::reads_x;
  template <class T, class X, class Tune, bool Dx>
  using Saved = typename Plan<Body, X, T, Tune, Dx>::Saved;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return bytes_of<T, X>(e) + Plan<Body, X, T, Tune, Dx>::forward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    static_assert(!Plan<Body, X, T, Tune, Dx>::reads_y,
                  "radapt: the last layer of a Blend's body may not read its output in backward, because it is not "
                  "kept; to fix: end the body with a layer that does not.");
    return bytes_of<T, X>(e) + Plan<Body, X, T, Tune, Dx>::backward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    return Plan<Body, X, T, Tune, Dx>::backward_kept(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, X> y, auto& saved) {
    const Arena::Mark before = c.arena.mark();
    const auto z = c.arena.template scratch<T, X>(x.rows);
    Body::template forward<T, X>(c, p, x, z, saved);
    run(c, op::scaled_add<T>{.y = y, .x = x, .z = z, .factor = factor});
    c.arena.release_scratch(before);
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, X> dy, auto dx) {
    const Arena::Mark before = c.arena.mark();
    const auto dz = c.arena.template scratch<T, X>(dy.rows);
    run(c, op::clear<T>{.x = dz});
    run(c, op::scaled_add<T>{.y = dz, .x = dz, .z = dy, .factor = factor});
    Body::template backward<T, X>(c, p, g, x, Dropped{}, saved, dz, dx);
    if constexpr (wanted<decltype(dx)>) { run(c, op::add<T>{.y = dx, .x = dy}); }
    c.arena.release_scratch(before);
  }
};

}  // namespace radapt::task
