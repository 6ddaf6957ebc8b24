#pragma once
/// y = pool(x) + body(x): a residual branch of which one row of each sequence is read.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/around.hpp"
#include "radapt/layer/onto.hpp"
#include "radapt/layer/pool.hpp"
#include "radapt/layer/run_again.hpp"
#include "radapt/op/pool.hpp"

namespace radapt {

namespace detail {
template <class Body, class X>
struct pooled_residual_output {
  using type = typename pooled_row_type<X>::type;
  static constexpr bool body_puts_out_pooled_rows_of_the_stream =
      std::is_same_v<typename Body::template output<X>, type>;
  static_assert(body_puts_out_pooled_rows_of_the_stream,
                "radapt: the body of a PooledResidual must put out one row of the stream's width for each sequence; to "
                "fix: put a Pool of the same kind into it, and end it with a layer of the stream's width.");
};
}  // namespace detail

/// x (tokens, width) -> y (sequences, width). The body pools as Kind says, somewhere on its way; the names of its
/// tensors are its own.
template <Pooling Kind, class Body>
struct PooledResidual : detail::Around<Body> {
  static constexpr auto name = "pooled_residual";

  template <class X>
  using output = typename detail::pooled_residual_output<Body, X>::type;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Plan<Body, X, float, Tune, Dx>::reads_x;
  template <class T, class X, class Tune, bool Dx>
  using Saved = typename Plan<Body, X, T, Tune, Dx>::Saved;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return bytes_of<T, output<X>>(e) + Plan<Body, X, T, Tune, Dx>::forward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    static_assert(!Plan<Body, X, T, Tune, Dx>::reads_y,
                  "radapt: the last layer of a PooledResidual's body may not read its output in backward, because the "
                  "sum overwrites it; to fix: end the body with a linear layer.");
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
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    const Arena::Mark before = c.arena.mark();
    const auto stream = c.arena.template scratch<T, output<X>>(y.rows);
    run(c, op::pool_forward<T>{.y = stream, .x = x, .pooling = Kind, .sequences = c.sequences});
    detail::forward_onto<Body, T, X>(c, p, x, View<const T, output<X>>(stream), y, saved);
    c.arena.release_scratch(before);
  }
  /// Forward for what is saved alone: the sum is not wanted.
  template <class T, class X>
  static void run_again(auto& c, const auto& p, auto x, auto& saved) {
    detail::run_again<Body, T, X>(c, p, x, saved);
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    Body::template backward<T, X>(c, p, g, x, Dropped{}, saved, dy, dx);
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::pool_backward<T>{.dx = dx, .dy = dy, .pooling = Kind, .sequences = c.sequences, .adds = true});
    }
  }
};

}  // namespace radapt
