#pragma once
/// A chain of layers, each named as its tensors are in a checkpoint: Sequential<Named<"ln_1", LayerNorm<768>>, ...>.
#include <string>
#include <utility>

#include "radapt/core/arena.hpp"
#include "radapt/core/check.hpp"
#include "radapt/core/label.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/chain_plan.hpp"
#include "radapt/layer/identity.hpp"
#include "radapt/layer/onto.hpp"
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

}  // namespace detail

/// y = L_n(... L_1(x)). Every element is a layer, or Named<"name", layer> when it has parameters.
///
/// What is called from one place, or only passes on what it was asked, is inlined at any level of optimisation: a
/// program that trains has chains by the dozen, and each such function would be compiled, named and kept by itself.
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
    [[gnu::always_inline]] static constexpr void each(auto&& f, auto&... t) {
      (each_child<I>(f, Label(detail::unnamed<Ls>::label), t...), ...);
    }
    static constexpr Index size = sizeof...(I);
    template <Index J>
    [[gnu::always_inline]] static constexpr void each_child(auto&& f, Label label, auto&... t) {
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
    [&]<Index... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
      (visit_child<I>(f, join(path, Label(detail::unnamed<Ls>::label)), p...), ...);
    }
    (std::make_index_sequence<size>{});
  }

  template <class Tune>
  static constexpr bool trains = (trains_any<detail::layer_of<Ls>, Tune> || ...);
  static constexpr bool drops_elements = (detail::layer_of<Ls>::drops_elements || ...);
  static constexpr bool adds_to_stream = layer_at<size - 1>::adds_to_stream;
  static void initialise(auto& p, Random& random) {
    [&]<Index... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
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
  template <class X, class Tune, bool Dx>
  static constexpr Rebuild rebuilds = Chain<X, float, Tune, Dx>::layers::rebuilds();
  template <class T, class X, class Tune, bool Dx>
  [[gnu::always_inline]] static constexpr Index rebuild_scratch(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::rebuild_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  using Saved = typename Chain<X, T, Tune, Dx>::layers::Saved;
  template <class T, class X, class Tune, bool Dx>
  [[gnu::always_inline]] static constexpr Index forward_scratch(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::forward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  [[gnu::always_inline]] static constexpr Index backward_scratch(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::backward_scratch(e);
  }
  template <class T, class X, class Tune, bool Dx>
  [[gnu::always_inline]] static constexpr Index backward_kept(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::backward_kept(e);
  }
  template <class T, class X, class Tune, bool Dx>
  [[gnu::always_inline]] static constexpr Index run_again_scratch(Extent e) {
    return Chain<X, T, Tune, Dx>::layers::run_again_scratch(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, auto x, View<T, output<X>> y, auto& saved) {
    forward_all<T, X>(c, p, x, detail::NoStream{}, y, saved);
  }
  template <class T, class X>
  static void forward_onto(auto& c, const auto& p, auto x, View<const T, output<X>> stream, View<T, output<X>> y,
                           auto& saved) {
    forward_all<T, X>(c, p, x, stream, y, saved);
  }

  /// Forward for what is saved alone: layers behind the last one that keeps something do not run.
  template <class T, class X>
  static void run_again(auto& c, const auto& p, auto x, auto& saved) {
    EdgesOf<T, X> edges;
    Arena::Mark marks[size];
    [&]<Index... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
      (run_again_step<I, T, X>(c, detail::child_at<I>(p), x, saved, edges, marks), ...);
    }
    (std::make_index_sequence<size>{});
  }

  /// The last layer writes its output again, from its input if that was kept.
  template <class T, class X>
  static void rebuild(auto& c, const auto& p, auto x, const auto& saved, View<T, output<X>> y) {
    constexpr Index last = size - 1;
    const auto in = detail::kept_or<last == 0, last - 1>(x, saved);
    layer_at<last>::template rebuild<T, edge<X, last>>(c, detail::child_at<last>(p), in,
                                                       detail::step_at<last>(saved).saved, y);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto y, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    EdgesOf<T, X> gradients;
    Arena::Mark marks[size];
    [&]<Index... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
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

  template <class T, class X>
  [[gnu::always_inline]] static void forward_all(auto& c, const auto& p, auto x, auto stream, View<T, output<X>> y,
                                                 auto& saved) {
    EdgesOf<T, X> edges;
    Arena::Mark marks[size];
    [&]<Index... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
      (forward_step<I, T, X>(c, detail::child_at<I>(p), x, stream, y, saved, edges, marks), ...);
    }
    (std::make_index_sequence<size>{});
  }

  /// Layer I; the last one adds to the stream, if there is one.
  template <Index I, class T, class X>
  [[gnu::always_inline]] static void forward_layer(auto& c, const auto& p, auto in, auto stream, auto out,
                                                   auto& saved) {
    if constexpr (I + 1 == size && !std::is_same_v<decltype(stream), detail::NoStream>) {
      detail::forward_onto<layer_at<I>, T, edge<X, I>>(c, p, in, stream, out, saved);
    } else {
      layer_at<I>::template forward<T, edge<X, I>>(c, p, in, out, saved);
    }
  }

  template <Index I, class T, class X, class Saved>
  [[gnu::always_inline]] static void forward_step(auto& c, const auto& p, auto x, auto stream, auto y, Saved& saved,
                                                  auto& edges, auto& marks) {
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
      forward_layer<I, T, X>(c, p, in, stream, out, detail::step_at<I>(saved).saved);
    } else {
      forward_layer<I, T, X>(c, p, in, stream, out, saved);
    }
    if constexpr (I > 0) {
      if constexpr (!detail::keeps_output<Saved, I - 1>) { c.arena.release_scratch(marks[I], detail::end_of_edge(I)); }
    }
  }

  template <Index I, class T, class X, class Saved>
  [[gnu::always_inline]] static void run_again_step(auto& c, const auto& p, auto x, Saved& saved, auto& edges,
                                                    auto& marks) {
    using plan = typename Saved::plan;
    if constexpr (plan::ends_run_again(I)) {
      const auto in = detail::edge_or<I == 0, I>(x, edges);
      detail::run_again<layer_at<I>, T, edge<X, I>>(c, p, in, detail::step_at<I>(saved).saved);
      if constexpr (I > 0) {
        if constexpr (!plan::keeps(I)) { c.arena.release_scratch(marks[I], detail::end_of_edge(I)); }
      }
    } else if constexpr (I < plan::run_again()) {
      forward_step<I, T, X>(c, p, x, detail::NoStream{}, Discard{}, saved, edges, marks);
    }
  }

  /// Where layer I writes the gradient of its input: the caller's place, a new edge, or nowhere.
  template <Index I, bool Wanted, class T, class In>
  [[gnu::always_inline]] static auto input_gradient(auto& c, auto dx, auto& gradients, auto& marks) {
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
  [[gnu::always_inline]] static void backward_step(auto& c, const auto& p, auto& g, auto x, auto y, const Saved& saved,
                                                   auto dy, auto dx, auto& gradients, auto& marks) {
    constexpr bool last = I + 1 == size;
    using plan = typename Saved::plan;
    if constexpr (plan::runs_backward[I]) {
      const auto in = detail::kept_or<I == 0, I - 1>(x, saved);
      const auto out = detail::kept_or<last, I>(y, saved);
      const auto dout = detail::edge_or<last, I + 1>(dy, gradients);
      const auto din = input_gradient<I, plan::wants_dx(I), T, edge<X, I>>(c, dx, gradients, marks);
      const auto& own = detail::step_at<I>(saved).saved;
      if constexpr (plan::template overwrites_dy<I, layer_at<I>>) {
        layer_at<I>::template backward_over<T, edge<X, I>>(c, p, g, in, out, own, dout, din);
      } else {
        layer_at<I>::template backward<T, edge<X, I>>(c, p, g, in, out, own, dout, din);
      }
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
