#pragma once
/// From a trained state to what is deployed: average, alpha, merge, head, in that order (methods.md 8, constraint 4).
#include <vector>

#include "radapt/clip/zero_shot.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt {

/// Weights ready to run. `alpha` weights the fine-tuned side and must be chosen: for Rescale it scales the adapters
/// before they are folded in, for Interpolate it is WiSE-FT's coefficient, and a recipe with neither takes no alpha
/// but 1.
///
/// The result's type is what is left: Weights of a plain Clip after Rescale, of the trained model otherwise.
template <class R, class Backend, class T>
auto deploy(Trainer<R, Backend, T>& trainer, double alpha) {
  if constexpr (R::after::template has<Rescale>) {
    if constexpr (Trainer<R, Backend, T>::has_products) {
      if (trainer.products().has_value()) { return trainer.products()->merge(alpha, trainer.base()); }
    }
    return merge(alpha, trainer.averaged());
  } else if constexpr (R::after::template has<Interpolate>) {
    return interpolate(alpha, trainer.base(), trainer.averaged());
  } else {
    if (alpha != 1.0) {
      fail({.what = "deploy",
            .expected = "alpha 1, since this recipe has no ensemble after training",
            .got = std::to_string(alpha),
            .hint = "Add Rescale or Interpolate to the recipe's After<...>"});
    }
    return trainer.averaged();
  }
}

/// A plain Clip with the zero-shot head made from its own, merged text tower.
template <class M, class T>
struct Deployed {
  Weights<M, T> weights;
  std::vector<T> head;  ///< (classes, embed), rows of length 1
};

/// deploy(), and the head rebuilt from the deployed text tower. Prompts as in zero_shot_weights.
template <class R, class Backend, class T>
auto deploy_with_head(Trainer<R, Backend, T>& trainer, double alpha, const Captions& prompts,
                      const std::vector<Index>& per_class) {
  auto weights = deploy(trainer, alpha);
  using M = typename decltype(weights)::model;
  Session<M, Backend, T> session(weights);
  auto head = zero_shot_weights(session, prompts, per_class);
  return Deployed<M, T>{std::move(weights), std::move(head)};
}

}  // namespace radapt
