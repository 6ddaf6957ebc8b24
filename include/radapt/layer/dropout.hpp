#pragma once
/// Dropout of single elements while training.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/dropout.hpp"

namespace radapt {

/// What a dropout layer of a pass drops: nothing in evaluation.
inline op::ElementDraws element_draws(const Phase& phase, std::uint32_t site) {
  return {.probability = phase.training ? phase.dropout : 0.0,
          .seed = phase.seed,
          .step = phase.step,
          .site = site,
          .first_sequence = phase.first_sequence};
}

/// y = x / (1 - p) where an element is kept, 0 elsewhere; y = x in evaluation. p is Phase::dropout, any width.
struct Dropout : layer_defaults {
  static constexpr auto name = "dropout";
  static constexpr bool drops_elements = true;
  template <class X>
  using output = X;

  /// Which of a pass's stochastic layers this was.
  template <class, class, class, bool>
  struct Site {
    std::uint32_t number = 0;
    static constexpr void each(auto&&, auto&...) {}
    static constexpr Index bytes(Extent) { return 0; }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = Site<T, X, Tune, Dx>;

  template <class T, class X>
  static void forward(auto& c, const auto&, View<const T, X> x, View<T, X> y, auto& saved) {
    const std::uint32_t site = c.phase.next_site++;
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) { saved.number = site; }
    run(c, op::dropout<T>{.y = y, .x = x, .draws = element_draws(c.phase, site), .sequences = c.sequences});
  }
  template <class T, class X>
  static void backward(auto& c, const auto&, auto&, auto, auto, const auto& saved, View<const T, X> dy, auto dx) {
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::dropout<T>{.y = dx, .x = dy, .draws = element_draws(c.phase, saved.number), .sequences = c.sequences});
    }
  }
};

}  // namespace radapt
