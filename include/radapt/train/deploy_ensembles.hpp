#pragma once
/// From trained states to what is deployed, where that takes more than one run and alpha: soups, TPGM's projection, and
/// the two models of an output ensemble. The words act in the order of methods.md 8, constraint 4: average; alpha, and
/// adapters folded in (Rescale); mean of the runs (Soup); alpha between base and mean (Interpolate); projection
/// (Project); outputs (OutputEnsemble, VarianceReduction).
#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/ensemble/output_pair.hpp"
#include "radapt/ensemble/soup.hpp"
#include "radapt/ensemble/tpgm.hpp"
#include "radapt/train/deploy.hpp"

namespace radapt {

template <class Word>
struct takes_one_run_unless_it_has {
  static constexpr bool ok = false;
};
template <class Word>
struct takes_at_least_one_run {
  static constexpr bool ok = false;
};
template <class Word>
struct takes_no_loss_unless_it_has {
  static constexpr bool ok = false;
};

/// Finished runs of recipe R whose trainers are gone: what each run left (its average, where it has one), and the
/// weights that all of them began with. Both are somebody else's and must outlive this object. Weights hold factors: of
/// runs that average products (Average::Target::product) only the trainers know what is to be deployed.
template <class R, class T>
struct SavedRuns {
  using recipe = R;
  using W = Weights<typename R::trained, T>;
  const W* base;
  std::vector<const W*> runs;
};

/// Finished runs to deploy, `deploy(saved_runs<R>(base, runs), alpha)`: `runs` is any list of pointers to weights, such
/// as a std::vector.
template <class R, class T, class Models>
SavedRuns<R, T> saved_runs(const Weights<typename R::trained, T>& base, const Models& runs) {
  return {&base, {std::begin(runs), std::end(runs)}};
}
/// A base that nobody holds would be gone before the runs are deployed.
template <class R, class T, class Models>
SavedRuns<R, T> saved_runs(Weights<typename R::trained, T>&& base, const Models& runs) = delete;

namespace detail {

template <class X>
struct trainer_facts {
  static constexpr bool is_trainer = false;
};
template <class R, class Backend, class T>
struct trainer_facts<Trainer<R, Backend, T>> {
  static constexpr bool is_trainer = true;
  using recipe = R;
  using backend = Backend;
};
template <class X>
inline constexpr bool is_weights = false;
template <class M, class T>
inline constexpr bool is_weights<Weights<M, T>> = true;
template <class X>
inline constexpr bool is_saved_runs = false;
template <class R, class T>
inline constexpr bool is_saved_runs<SavedRuns<R, T>> = true;

/// A list of pointers to trainers of one recipe: std::vector, std::array or std::span.
template <class Runs>
concept trainer_list = requires(const Runs& runs) {
  requires trainer_facts<weights_of<Runs>>::is_trainer;
};
template <class Runs>
concept run_list = trainer_list<Runs> || is_saved_runs<Runs>;

template <class Runs>
struct recipe_of_runs {
  using type = typename Runs::recipe;
};
template <trainer_list Runs>
struct recipe_of_runs<Runs> {
  using type = typename trainer_facts<weights_of<Runs>>::recipe;
};

/// Why R is not deployed from a list of runs, or not from one run; with a held-out loss, or without.
template <class R, bool FromList, bool WithLoss>
constexpr auto ensembles_reason() {
  if constexpr (deploys_with<R, Soup> && !FromList) {
    return takes_a_list_of_runs<Soup>{};
  } else if constexpr (!deploys_with<R, Soup> && FromList) {
    return takes_one_run_unless_it_has<Soup>{};
  } else if constexpr (deploys_with<R, Transfer>) {
    return takes_another_base<Transfer>{};
  } else if constexpr (deploys_with<R, Project> && !WithLoss) {
    return takes_a_loss_on_held_out_data<Project>{};
  } else if constexpr (!deploys_with<R, Project> && WithLoss) {
    return takes_no_loss_unless_it_has<Project>{};
  } else {
    return fits{};
  }
}
/// Whether a list is empty by its type: std::array of none.
template <class Runs>
constexpr bool lists_nothing() {
  if constexpr (requires { std::tuple_size<Runs>::value; }) {
    return std::tuple_size<Runs>::value == 0;
  } else {
    return false;
  }
}
template <class Runs, bool WithLoss>
constexpr auto list_reason() {
  if constexpr (lists_nothing<Runs>()) {
    return takes_at_least_one_run<Soup>{};
  } else {
    return ensembles_reason<typename recipe_of_runs<Runs>::type, true, WithLoss>();
  }
}

/// The trainers, checked: at least one, none null, all from equal base weights. Another base would be another model,
/// and a mean of weights that have not begun at one place is no model at all.
template <trainer_list Runs>
std::vector<weights_of<Runs>*> checked_runs(const Runs& runs) {
  const std::vector<weights_of<Runs>*> list(std::begin(runs), std::end(runs));
  if (list.empty() || std::find(list.begin(), list.end(), nullptr) != list.end()) {
    fail({.what = "deploy, runs of a soup",
          .expected = "pointers to trainers, at least one",
          .got = list.empty() ? "none" : "a null pointer",
          .hint = ""});
  }
  const auto& first = list.front()->base();
  for (Index i = 1; i < list.size(); ++i) {
    if (!same_weights(list[i]->base(), first)) {
      fail({.what = "deploy, run " + std::to_string(i) + " of a soup",
            .expected = "a run that began with the same weights as the first",
            .got = "another base",
            .hint = "The mean of weights is a model only where the runs share their start: the same checkpoint, the "
                    "same head and the same first adapters"});
    }
  }
  return list;
}

/// What all runs began with.
template <trainer_list Runs>
auto base_of(const Runs& runs) {
  return (*std::begin(runs))->base();
}
template <class R, class T>
ConstWeights<typename R::trained, T> base_of(const SavedRuns<R, T>& saved) {
  return *saved.base;
}

/// What Soup and alpha make of weights that the runs left, and of the base.
template <class R, class M, class T, class W>
W soup_of(double alpha, const ConstWeights<M, T>& base, const std::vector<W>& finished) {
  std::vector<const W*> list;
  for (const W& weights : finished) { list.push_back(&weights); }
  return interpolated<R>(alpha, base, uniform_soup(list));
}
template <trainer_list Runs>
auto tuned_of(const Runs& runs, double alpha) {
  using R = typename recipe_of_runs<Runs>::type;
  const auto list = checked_runs(runs);
  std::vector<decltype(folded(*list.front(), alpha))> finished;
  for (auto* trainer : list) { finished.push_back(folded(*trainer, alpha)); }
  return soup_of<R>(alpha, list.front()->base(), finished);
}
template <class R, class T>
auto tuned_of(const SavedRuns<R, T>& saved, double alpha) {
  const auto list = checked_models("deploy, runs of a soup", saved.runs);
  check_same_classes("deploy, runs of a soup", *saved.base, *list.front());
  if constexpr (deploys_with<R, Rescale>) {
    std::vector<decltype(merge(alpha, *list.front()))> finished;
    for (const auto* weights : list) { finished.push_back(merge(alpha, *weights)); }
    return soup_of<R>(alpha, base_of(saved), finished);
  } else {
    return interpolated<R>(alpha, base_of(saved), uniform_soup(list));
  }
}

/// The weights, or the two models where the recipe mixes outputs.
template <class R, class M, class T, class W>
auto with_outputs(const ConstWeights<M, T>& base, W tuned) {
  if constexpr (deploys_with<R, OutputEnsemble>) {
    return OutputEnsemblePair<W, M>{{std::move(tuned), base}};
  } else if constexpr (deploys_with<R, VarianceReduction>) {
    return VariancePair<W, M>{{std::move(tuned), base}};
  } else {
    return tuned;
  }
}

template <class R, class M, class T, class W, class Loss>
auto projected(const ConstWeights<M, T>& base, const W& tuned, Loss&& loss, const TpgmOptions& options) {
  const auto result = [&] {
    if constexpr (std::is_same_v<W, Weights<M, T>>) {
      return tpgm(base.copy(), tuned, loss, options);
    } else {
      return tpgm(merge(0.0, base.copy()), tuned, loss, options);  // adapters are folded in: the anchor is without
    }
  };
  if constexpr (mixes_outputs<R>) {
    return with_outputs<R>(base, std::move(result().weights));
  } else {
    return result();
  }
}

}  // namespace detail

/// OSE and VRF: the fine-tuned weights, as deploy() would give them without the word, beside the base that the trainer
/// reads (an OutputEnsemblePair or a VariancePair). The base is not copied. After carry_over() the base is the run
/// before, not the zero-shot model: give `predict` and `probabilities` that one's logits instead.
template <class R, class Backend, class T>
requires detail::mixes_outputs<R>
auto deploy(Trainer<R, Backend, T>& trainer, double alpha) {
  (void)check_deploy<decltype(detail::ensembles_reason<R, false, false>())>{};
  return detail::with_outputs<R>(trainer.base(),
                                 detail::interpolated<R>(alpha, trainer.base(), detail::folded(trainer, alpha)));
}

/// A soup: `runs` is a list of pointers to trainers of one recipe with Soup, or saved_runs<R>(base, weights). With
/// Rescale it is the mean of what each run would deploy at alpha, since the mean of factors is not the mean of what
/// adapters do; with Interpolate it is the interpolation of the mean; with neither alpha is 1.
///
/// The uniform soup. Others are made by greedy_soup and learned_soup of what the runs left. Errors: no runs, a null
/// pointer, trainers that began with different weights.
template <detail::run_list Runs>
auto deploy(const Runs& runs, double alpha) {
  using R = typename detail::recipe_of_runs<Runs>::type;
  (void)check_deploy<decltype(detail::list_reason<Runs, false>())>{};
  auto tuned = detail::tuned_of(runs, alpha);  // checks the runs first
  return detail::with_outputs<R>(detail::base_of(runs), std::move(tuned));
}

/// TPGM: what the run leaves at alpha, projected toward the base. `loss` and `options` are those of tpgm(), and so is
/// the result, unless the recipe mixes outputs: that leaves a pair whose `tuned` are the projected weights. With
/// Rescale the anchor is the base without adapters, and `loss` takes weights of that type.
template <class R, class Backend, class T, class Loss>
requires(!detail::is_weights<std::remove_cvref_t<Loss>>) auto deploy(Trainer<R, Backend, T>& trainer, double alpha,
                                                                     Loss&& loss, const TpgmOptions& options = {}) {
  (void)check_deploy<decltype(detail::ensembles_reason<R, false, true>())>{};
  return detail::projected<R>(
      trainer.base(), detail::interpolated<R>(alpha, trainer.base(), detail::folded(trainer, alpha)), loss, options);
}
/// TPGM of a soup.
template <detail::run_list Runs, class Loss>
requires(!detail::is_weights<std::remove_cvref_t<Loss>>) auto deploy(const Runs& runs, double alpha, Loss&& loss,
                                                                     const TpgmOptions& options = {}) {
  using R = typename detail::recipe_of_runs<Runs>::type;
  (void)check_deploy<decltype(detail::list_reason<Runs, true>())>{};
  const auto tuned = detail::tuned_of(runs, alpha);
  return detail::projected<R>(detail::base_of(runs), tuned, loss, options);
}

/// The soup of trainers with a head from its own text tower, as deploy_with_head of one trainer.
template <detail::trainer_list Runs>
auto deploy_with_head(const Runs& runs, double alpha, const Captions& prompts, const std::vector<Index>& per_class) {
  using R = typename detail::recipe_of_runs<Runs>::type;
  (void)check_deploy<decltype(detail::list_reason<Runs, false>())>{};
  static_assert(
      !detail::mixes_outputs<R>,
      "radapt: two models have two heads; to fix: deploy() the recipe, and make a zero_shot_weights of each.");
  return detail::with_head<typename detail::trainer_facts<detail::weights_of<Runs>>::backend>(
      detail::tuned_of(runs, alpha), prompts, per_class);
}

}  // namespace radapt
