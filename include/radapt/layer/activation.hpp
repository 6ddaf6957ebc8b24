#pragma once
/// QuickGELU, GELU and its tanh form, ReLU, element by element.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/activation.hpp"

namespace radapt {

/// y = act(x), any width.
template <Activation Kind>
struct Activate : layer_defaults {
  static constexpr auto name = "activation";
  template <class X>
  using output = X;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = true;

  template <class T, class X>
  static void forward(auto& c, const auto&, View<const T, X> x, View<T, X> y, auto&) {
    run(c, op::activation_forward<T>{.y = y, .x = x, .kind = Kind});
  }
  template <class T, class X>
  static void backward(auto& c, const auto&, auto&, auto x, auto, const auto&, View<const T, X> dy, auto dx) {
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::activation_backward<T>{.dx = dx, .dy = dy, .x = x, .kind = Kind});
    }
  }
};

using QuickGelu = Activate<Activation::quick_gelu>;
using Gelu = Activate<Activation::gelu>;
using GeluTanh = Activate<Activation::gelu_tanh>;
using Relu = Activate<Activation::relu>;

}  // namespace radapt
