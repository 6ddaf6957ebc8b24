#pragma once
/// Going on with another recipe where one has ended: LP-FT's way from the probe to the whole model (methods.md 7.3).
#include "radapt/core/check.hpp"
#include "radapt/core/copy.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt {

/// Reasons for which a recipe cannot go on from what another has trained.
template <class From, class To>
struct the_architectures_differ {
  static constexpr bool ok = false;
};
template <class From, class To>
struct the_head_would_be_lost {
  static constexpr bool ok = false;
};
template <class From, class To>
struct there_is_no_head_to_begin_with {
  static constexpr bool ok = false;
};
template <class From, class To>
struct there_is_no_text_tower_to_begin_with {
  static constexpr bool ok = false;
};
template <class From, class To>
struct the_adapters_would_be_lost {
  static constexpr bool ok = false;
};

template <class Why>
struct check_carry_over {
  static constexpr bool the_second_recipe_can_go_on_from_the_first = Why::ok;
  static_assert(the_second_recipe_can_go_on_from_the_first,
                "radapt: the second recipe cannot go on from the first. Read check_carry_over<reason<first model, "
                "second model>>; to fix: give both a head (cross entropy) or both the two towers (a contrastive loss), "
                "of one architecture, and fold adapters in with deploy() before a recipe that has none.");
};

namespace detail {

template <class Model>
constexpr bool has_head() {
  return requires { typename Model::clip; };
}

template <class From, class To>
constexpr auto carry_over_reason() {
  using Before = typename From::policy;
  using After = typename To::policy;
  if constexpr (!std::is_same_v<typename From::arch, typename To::arch>) {
    return the_architectures_differ<From, To>{};
  } else if constexpr (has_head<From>() && !has_head<To>()) {
    return the_head_would_be_lost<From, To>{};
  } else if constexpr (!has_head<From>() && has_head<To>()) {
    return there_is_no_head_to_begin_with<From, To>{};
  } else if constexpr (has_text_tower<To> && !has_text_tower<From>) {
    return there_is_no_text_tower_to_begin_with<From, To>{};
  } else if constexpr (!std::is_same_v<Before, NoAdapter> && !std::is_same_v<Before, After>) {
    return the_adapters_would_be_lost<From, To>{};
  } else {
    return fits{};
  }
}

}  // namespace detail

/// The weights that recipe Next begins with when it goes on from `trainer`: what that has trained (its moving average,
/// where the recipe deploys one), bit for bit, and adapters that Next adds as the identity. Error: a run that averages
/// products. LP-FT is
///
///     radapt::Trainer<radapt::recipe::linear_probe<Arch>, radapt::onednn> probe{zero_shot, probe_options};
///     ...                                                                       // steps, to convergence
///     const auto start = radapt::carry_over<radapt::recipe::full_fine_tuning<Arch>>(probe);
///     radapt::Trainer<radapt::recipe::full_fine_tuning<Arch>, radapt::onednn> tuned{start, options};
///
/// The result is what later terms and ensembles take for the base. WiSE-FT against the zero-shot model is
/// `interpolate(alpha, zero_shot, tuned.weights())`.
template <class Next, class R, class Backend, class T>
Weights<typename Next::trained, T> carry_over(Trainer<R, Backend, T>& trainer) {
  using From = typename R::trained;
  using To = typename Next::trained;
  (void)check_carry_over<decltype(detail::carry_over_reason<From, To>())>{};
  if constexpr (std::is_same_v<From, To>) {
    return trainer.averaged();
  } else {
    const auto trained = trainer.averaged();
    Weights<To, T> start(trained.classes());
    Random random(trainer.options().seed);
    To::initialise(start.tree(), random);
    copy_by_name(start, trained);
    return start;
  }
}

}  // namespace radapt
