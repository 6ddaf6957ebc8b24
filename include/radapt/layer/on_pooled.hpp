#pragma once
/// What stands behind pooling inside a block: layers that run on one row of each sequence.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/onto.hpp"
#include "radapt/layer/run_again.hpp"
#include "radapt/layer/visit.hpp"

namespace radapt {

/// y = body(x) on the rows that Pool<Kind> picked.   x (sequences, In) -> y (sequences, Out)
///
/// To the body they are a batch of sequences of one token each, so that a layer that draws or drops by sequence does as
/// it does in front of pooling. The names of the body's tensors are the body's own.
template <Pooling Kind, class Body>
struct OnPooled : layer_defaults {
  static constexpr auto name = "on_pooled";
  using body_layer = Body;

  template <class X>
  using inside = Tokens<X::width>;
  template <class X>
  using output = Samples<Body::template output<inside<X>>::width>;
  template <template <class, class> class Slot>
  using Params = typename Body::template Params<Slot>;

  template <class Tune>
  static constexpr bool trains = trains_any<Body, Tune>;
  static constexpr bool drops_elements = Body::drops_elements;
  static constexpr bool adds_to_stream = Body::adds_to_stream;
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    detail::visit_layer<Body>(f, path, p...);
  }
  static void initialise(auto& p, Random& random) { Body::initialise(p, random); }

  template <class X, class T, class Tune, bool Dx>
  using BodyPlan = Plan<Body, inside<X>, T, Tune, Dx>;
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = BodyPlan<X, float, Tune, Dx>::reads_x;
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_y = BodyPlan<X, float, Tune, Dx>::reads_y;
  template <class S>
  struct SavedOf {
    S body;
    static constexpr Index bytes(Extent e) { return detail::saved_bytes<S>(single_rows(e)); }
  };
  template <class T, class X, class Tune, bool Dx, class S = typename BodyPlan<X, T, Tune, Dx>::Saved>
  using SavedFor = std::conditional_t<is_saved<S>, SavedOf<S>, Unsaved>;
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedFor<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return BodyPlan<X, T, Tune, Dx>::forward_scratch(single_rows(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return BodyPlan<X, T, Tune, Dx>::backward_scratch(single_rows(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    return BodyPlan<X, T, Tune, Dx>::backward_kept(single_rows(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index run_again_scratch(Extent e) {
    return detail::run_again_scratch<Body, inside<X>, T, Tune, Dx>(single_rows(e));
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, auto x, View<T, output<X>> y, auto& saved) {
    on_single_rows(
        c, [&] { Body::template forward<T, inside<X>>(c, p, single_tokens(x), single_tokens(y), body_of(saved)); });
  }
  template <class T, class X>
  static void forward_onto(auto& c, const auto& p, auto x, View<const T, output<X>> stream, View<T, output<X>> y,
                           auto& saved) {
    on_single_rows(c, [&] {
      detail::forward_onto<Body, T, inside<X>>(c, p, single_tokens(x), single_tokens(stream), single_tokens(y),
                                               body_of(saved));
    });
  }
  template <class T, class X>
  static void run_again(auto& c, const auto& p, auto x, auto& saved) {
    on_single_rows(c, [&] { detail::run_again<Body, T, inside<X>>(c, p, single_tokens(x), body_of(saved)); });
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto y, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    on_single_rows(c, [&] {
      Body::template backward<T, inside<X>>(c, p, g, single_tokens(x), single_tokens(y), body_of(saved),
                                            single_tokens(dy), single_tokens(dx));
    });
  }

 private:
  static constexpr Extent single_rows(Extent e) { return {e.sequences, e.sequences}; }
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
};

}  // namespace radapt
