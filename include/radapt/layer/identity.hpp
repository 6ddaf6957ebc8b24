#pragma once
/// y = x: what an adapter policy answers for a site where it puts nothing. `chain` leaves it out altogether.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/columns.hpp"

namespace radapt {

struct Identity : layer_defaults {
  static constexpr auto name = "identity";
  template <class X>
  using output = X;

  template <class T, class X>
  static void forward(auto& c, const auto&, View<const T, X> x, View<T, X> y, auto&) {
    run(c, op::take_columns<T>{.y = y, .x = x});
  }
  template <class T, class X>
  static void backward(auto& c, const auto&, auto&, auto, auto, const auto&, View<const T, X> dy, auto dx) {
    if constexpr (wanted<decltype(dx)>) { run(c, op::take_columns<T>{.y = dx, .x = dy}); }
  }
};

}  // namespace radapt
