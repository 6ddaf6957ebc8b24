#pragma once
/// y = x / |x| by rows: features of unit length.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

/// x (rows, width) -> y (rows, width), |y| = 1.
struct L2Normalize : layer_defaults {
  static constexpr auto name = "l2_normalize";
  template <class X>
  using output = X;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_y = true;

  template <class T, class X, class, bool>
  struct SavedNorm {
    View<statistic_t<T>, typename X::template with<1>> norm;  // (rows)
    static constexpr void each(auto&& f, auto&... s) { (f(s.norm), ...); }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedNorm<T, X, Tune, Dx>;

  template <class T, class X>
  static void forward(auto& c, const auto&, View<const T, X> x, View<T, X> y, auto& saved) {
    keep_buffers(c, saved);
    op::l2_normalize_forward<T> o{.y = y, .x = x};
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) { o.norm = saved.norm; }
    run(c, o);
  }
  template <class T, class X>
  static void backward(auto& c, const auto&, auto&, auto, auto y, const auto& saved, View<const T, X> dy, auto dx) {
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::l2_normalize_backward<T>{.dx = dx, .dy = dy, .y = y, .norm = saved.norm});
    }
  }
};

}  // namespace radapt
