#pragma once
/// Walking the layers of a model by type: what merging, describing and initialising do.
#include <string>

#include "radapt/core/label.hpp"
#include "radapt/core/tree.hpp"

namespace radapt {

/// A layer that can be folded into a linear layer: `L::fold(alpha, parameters, weight, bias)` changes W and b so that
/// they compute what was computed with it (adapter/fold.hpp).
template <class L, class T = float>
concept foldable = requires(const Values<L, T>& p, Matrix<T> w, Vector<T> b) {
  L::fold(1.0, p, w, b);
};

namespace detail {

/// Passes a combinator's layers on to `f`, and any other layer as itself; a combinator that folds is one layer.
template <class L, class... P>
void visit_layer(auto&& f, const std::string& path, P&... p) {
  if constexpr (foldable<L>) {
    f.template operator()<L>(path, p...);
  } else if constexpr (requires { L::each_layer(f, path, p...); }) {
    L::each_layer(f, path, p...);
  } else {
    f.template operator()<L>(path, p...);
  }
}

}  // namespace detail
}  // namespace radapt
