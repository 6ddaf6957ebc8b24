#pragma once
/// Where a pass begins and ends: outside are elements of the parameters, inside those that the backend stores.
#include <type_traits>

#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/convert.hpp"

namespace radapt {

/// A whole model, or a tower, L on input X: activations are A, what goes in and comes out is T. Pixels and ids are read
/// as they are; features and logits are widened, and their gradients narrowed, in scratch memory.
template <class L, class X, class A, class T>
struct Boundary {
  static constexpr bool converts = !std::is_same_v<A, T>;
  using Y = typename L::template output<X>;

  /// Bytes of scratch beside those of L's plan, which is Plan<L, X, A, ...>. `width` is that of the output.
  static constexpr Index scratch(Extent e, Index width = Y::width) { return converts ? bytes_of<A, Y>(e, width) : 0; }

  static void forward(auto& c, const auto& p, auto x, View<T, Y> y, auto& saved) {
    if constexpr (converts) {
      const Arena::Mark before = c.arena.mark();
      const View<A, Y> inside = c.arena.template scratch<A, Y>(y.rows, End::low, y.width);
      L::template forward<A, X>(c, p, x, inside, saved);
      run(c, op::widen<A>{.y = y, .x = inside});
      c.arena.release_scratch(before);
    } else {
      L::template forward<T, X>(c, p, x, y, saved);
    }
  }

  /// The input has no gradient that anybody wants.
  static void backward(auto& c, const auto& p, auto& g, auto x, const auto& saved, View<const T, Y> dy) {
    if constexpr (converts) {
      const Arena::Mark before = c.arena.mark();
      const View<A, Y> inside = c.arena.template scratch<A, Y>(dy.rows, End::low, dy.width);
      run(c, op::narrow<A>{.y = inside, .x = dy});
      L::template backward<A, X>(c, p, g, x, Dropped{}, saved, inside, Discard{});
      c.arena.release_scratch(before);
    } else {
      L::template backward<T, X>(c, p, g, x, Dropped{}, saved, dy, Discard{});
    }
  }
};

}  // namespace radapt
