#pragma once
/// The concepts of the core on one page: what is meant by a row type, a tuning policy, a backend and a layer. Those of
/// the other rooms are beside what they describe; docs/concepts.md lists all of them.
///
/// A concept is for asking: `static_assert(radapt::layer<Mine, radapt::Tokens<64>>)` in a program tells at once which
/// member is missing. What goes wrong when parts are put together is told by reason types (core/check.hpp), in one
/// sentence.
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "radapt/core/context.hpp"
#include "radapt/core/element.hpp"
#include "radapt/core/plan.hpp"

namespace radapt {

/// What one row of an activation is: its width, and how many rows there are for an extent. `Tokens<768>`,
/// `Samples<512>`.
template <class X>
concept row_type = requires(Extent e) {
  requires std::is_convertible_v<decltype(X::width), Index>;
  requires std::is_same_v<decltype(X::rows(e)), Index>;
};

/// What decides from a parameter's role whether it is trained: `tune::only<role::adapter>`, or a struct of your own
/// with `template <class Role> static constexpr bool trains`.
template <class P>
concept tuning_policy = requires {
  requires std::is_convertible_v<decltype(P::template trains<role::adapter>), bool>;
};

/// What computes: an object with a name, made without arguments. Which operations it offers is asked for each operation
/// by `has_kernel` (backend/run.hpp).
template <class B>
concept backend = std::is_default_constructible_v<B> && requires {
  requires std::is_convertible_v<decltype(B::name), std::string_view>;
};

namespace detail {

/// Stands for any backend where a concept asks how a layer is called. It has no kernels, and nothing runs on it.
struct any_backend {
  static constexpr auto name = "any";
};

/// A static `each` that walks the parameters; the values are those of T.
template <class L, class T>
concept declares_parameters = requires(any_backend& f, Values<L, T>& p) {
  Values<L, T>::each(f, p);
};

/// What the plan asks of a layer on X: layer_defaults answers all of it.
template <class L, class X, class T>
concept answers_the_plan = requires(Extent e) {
  requires std::is_convertible_v<decltype(L::template reads_x<X, tune::everything, true>), bool>;
  requires std::is_convertible_v<decltype(L::template reads_y<X, tune::everything, true>), bool>;
  requires std::is_same_v<decltype(L::template forward_scratch<T, X, tune::everything, true>(e)), Index>;
  requires std::is_same_v<decltype(L::template backward_scratch<T, X, tune::everything, true>(e)), Index>;
  requires std::is_same_v<decltype(L::template backward_kept<T, X, tune::everything, true>(e)), Index>;
  typename L::template Saved<T, X, tune::everything, true>;
};

/// forward(context, parameters, x, y, saved) in inference and in training.
template <class L, class X, class T, class Input>
concept runs_forward = requires(Context<any_backend>& c, const Values<L, T>& p, View<const Input, X> x,
                                View<T, typename L::template output<X>> y, Unsaved& none,
                                typename Plan<L, X, T, tune::everything, true>::Saved& saved) {
  L::template forward<T, X>(c, p, x, y, none);
  L::template forward<T, X>(c, p, x, y, saved);
};

/// backward(context, parameters, gradients, x, y, saved, dy, dx).
template <class L, class X, class T, class Input>
concept runs_backward = requires(Context<any_backend>& c, const Values<L, T>& p, Gradients<L, tune::everything, T>& g,
                                 View<const Input, X> x, View<const T, typename L::template output<X>> y,
                                 const typename Plan<L, X, T, tune::everything, true>::Saved& saved,
                                 View<const T, typename L::template output<X>> dy, View<T, X> dx) {
  L::template backward<T, X>(c, p, g, x, y, saved, dy, dx);
};

/// The input is of the element type, or token ids.
template <class L, class X, class T>
concept runs = (runs_forward<L, X, T, T> && runs_backward<L, X, T, T>) ||
               (runs_forward<L, X, T, std::int32_t> && runs_backward<L, X, T, std::int32_t>);

}  // namespace detail

/// What stands in a model: a type without data that has a name, says what comes out for rows of X, declares its
/// parameters, answers the plan, and runs forward and backward. docs/add-a-layer.md goes through the members one by
/// one.
///
/// Only declarations are looked at; that the derivatives are right is for a test.
template <class L, class X, class T = float>
concept layer = row_type<X> && row_type<typename L::template output<X>> && element<T> &&
    std::is_convertible_v<decltype(L::name), std::string_view> && detail::declares_parameters<L, T> &&
    detail::answers_the_plan<L, X, T> && detail::runs<L, X, T>;

}  // namespace radapt
