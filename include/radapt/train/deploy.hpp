#pragma once
/// From a trained state to what is deployed: average, alpha, merge, head, in that order (methods.md 8, constraint 4).
/// What takes more than one run and alpha is in radapt/train/deploy_ensembles.hpp and radapt/train/deploy_transfer.hpp.
#include <string>
#include <utility>
#include <vector>

#include "radapt/clip/zero_shot.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt {

/// Reasons for which a call of deploy() does not give what the recipe's words for deployment ask for, or more.
template <class Word>
struct takes_a_list_of_runs {
  static constexpr bool ok = false;
};
template <class Word>
struct takes_a_loss_on_held_out_data {
  static constexpr bool ok = false;
};
template <class Word>
struct takes_another_base {
  static constexpr bool ok = false;
};
template <class Word>
struct leaves_two_models_and_needs_deploy_ensembles {
  static constexpr bool ok = false;
};

template <class Why>
struct check_deploy {
  static constexpr bool this_call_gives_what_the_recipe_takes = Why::ok;
  static_assert(
      this_call_gives_what_the_recipe_takes,
      "radapt: this call of deploy() does not give what the recipe's words for deployment take. Read "
      "check_deploy<reason<word>>; to fix: give it one trainer and alpha, with Soup a list of pointers to trainers in "
      "the trainer's place, with Project a held-out loss behind alpha, with Transfer the weights of another base and "
      "options behind alpha; Soup, Project, OutputEnsemble and VarianceReduction need "
      "radapt/train/deploy_ensembles.hpp, Transfer radapt/train/deploy_transfer.hpp.");
};

namespace detail {

template <class R, class Word>
inline constexpr bool deploys_with = R::after::template has<Word>;
template <class R>
inline constexpr bool mixes_outputs = deploys_with<R, OutputEnsemble> || deploys_with<R, VarianceReduction>;

/// The first word of R that one run and alpha do not satisfy.
template <class R>
constexpr auto one_run_reason() {
  if constexpr (deploys_with<R, Soup>) {
    return takes_a_list_of_runs<Soup>{};
  } else if constexpr (deploys_with<R, Project>) {
    return takes_a_loss_on_held_out_data<Project>{};
  } else if constexpr (deploys_with<R, Transfer>) {
    return takes_another_base<Transfer>{};
  } else if constexpr (deploys_with<R, OutputEnsemble>) {
    return leaves_two_models_and_needs_deploy_ensembles<OutputEnsemble>{};
  } else if constexpr (deploys_with<R, VarianceReduction>) {
    return leaves_two_models_and_needs_deploy_ensembles<VarianceReduction>{};
  } else {
    return fits{};
  }
}

inline void check_no_alpha(double alpha) {
  if (alpha != 1.0) {
    fail({.what = "deploy",
          .expected = "alpha 1, since this recipe scales and interpolates nothing",
          .got = std::to_string(alpha),
          .hint = "Add Rescale or Interpolate to the recipe's After<...>"});
  }
}

/// The average of a run with the adapters scaled by alpha and folded in, where the recipe says Rescale.
template <class R, class Backend, class T>
auto folded(Trainer<R, Backend, T>& trainer, double alpha) {
  if constexpr (deploys_with<R, Rescale>) {
    if constexpr (Trainer<R, Backend, T>::has_products) {
      if (trainer.products().has_value()) { return trainer.products()->merge(alpha, trainer.base().copy()); }
    }
    return merge(alpha, trainer.averaged());
  } else {
    return trainer.averaged();
  }
}

/// What alpha does to weights that are folded already: Interpolate, or nothing.
template <class R, class M, class T, class W>
W interpolated(double alpha, const ConstWeights<M, T>& base, W weights) {
  if constexpr (deploys_with<R, Interpolate>) {
    return interpolate(alpha, base, std::move(weights));
  } else {
    if constexpr (!deploys_with<R, Rescale>) { check_no_alpha(alpha); }
    return weights;
  }
}

}  // namespace detail

/// Weights ready to run. `alpha` weights the fine-tuned side and must be chosen: for Rescale it scales the adapters
/// before they are folded in, for Interpolate it is WiSE-FT's coefficient, and a recipe with neither takes no alpha
/// but 1.
///
/// The result's type is what is left: Weights of a plain Clip after Rescale, of the trained model otherwise. A recipe
/// with another word for deployment does not compile with this: see check_deploy.
template <class R, class Backend, class T>
auto deploy(Trainer<R, Backend, T>& trainer, double alpha) {
  (void)check_deploy<decltype(detail::one_run_reason<R>())>{};
  return detail::interpolated<R>(alpha, trainer.base(), detail::folded(trainer, alpha));
}

/// A plain Clip with the zero-shot head made from its own, merged text tower.
template <class M, class T>
struct Deployed {
  Weights<M, T> weights;
  std::vector<T> head;  ///< (classes, embed), rows of length 1
};

namespace detail {

template <class Backend, class M, class T>
Deployed<M, T> with_head(Weights<M, T> weights, const Captions& prompts, const std::vector<Index>& per_class) {
  Session<M, Backend, T> session(weights);
  auto head = zero_shot_weights(session, prompts, per_class);
  return {std::move(weights), std::move(head)};
}

}  // namespace detail

/// deploy(), and the head rebuilt from the deployed text tower. Prompts as in zero_shot_weights.
template <class R, class Backend, class T>
auto deploy_with_head(Trainer<R, Backend, T>& trainer, double alpha, const Captions& prompts,
                      const std::vector<Index>& per_class) {
  (void)check_deploy<decltype(detail::one_run_reason<R>())>{};
  return detail::with_head<Backend>(detail::interpolated<R>(alpha, trainer.base(), detail::folded(trainer, alpha)),
                                    prompts, per_class);
}

}  // namespace radapt
