#pragma once
/// y = x: what an adapter policy answers for a site where it puts nothing. Sequential leaves it out altogether.
#include "radapt/core/plan.hpp"

namespace radapt {

struct Identity : layer_defaults {
  static constexpr auto name = "identity";
  template <class X>
  using output = X;
};

}  // namespace radapt
