#pragma once
/// Parameter trees. A layer declares its parameters once, as `Params<Slot>`; values, gradients, moments and names are
/// the same tree with other leaves, and `each` walks any number of them side by side.
#include <string>
#include <type_traits>

#include "radapt/core/label.hpp"
#include "radapt/core/tune.hpp"
#include "radapt/core/view.hpp"

namespace radapt {

/// A leaf that holds nothing but types: extents and role.
template <class S, class R>
struct Description {
  using shape = S;
  using role = R;
};

template <class T>
inline constexpr bool is_leaf = std::is_same_v<T, Frozen>;
template <class T, class S>
inline constexpr bool is_leaf<Parameter<T, S>> = true;
template <class S, class R>
inline constexpr bool is_leaf<Description<S, R>> = true;
template <class T>
inline constexpr bool is_leaf<const T> = is_leaf<T>;

namespace detail {
template <class T>
struct value_slot {
  template <class S, class R>
  using leaf = Parameter<T, S>;
};
/// Whether Tune trains a parameter of role R.
template <class Tune, class R>
inline constexpr bool trains_role = Tune::template trains<R> && !role::never_trained<R>;
template <class T, class Tune>
struct gradient_slot {
  template <class S, class R>
  using leaf = std::conditional_t<trains_role<Tune, R>, Parameter<T, S>, Frozen>;
};
}  // namespace detail

/// Parameters of layer L as views of elements T.
template <class L, class T>
using Values = typename L::template Params<detail::value_slot<T>::template leaf>;
/// Gradients of layer L under a tuning policy; frozen leaves are `Frozen` and occupy nothing.
template <class L, class Tune, class T>
using Gradients = typename L::template Params<detail::gradient_slot<T, Tune>::template leaf>;
/// Extents and roles of the parameters of layer L.
template <class L>
using Descriptions = typename L::template Params<Description>;

/// Calls f(leaf...) for corresponding leaves of trees that were declared by the same layer.
template <class F, class First, class... Rest>
constexpr void each(F&& f, First& first, Rest&... rest) {
  if constexpr (is_leaf<First>) {
    f(first, rest...);
  } else {
    std::remove_const_t<First>::each([&](Label, auto&... child) { radapt::each(f, child...); }, first, rest...);
  }
}

/// Calls f(name, leaf...); names are open_clip's, e.g. `visual.transformer.resblocks.0.attn.in_proj_weight`.
template <class F, class First, class... Rest>
void each_named(F&& f, const std::string& path, First& first, Rest&... rest) {
  if constexpr (is_leaf<First>) {
    f(path, first, rest...);
  } else {
    std::remove_const_t<First>::each(
        [&](Label label, auto&... child) { radapt::each_named(f, join(path, label), child...); }, first, rest...);
  }
}

namespace detail {
template <class L, class Tune>
consteval bool trains_any_of() {
  bool any = false;
  const Descriptions<L> tree{};
  radapt::each([&]<class S, class R>(const Description<S, R>&) { any = any || trains_role<Tune, R>; }, tree);
  return any;
}
}  // namespace detail

/// Whether the policy trains at least one parameter of layer L. A combinator may answer from its parts, as
/// `L::trains<Tune>`, which spares the compiler a walk over all of them.
template <class L, class Tune>
inline constexpr bool trains_any = detail::trains_any_of<L, Tune>();
template <class L, class Tune>
requires requires { L::template trains<Tune>; }
inline constexpr bool trains_any<L, Tune> = L::template trains<Tune>;

/// Number of parameters of layer L that a policy trains; `leading` is the value of a dynamic extent.
template <class L, class Tune = tune::everything>
constexpr Index count(Index leading = 1) {
  Index n = 0;
  const Descriptions<L> tree{};
  radapt::each(
      [&]<class S, class R>(const Description<S, R>&) { n += detail::trains_role<Tune, R> ? S::size(leading) : 0; },
      tree);
  return n;
}

}  // namespace radapt
