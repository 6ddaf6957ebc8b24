#pragma once
/// A chain of layers, each named as its tensors are in a checkpoint: Sequential<Named<"ln_1", LayerNorm<768>>, ...>.
#include <string>
#include <utility>

#include "radapt/core/arena.hpp"
#include "radapt/core/check.hpp"
#include "radapt/core/label.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/identity.hpp"
#include "radapt/layer/run_again.hpp"
#include "radapt/layer/visit.hpp"

namespace radapt {

/// Layer L under a name. The empty name adds nothing to the names of L's tensors.
template <fixed_string Name, class L>
struct Named {
  using layer = L;
  static constexpr auto label = Name;
};

namespace detail {

template <class L>
struct unnamed {
  using type = L;
  static constexpr std::string_view label{};
};
template <fixed_string Name, class L>
struct unnamed<Named<Name, L>> {
  using type = L;
  static constexpr std::string_view label = Named<Name, L>::label.view();
};
template <class L>
using layer_of = typename unnamed<L>::type;

template <Index I, class L, class... Ls>
struct type_at {
  using type = typename type_at<I - 1, Ls...>::type;
};
template <class L, class... Ls>
struct type_at<0, L, Ls...> {
  using type = L;
};

/// One child's parameters in its parent's; found by position.
template <Index I, class P>
struct Child {
  [[no_unique_address]] P params;
};
template <Index I, class P>
[[gnu::always_inline]] constexpr P& child_at(Child<I, P>& c) {
  return c.params;
}
template <Index I, class P>
[[gnu::always_inline]] constexpr const P& child_at(const Child<I, P>& c) {
  return c.params;
}

template <Index Position, class X, class... Ls>
struct first_misfit {
  using type = fits;
  using output = X;
};
template <Index Position, class X, class L, class... Ls>
struct first_misfit<Position, X, L, Ls...> {
  using type = misfit<Position, L, expected<L::input_width>, got<X::width>>;
  using output = X;  // goes on with something, so that one mistake gives one message
};
template <Index Position, class X, class L, class... Ls>
requires requires { typename L::template output<X>; }
struct first_misfit<Position, X, L, Ls...> : first_misfit<Position + 1, typename L::template output<X>, Ls...> {};

template <class X, class... Ls>
struct chain_output : check_layers<typename first_misfit<0, X, Ls...>::type> {
  using type = typename first_misfit<0, X, Ls...>::output;
};

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
    static constexpr Index backward_scratch(Extent e) {
      const Index own[size] = {plan_of<I, Ls>::backward_scratch(e)...};
      Index most = 0;
      for (Index i = 0; i < size; ++i) {
        if (!runs_backward[i]) { continue; }
        const Index live = own[i] + edge_bytes(i + 1, e) + (wants_dx(i) ? edge_bytes(i, e) : 0);
        most = live > most ? live : most;
      }
      return most;
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

}  // namespace detail

/// y = L_n(... L_1(x)). Every element is a layer, or Named<"name", layer> when it has parameters.
template <class... Ls>
struct Sequential : layer_defaults {
  static constexpr auto name = "sequential";
  static constexpr Index size = sizeof...(Ls);
  static_assert(size > 0, "radapt: a Sequential needs at least one layer; to fix: use Identity for an empty one.");

  template <Index I>
  using layer_at = typename detail::type_at<I, detail::layer_of<Ls>...>::type;

  template <class X>
  using output = typename detail::chain_output<X, detail::layer_of<Ls>...>::type;

  template <template <class, class> class Slot, class Is>
  struct ParamsOf;
  template <template <class, class> class Slot, Index... I>
  struct ParamsOf<Slot, std::index_sequence<I...>>
      : detail::Child<I, typename detail::layer_of<Ls>::template Params<Slot>>... {
    static constexpr void each(auto&& f, auto&... t) {
      (each_child<I>(f, Label(detail::unnamed<Ls>::label), t...), ...);
    }
    static constexpr Index size = sizeof...(I);
    template <Index J>
    static constexpr void each_child(auto&& f, Label label, auto&... t) {
      f(label, detail::child_at<J>(t)...);
    }
    /// Position of the child with that name, or the number of children.
    static constexpr Index position(std::string_view wanted) {
      const std::string_view labels[] = {detail::unnamed<Ls>::label...};
      for (Index i = 0; i < size; ++i) {
        if (labels[i] == wanted) { return i; }
      }
      return size;
    }
  };
  template <template <class, class> class Slot>
  struct Params : ParamsOf<Slot, std::make_index_sequence<size>> {};

  /// Calls `f.template operator()<L>(path, parameters)` for every layer that is no combinator, in order.
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    [&]<Index... I>(std::index_sequence<I...>) {
      (visit_child<I>(f, join(path, Label(detail::unnamed<Ls>::label)), p...), ...);
    }
    (std::make_index_sequence<size>{});
  }

  template <class Tune>
  static constexpr bool trains = (trains_any<detail::layer_of<Ls>, Tune> || ...);
  static constexpr bool drops_elements = (detail::layer_of<Ls>::drops_elements || ...);
  static void initialise(auto& p, Random& random) {
    [&]<Index... I>(std::index_sequence<I...>) {
      (detail::layer_of<Ls>::initialise(detail::child_at<I>(p), random), ...);
    }
    (std::make_index_sequence<size>{});
  }

  template <class X, class T, class Tune, bool Dx>
  using Chain = detail::ChainPlan<X, T, Tune, Dx, detail::layer_of<Ls>...>;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Chain<X, float, Tune, Dx>::layers::reads_x[0];
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_y = Chain<X, float, Tune, Dx>::layers::reads_y[size - 1];
  template <class T, class X, class Tune, bool Dx>
  using Saved = typename Chain<X, T, Tune, Dx>::layers::Saved;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::forward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::backward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::backward_kept(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index run_again_scratch(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::run_again_scratch(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, auto x, View<T, output<X>> y, auto& saved) {
    EdgesOf<T, X> edges;
    Arena::Mark marks[size];
    [&]<Index... I>(std::index_sequence<I...>) {
      (forward_step<I, T, X>(c, detail::child_at<I>(p), x, y, saved, edges, marks), ...);
    }
    (std::make_index_sequence<size>{});
  }

  /// Forward for what is saved alone: layers behind the last one that keeps something do not run.
  template <class T, class X>
  static void run_again(auto& c, const auto& p, auto x, auto& saved) {
    EdgesOf<T, X> edges;
    Arena::Mark marks[size];
    [&]<Index... I>(std::index_sequence<I...>) {
      (run_again_step<I, T, X>(c, detail::child_at<I>(p), x, saved, edges, marks), ...);
    }
    (std::make_index_sequence<size>{});
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto y, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    EdgesOf<T, X> gradients;
    Arena::Mark marks[size];
    [&]<Index... I>(std::index_sequence<I...>) {
      (backward_step<size - 1 - I, T, X>(c, detail::child_at<size - 1 - I>(p), detail::child_at<size - 1 - I>(g), x, y,
                                         saved, dy, dx, gradients, marks),
       ...);
    }
    (std::make_index_sequence<size>{});
  }

 private:
  template <Index I, class... P>
  static void visit_child(auto&& f, const std::string& path, P&... p) {
    detail::visit_layer<layer_at<I>>(f, path, detail::child_at<I>(p)...);
  }
  template <class T, class X>
  using EdgesOf = typename Chain<X, T, tune::nothing, false>::layers::Edges;
  template <class X, Index I>
  using edge = typename detail::edge_type<I, X, detail::layer_of<Ls>...>::type;

  template <Index I, class T, class X, class Saved>
  static void forward_step(auto& c, const auto& p, auto x, auto y, Saved& saved, auto& edges, auto& marks) {
    constexpr bool last = I + 1 == size;
    if constexpr (!last) {
      const Extent e = c.sequences.extent();
      using Out = edge<X, I + 1>;
      marks[I + 1] = c.arena.mark();
      if constexpr (detail::keeps_output<Saved, I>) {
        detail::edge_at<I + 1>(edges) = c.arena.template keep<T, Out>(Out::rows(e));
        detail::step_at<I>(saved).output = detail::edge_at<I + 1>(edges);
      } else {
        detail::edge_at<I + 1>(edges) = c.arena.template scratch<T, Out>(Out::rows(e), detail::end_of_edge(I + 1));
      }
    }
    const auto in = detail::edge_or<I == 0, I>(x, edges);
    const auto out = detail::edge_or<last, I + 1>(y, edges);
    if constexpr (is_saved<Saved>) {
      layer_at<I>::template forward<T, edge<X, I>>(c, p, in, out, detail::step_at<I>(saved).saved);
    } else {
      layer_at<I>::template forward<T, edge<X, I>>(c, p, in, out, saved);
    }
    if constexpr (I > 0) {
      if constexpr (!detail::keeps_output<Saved, I - 1>) { c.arena.release_scratch(marks[I], detail::end_of_edge(I)); }
    }
  }

  template <Index I, class T, class X, class Saved>
  static void run_again_step(auto& c, const auto& p, auto x, Saved& saved, auto& edges, auto& marks) {
    using plan = typename Saved::plan;
    if constexpr (plan::ends_run_again(I)) {
      const auto in = detail::edge_or<I == 0, I>(x, edges);
      detail::run_again<layer_at<I>, T, edge<X, I>>(c, p, in, detail::step_at<I>(saved).saved);
      if constexpr (I > 0) {
        if constexpr (!plan::keeps(I)) { c.arena.release_scratch(marks[I], detail::end_of_edge(I)); }
      }
    } else if constexpr (I < plan::run_again()) {
      forward_step<I, T, X>(c, p, x, Discard{}, saved, edges, marks);
    }
  }

  /// Where layer I writes the gradient of its input: the caller's place, a new edge, or nowhere.
  template <Index I, bool Wanted, class T, class In>
  static auto input_gradient(auto& c, auto dx, auto& gradients, auto& marks) {
    if constexpr (I == 0) {
      return dx;
    } else if constexpr (Wanted) {
      marks[I] = c.arena.mark();
      return detail::edge_at<I>(gradients) =
                 c.arena.template scratch<T, In>(In::rows(c.sequences.extent()), detail::end_of_edge(I));
    } else {
      return Discard{};
    }
  }

  template <Index I, class T, class X, class Saved>
  static void backward_step(auto& c, const auto& p, auto& g, auto x, auto y, const Saved& saved, auto dy, auto dx,
                            auto& gradients, auto& marks) {
    constexpr bool last = I + 1 == size;
    using plan = typename Saved::plan;
    if constexpr (plan::runs_backward[I]) {
      const auto in = detail::kept_or<I == 0, I - 1>(x, saved);
      const auto out = detail::kept_or<last, I>(y, saved);
      const auto dout = detail::edge_or<last, I + 1>(dy, gradients);
      const auto din = input_gradient<I, plan::wants_dx(I), T, edge<X, I>>(c, dx, gradients, marks);
      layer_at<I>::template backward<T, edge<X, I>>(c, p, g, in, out, detail::step_at<I>(saved).saved, dout, din);
      if constexpr (!last) { c.arena.release_scratch(marks[I + 1], detail::end_of_edge(I + 1)); }
    }
  }
};

namespace detail {
template <class Chain, class... Ls>
struct without_identities {
  using type = Chain;
};
template <class... Kept, class L, class... Ls>
struct without_identities<Sequential<Kept...>, L, Ls...>
    : std::conditional_t<std::is_same_v<layer_of<L>, Identity>, without_identities<Sequential<Kept...>, Ls...>,
                         without_identities<Sequential<Kept..., L>, Ls...>> {};
}  // namespace detail

/// A Sequential of those layers that do something: sites where an adapter policy puts nothing disappear from the type.
template <class... Ls>
using chain = typename detail::without_identities<Sequential<>, Ls...>::type;

/// The parameters of the child called Name in the parameters of a Sequential.
template <fixed_string Name, class P>
constexpr auto& child(P& params) {
  constexpr Index at = std::remove_const_t<P>::position(Name.view());
  static_assert(at < std::remove_const_t<P>::size,
                "radapt: this Sequential has no child of that name; to fix: use a name of its Named<...> elements.");
  return detail::child_at<at>(params);
}

}  // namespace radapt
