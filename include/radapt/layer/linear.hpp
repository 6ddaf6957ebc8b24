#pragma once
/// y = x W^T + b, the linear layer of PyTorch; and y = x P, the projection of CLIP's towers.
#include "radapt/backend/run.hpp"
#include "radapt/core/check.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/linear.hpp"

namespace radapt {

/// The output row of a layer that maps width In to width Out, for inputs of width In only.
template <class X, Index In, Index Out>
struct maps_width {};
template <class X, Index In, Index Out>
requires(X::width == In) struct maps_width<X, In, Out> {
  using type = typename X::template with<Out>;
};

/// y = x W^T + b.   x (rows, In) -> y (rows, Out); W (Out, In), b (Out). Out may be `dynamic`: a number of classes.
template <Index In, Index Out, class Role = role::backbone>
struct Linear : layer_defaults {
  static constexpr auto name = "linear";
  static constexpr Index input_width = In;
  static constexpr bool adds_to_stream = true;

  template <class X>
  using output = typename maps_width<X, In, Out>::type;

  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<Out, In>, Role> weight;  // (Out, In)
    Slot<Shape<Out>, Role> bias;        // (Out)
    static constexpr void each(auto&& f, auto&... t) {
      f("weight", t.weight...);
      f("bias", t.bias...);
    }
  };

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto&) {
    run(c, op::linear_forward<T>{.y = y, .x = x, .weight = p.weight, .bias = p.bias});
  }

  template <class T, class X>
  static void forward_onto(auto& c, const auto& p, View<const T, X> x, View<const T, output<X>> stream,
                           View<T, output<X>> y, auto&) {
    run(c, op::linear_residual_forward<T>{.y = y, .x = x, .residual = stream, .weight = p.weight, .bias = p.bias});
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto&, View<const T, output<X>> dy,
                       auto dx) {
    if constexpr (wanted<decltype(g.weight)>) {
      run(c, op::linear_backward_weight<T>{.dw = g.weight, .dy = dy, .x = x});
    }
    if constexpr (wanted<decltype(g.bias)>) { run(c, op::linear_backward_bias<T>{.db = g.bias, .dy = dy}); }
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::linear_backward_input<T>{.dx = dx, .dy = dy, .weight = p.weight});
    }
  }
};

/// y = x P.   x (rows, In) -> y (rows, Out); P (In, Out), no bias: the layout in which CLIP stores its projections. The
/// same three products as Linear, with the roles of W and its transpose exchanged.
template <Index In, Index Out, class Role = role::projection>
struct Projection : layer_defaults {
  static constexpr auto name = "projection";
  static constexpr Index input_width = In;

  template <class X>
  using output = typename maps_width<X, In, Out>::type;

  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<In, Out>, Role> matrix;  // (In, Out); its tensor has no name of its own: `visual.proj`
    static constexpr void each(auto&& f, auto&... t) { f("", t.matrix...); }
  };

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto&) {
    run(c, op::linear_backward_input<T>{.dx = y, .dy = x, .weight = p.matrix});
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto&, View<const T, output<X>> dy,
                       auto dx) {
    if constexpr (wanted<decltype(g.matrix)>) {
      run(c, op::linear_backward_weight<T>{.dw = g.matrix, .dy = x, .x = dy});
    }
    if constexpr (wanted<decltype(dx)>) { run(c, op::linear_forward<T>{.y = dx, .x = dy, .weight = p.matrix}); }
  }
};

}  // namespace radapt
