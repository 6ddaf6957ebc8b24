#pragma once
/// What stands behind pooling inside a block: layers that run on one row of each sequence.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/around.hpp"
#include "radapt/layer/onto.hpp"
#include "radapt/layer/run_again.hpp"
#include "radapt/op/pool.hpp"

namespace radapt {

/// y = body(pool(x)).   x (tokens, In), or rows that were pooled before (sequences, In) -> y (sequences, Out)
///
/// To the body those rows are a batch of sequences of one token each, so that a layer that draws or drops by sequence
/// does as it does in front of pooling. The names of the body's tensors are the body's own.
template <Pooling Kind, class Body>
struct OnPooled : detail::Around<Body> {
  static constexpr auto name = "on_pooled";
  using body_layer = Body;

  template <class X>
  using inside = Tokens<X::width>;
  template <class X>
  using output = Samples<Body::template output<inside<X>>::width>;
  static constexpr bool adds_to_stream = Body::adds_to_stream;

  template <class X, class T, class Tune, bool Dx>
  using BodyPlan = Plan<Body, inside<X>, T, Tune, Dx>;
  /// Whether pooling is this layer's.
  template <class X>
  static constexpr bool pools = X::per_token;
  template <class X, class Tune, bool Dx>
  static constexpr bool keeps_pooled = pools<X>&& BodyPlan<X, float, Tune, Dx>::reads_x;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = !pools<X> && BodyPlan<X, float, Tune, Dx>::reads_x;
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_y = BodyPlan<X, float, Tune, Dx>::reads_y;
  template <class S, class Pooled>
  struct SavedOf {
    [[no_unique_address]] S body;
    [[no_unique_address]] Pooled pooled;  // what the body reads, or Dropped
    static constexpr Index bytes(Extent e) {
      return detail::saved_bytes<S>(single_rows(e)) + pooled_bytes(e, Pooled{});
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = std::conditional_t<is_saved<typename BodyPlan<X, T, Tune, Dx>::Saved> || keeps_pooled<X, Tune, Dx>,
                                   SavedOf<typename BodyPlan<X, T, Tune, Dx>::Saved,
                                           std::conditional_t<keeps_pooled<X, Tune, Dx>, View<T, inside<X>>, Dropped>>,
                                   Unsaved>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return scratch_of_pooled<T, X, Tune, Dx>(e) + BodyPlan<X, T, Tune, Dx>::forward_scratch(single_rows(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return (pools<X> && Dx ? bytes_of<T, inside<X>>(single_rows(e)) : 0) +
           BodyPlan<X, T, Tune, Dx>::backward_scratch(single_rows(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    return BodyPlan<X, T, Tune, Dx>::backward_kept(single_rows(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index run_again_scratch(Extent e) {
    return scratch_of_pooled<T, X, Tune, Dx>(e) +
           detail::run_again_scratch<Body, inside<X>, T, Tune, Dx>(single_rows(e));
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    on_pooled_rows(c, x, saved, [&](auto rows) {
      Body::template forward<T, inside<X>>(c, p, rows, single_tokens(y), body_of(saved));
    });
  }
  template <class T, class X>
  static void forward_onto(auto& c, const auto& p, View<const T, X> x, View<const T, output<X>> stream,
                           View<T, output<X>> y, auto& saved) {
    on_pooled_rows(c, x, saved, [&](auto rows) {
      detail::forward_onto<Body, T, inside<X>>(c, p, rows, single_tokens(stream), single_tokens(y), body_of(saved));
    });
  }
  template <class T, class X>
  static void run_again(auto& c, const auto& p, View<const T, X> x, auto& saved) {
    on_pooled_rows(c, x, saved, [&](auto rows) { detail::run_again<Body, T, inside<X>>(c, p, rows, body_of(saved)); });
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto y, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    const auto back = [&](auto rows, auto drows) {
      on_single_rows(c, [&] {
        Body::template backward<T, inside<X>>(c, p, g, rows, single_tokens(y), body_of(saved), single_tokens(dy),
                                              drows);
      });
    };
    if constexpr (!pools<X>) {
      back(single_tokens(x), single_tokens(dx));
    } else if constexpr (!wanted<decltype(dx)>) {
      back(pooled_of(saved), dx);
    } else {
      const Arena::Mark before = c.arena.mark();
      const auto drows = c.arena.template scratch<T, inside<X>>(dy.rows);
      back(pooled_of(saved), drows);
      run(c, op::pool_backward<T>{.dx = dx, .dy = drows, .pooling = Kind, .sequences = c.sequences});
      c.arena.release_scratch(before);
    }
  }

 private:
  static constexpr Extent single_rows(Extent e) { return {e.sequences, e.sequences}; }
  static constexpr Index pooled_bytes(Extent, Dropped) { return 0; }
  template <class T, class X>
  static constexpr Index pooled_bytes(Extent e, View<T, X>) {
    return bytes_of<T, X>(single_rows(e));
  }
  /// Bytes of pooled rows that nobody reads in backward.
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index scratch_of_pooled(Extent e) {
    return pools<X> && !keeps_pooled<X, Tune, Dx> ? bytes_of<T, inside<X>>(single_rows(e)) : 0;
  }

  /// Runs f with sequences of one row each, and puts back what the context had, whatever happens.
  template <class C>
  static void on_single_rows(C& c, auto&& f) {
    struct Whole : PooledFrom {
      C& context;
      ~Whole() {
        context.sequences = this->sequences;
        context.pooled_from = nullptr;
      }
    };
    const Whole whole{{c.sequences, Kind}, c};
    c.sequences = {.count = whole.sequences.count, .uniform_length = 1};
    c.pooled_from = &whole;
    f();
  }
  /// Runs f on the rows of x that are pooled, which are kept if backward reads them.
  template <class T, class X, class S>
  static void on_pooled_rows(auto& c, View<const T, X> x, S& saved, auto&& f) {
    if constexpr (!pools<X>) {
      on_single_rows(c, [&] { f(single_tokens(x)); });
    } else {
      const Arena::Mark before = c.arena.mark();
      const Index count = c.sequences.count;
      View<T, inside<X>> rows;
      if constexpr (wanted<decltype(pooled_of(saved))>) {
        rows = saved.pooled = c.arena.template keep<T, inside<X>>(count);
      } else {
        rows = c.arena.template scratch<T, inside<X>>(count);
      }
      run(c, op::pool_forward<T>{.y = rows, .x = x, .pooling = Kind, .sequences = c.sequences});
      on_single_rows(c, [&] { f(View<const T, inside<X>>(rows)); });
      c.arena.release_scratch(before);
    }
  }
  template <class T, class X>
  static View<T, Tokens<X::width>> single_tokens(View<T, X> v) {
    return {v.data, v.rows, v.width};
  }
  /// What is dropped, or not wanted, inside either.
  template <class V>
  static V single_tokens(V nothing) {
    return nothing;
  }
  template <class S>
  static auto& body_of(S& saved) {
    if constexpr (is_saved<S>) {
      return saved.body;
    } else {
      return saved;
    }
  }
  template <class S>
  static auto pooled_of(const S& saved) {
    if constexpr (is_saved<S>) {
      return saved.pooled;
    } else {
      return Dropped{};
    }
  }
};

}  // namespace radapt
