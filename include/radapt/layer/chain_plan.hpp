#pragma once
/// What a chain of layers does and keeps: the plan of Sequential, and the edges between its layers.
#include <utility>

#include "radapt/core/arena.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/run_again.hpp"

namespace radapt::detail {

template <Index I, class X, class... Ls>
struct edge_type {
  using type = X;
};
template <Index I, class X, class L, class... Ls>
requires(I > 0) struct edge_type<I, X, L, Ls...> : edge_type<I - 1, typename L::template output<X>, Ls...> {
};

template <Index I, class S, class E>
struct SavedStep {
  [[no_unique_address]] S saved;
  [[no_unique_address]] E output;  // a kept view of this layer's output, or Dropped
};
template <Index I, class S, class E>
[[gnu::always_inline]] constexpr auto& step_at(SavedStep<I, S, E>& s) {
  return s;
}
template <Index I, class S, class E>
[[gnu::always_inline]] constexpr const auto& step_at(const SavedStep<I, S, E>& s) {
  return s;
}
template <Index I, class V>
struct EdgeSlot {
  V view;
};
template <Index I, class V>
[[gnu::always_inline]] constexpr V& edge_at(EdgeSlot<I, V>& s) {
  return s.view;
}

/// Which layers run backward, and which edges of the chain are kept; edge I is the input of layer I.
template <class X, class T, class Tune, bool Dx, class... Ls>
struct ChainPlan {
  static constexpr Index size = sizeof...(Ls);
  static constexpr bool trains[size] = {trains_any<Ls, Tune>...};

  static constexpr bool wants_dx(Index layer) {
    bool below = Dx;
    for (Index i = 0; i < layer; ++i) { below = below || trains[i]; }
    return below;
  }
  /// Row type of edge I; the edge behind the last layer counts as edge `size`.
  template <Index I>
  using edge = typename edge_type<I, X, Ls...>::type;

  template <Index I, class L>
  using plan_of = Plan<L, edge<I>, T, Tune, wants_dx(I)>;

  template <class Is>
  struct per_layer;
  template <Index... I>
  struct per_layer<std::index_sequence<I...>> {
    static constexpr bool reads_x[size] = {plan_of<I, Ls>::reads_x...};
    static constexpr bool reads_y[size] = {plan_of<I, Ls>::reads_y...};
    static constexpr bool runs_backward[size] = {plan_of<I, Ls>::runs_backward...};
    static constexpr bool wants_dx(Index layer) { return ChainPlan::wants_dx(layer); }

    static constexpr bool keeps(Index e) { return e > 0 && e < size && (reads_y[e - 1] || reads_x[e]); }
    template <Index E>
    using kept_edge = std::conditional_t<keeps(E), View<T, edge<E>>, Dropped>;

    struct Saved : SavedStep<I, typename plan_of<I, Ls>::Saved, kept_edge<I + 1>>... {
      using plan = per_layer;
      static constexpr Index bytes(Extent e) {
        return ((plan_of<I, Ls>::kept(e) + (keeps(I + 1) ? bytes_of<T, edge<I + 1>>(e) : 0)) + ...);
      }
    };
    struct Edges : EdgeSlot<I, View<T, edge<I>>>... {};

    static constexpr Index edge_bytes(Index i, Extent e) {
      const Index bytes[size] = {bytes_of<T, edge<I>>(e)...};
      return i > 0 && i < size ? bytes[i] : 0;
    }
    static constexpr Index forward_scratch(Extent e) {
      const Index own[size] = {plan_of<I, Ls>::forward_scratch(e)...};
      Index most = 0;
      for (Index i = 0; i < size; ++i) {
        const Index live = own[i] + (keeps(i) ? 0 : edge_bytes(i, e)) + (keeps(i + 1) ? 0 : edge_bytes(i + 1, e));
        most = live > most ? live : most;
      }
      return most;
    }
    /// Whether the gradient of layer i's output is an edge of the chain, over which it may write.
    template <Index J, class L>
    static constexpr bool overwrites_dy = J + 1 < size&& L::overwrites_dy;
    template <Index J, class L>
    static constexpr Index own_backward_scratch(Extent e) {
      if constexpr (overwrites_dy<J, L> && runs_backward[J]) {
        return L::template backward_over_scratch<T, edge<J>, Tune, wants_dx(J)>(e);
      } else {
        return plan_of<J, L>::backward_scratch(e);
      }
    }
    static constexpr Index backward_scratch(Extent e) {
      const Index own[size] = {own_backward_scratch<I, Ls>(e)...};
      Index most = 0;
      for (Index i = 0; i < size; ++i) {
        if (!runs_backward[i]) { continue; }
        const Index live = own[i] + edge_bytes(i + 1, e) + (wants_dx(i) ? edge_bytes(i, e) : 0);
        most = live > most ? live : most;
      }
      return most;
    }
    /// The last layer's answer; its input may be an edge of the chain that is kept.
    static constexpr Rebuild rebuilds() {
      constexpr Rebuild answers[size] = {plan_of<I, Ls>::rebuilds...};
      constexpr Rebuild last = answers[size - 1];
      if (last != Rebuild::from_saved_and_x || size == 1) { return last; }
      return keeps(size - 1) ? Rebuild::from_saved : Rebuild::impossible;
    }
    static constexpr Index rebuild_scratch(Extent e) {
      const Index own[size] = {plan_of<I, Ls>::rebuild_scratch(e)...};
      return own[size - 1];
    }
    static constexpr Index backward_kept(Extent e) {
      Index most = 0;
      for (const Index own : {plan_of<I, Ls>::backward_kept(e)...}) { most = own > most ? own : most; }
      return most;
    }

    /// How many layers run when nobody wants the chain's output: none behind the last one that keeps something.
    static constexpr Index run_again() {
      constexpr bool saves[size] = {is_saved<typename plan_of<I, Ls>::Saved>...};
      Index n = 0;
      for (Index i = 0; i < size; ++i) { n = saves[i] || keeps(i + 1) ? i + 1 : n; }
      return n;
    }
    /// Whether layer i runs then, and its own output is not wanted either.
    static constexpr bool ends_run_again(Index i) { return i + 1 == run_again() && !keeps(i + 1); }
    template <Index J, class L>
    static constexpr Index own_run_again_scratch(Extent e) {
      if constexpr (ends_run_again(J)) {
        return detail::run_again_scratch<L, edge<J>, T, Tune, wants_dx(J)>(e);
      } else {
        return plan_of<J, L>::forward_scratch(e) + (keeps(J + 1) ? 0 : edge_bytes(J + 1, e));
      }
    }
    static constexpr Index run_again_scratch(Extent e) {
      const Index own[size] = {own_run_again_scratch<I, Ls>(e)...};
      Index most = 0;
      for (Index i = 0; i < run_again(); ++i) {
        const Index live = own[i] + (keeps(i) ? 0 : edge_bytes(i, e));
        most = live > most ? live : most;
      }
      return most;
    }
  };
  using layers = per_layer<std::make_index_sequence<size>>;
};

template <class Saved, Index I>
inline constexpr bool keeps_output = false;
template <class Saved, Index I>
requires is_saved<Saved>
inline constexpr bool keeps_output<Saved, I> = Saved::plan::keeps(I + 1);

// The input and the output of layer I: the caller's at the ends of the chain, else an edge or a kept output.
template <bool IsEnd, Index I, class Outer, class Edges>
[[gnu::always_inline]] constexpr auto edge_or(Outer outer, Edges& edges) {
  if constexpr (IsEnd) {
    return outer;
  } else {
    return edge_at<I>(edges);
  }
}
template <bool IsEnd, Index I, class Outer, class Saved>
[[gnu::always_inline]] constexpr auto kept_or(Outer outer, const Saved& saved) {
  if constexpr (IsEnd) {
    return outer;
  } else {
    return step_at<I>(saved).output;
  }
}

constexpr End end_of_edge(Index e) { return e % 2 == 0 ? End::low : End::high; }

}  // namespace radapt::detail
