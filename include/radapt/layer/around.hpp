#pragma once
/// What combinators share that stand around one layer.
#include <string>

#include "radapt/core/plan.hpp"
#include "radapt/layer/visit.hpp"

namespace radapt::detail {

/// Base of a combinator whose tensors are those of its body, under their names: it adds no step to them.
template <class Body>
struct Around : layer_defaults {
  template <template <class, class> class Slot>
  using Params = typename Body::template Params<Slot>;
  template <class Tune>
  static constexpr bool trains = trains_any<Body, Tune>;
  static constexpr bool drops_elements = Body::drops_elements;
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    visit_layer<Body>(f, path, p...);
  }
  static void initialise(auto& p, Random& random) { Body::initialise(p, random); }
};

}  // namespace radapt::detail
