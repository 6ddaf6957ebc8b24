#pragma once
/// y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias over the width of a row, eps 1e-5 as in every CLIP.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

/// x (rows, Width) -> y (rows, Width); weight and bias (Width).
template <Index Width, class Role = role::norm>
struct LayerNorm : layer_defaults {
  static constexpr auto name = "layer_norm";
  static constexpr Index input_width = Width;
  static constexpr double eps = 1e-5;

  template <class X>
  using output = typename maps_width<X, Width, Width>::type;

  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<Width>, Role> weight;  // (Width)
    Slot<Shape<Width>, Role> bias;    // (Width)
    static constexpr void each(auto&& f, auto&... t) {
      f("weight", t.weight...);
      f("bias", t.bias...);
    }
  };

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = true;

  template <class T, class X, class, bool>
  struct SavedStatistics {
    View<statistic_t<T>, typename X::template with<1>> mean, rstd;  // (rows)
    static constexpr void each(auto&& f, auto&... s) {
      (f(s.mean), ...);
      (f(s.rstd), ...);
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedStatistics<T, X, Tune, Dx>;

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, X> y, auto& saved) {
    keep_buffers(c, saved);
    op::layer_norm_forward<T> o{.y = y, .x = x, .weight = p.weight, .bias = p.bias, .eps = eps};
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) {
      o.mean = saved.mean;
      o.rstd = saved.rstd;
    }
    run(c, o);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, X> dy, auto dx) {
    if constexpr (wanted<decltype(g.weight)>) {
      run(c, op::layer_norm_backward_weight<T>{
                 .dweight = g.weight, .dbias = g.bias, .dy = dy, .x = x, .mean = saved.mean, .rstd = saved.rstd});
    }
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::layer_norm_backward_input<T>{
                 .dx = dx, .dy = dy, .x = x, .weight = p.weight, .mean = saved.mean, .rstd = saved.rstd});
    }
  }
};

}  // namespace radapt
