#pragma once
/// One token of each sequence: the class token of an image, the end-of-text token of a caption.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/pool.hpp"

namespace radapt {

namespace detail {
template <class X>
struct pooled_row_type {};
template <Index W>
struct pooled_row_type<Tokens<W>> {
  using type = Samples<W>;
};
}  // namespace detail

/// x (tokens, width) -> y (sequences, width).
template <Pooling Kind>
struct Pool : layer_defaults {
  static constexpr auto name = "pool";
  template <class X>
  using output = typename detail::pooled_row_type<X>::type;

  template <class T, class X>
  static void forward(auto& c, const auto&, View<const T, X> x, View<T, output<X>> y, auto&) {
    run(c, op::pool_forward<T>{.y = y, .x = x, .pooling = Kind, .sequences = c.sequences});
  }
  template <class T, class X>
  static void backward(auto& c, const auto&, auto&, auto, auto, const auto&, View<const T, output<X>> dy, auto dx) {
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::pool_backward<T>{.dx = dx, .dy = dy, .pooling = Kind, .sequences = c.sequences});
    }
  }
};

}  // namespace radapt
