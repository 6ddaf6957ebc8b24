#pragma once
/// Walking the layers of a model by type: what merging, describing and initialising do.
#include <string>

#include "radapt/core/label.hpp"

namespace radapt::detail {

/// Passes a combinator's layers on to `f`, and any other layer as itself.
template <class L, class... P>
void visit_layer(auto&& f, const std::string& path, P&... p) {
  if constexpr (requires { L::each_layer(f, path, p...); }) {
    L::each_layer(f, path, p...);
  } else {
    f.template operator()<L>(path, p...);
  }
}

}  // namespace radapt::detail
