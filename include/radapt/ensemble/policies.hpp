#pragma once
/// The words that a recipe's ensembles are spelled with: what happens while training, and what happens at deployment.
#include <type_traits>

#include "radapt/core/check.hpp"

namespace radapt {

/// When a word of a recipe acts.
enum class Acts { while_training, at_deployment };

/// While training: whole adapters are dropped at random (methods.md 1.5).
struct AdapterDrop {
  static constexpr Acts acts = Acts::while_training;
};
/// While training: a moving average follows the trained parameters, and is what is deployed (methods.md 1.6).
struct Accumulate {
  static constexpr Acts acts = Acts::while_training;
};

/// At deployment: adapters are scaled by alpha and folded into the frozen weights (methods.md 1.7).
struct Rescale {
  static constexpr Acts acts = Acts::at_deployment;
};
/// At deployment: every tensor is interpolated between the base and the fine-tuned weights (methods.md 2.1).
struct Interpolate {
  static constexpr Acts acts = Acts::at_deployment;
};
/// At deployment: the mean of the weights of several runs (Wortsman et al., ICML 2022; methods.md 7.10). Interpolate
/// acts on the mean, Rescale on every run before it.
struct Soup {
  static constexpr Acts acts = Acts::at_deployment;
};
/// At deployment: TPGM's projection, every tensor into a ball around the base whose radius is learned on held-out data
/// (Tian et al., CVPR 2023; methods.md 7.14).
struct Project {
  static constexpr Acts acts = Acts::at_deployment;
};
/// At deployment: ProLoRA, what the adapters do is moved into another base model (methods.md 5).
struct Transfer {
  static constexpr Acts acts = Acts::at_deployment;
};
/// At deployment: OSE, the probabilities of the base and of the fine-tuned model are mixed with one constant
/// (methods.md 7.16). Two models run.
struct OutputEnsemble {
  static constexpr Acts acts = Acts::at_deployment;
};
/// At deployment: VRF, the same with a weight for every sample (Zhu et al., NeurIPS 2024; methods.md 3).
struct VarianceReduction {
  static constexpr Acts acts = Acts::at_deployment;
};

/// What a recipe does besides minimising its loss: it answers for each of the words above whether it is part of it.
template <class E>
concept ensemble_policy = requires {
  requires std::is_convertible_v<decltype(E::template has<Accumulate>), bool>;
};

template <class Part>
struct not_a_word_for_training {
  static constexpr bool ok = false;
};
template <class Part>
struct not_a_word_for_deployment {
  static constexpr bool ok = false;
};

/// The reason type of a word that stands in the list where it would do nothing.
template <class Why>
struct check_ensemble {
  static constexpr bool every_word_is_in_the_list_that_it_acts_in = Why::ok;
  static_assert(every_word_is_in_the_list_that_it_acts_in,
                "radapt: a word of this recipe is in the wrong list and would do nothing. Read "
                "check_ensemble<reason<word>>; to fix: AdapterDrop and Accumulate belong into ensemble::During<...>, "
                "every other word (Rescale, Interpolate, Soup, Project, Transfer, OutputEnsemble, VarianceReduction) "
                "into ensemble::After<...>.");
};

namespace detail {

template <class Part, Acts When>
constexpr bool acts_at() {
  if constexpr (requires { Part::acts; }) {
    return Part::acts == When;
  } else {
    return false;
  }
}

/// `fits` or the first part that acts at another time.
template <Acts When, template <class> class Misplaced, class... Parts>
using first_misplaced =
    typename first_reason<std::conditional_t<acts_at<Parts, When>(), fits, Misplaced<Parts>>...>::type;

}  // namespace detail

namespace ensemble {

/// While training: any of AdapterDrop and Accumulate.
template <class... Parts>
struct During
    : check_ensemble<radapt::detail::first_misplaced<Acts::while_training, not_a_word_for_training, Parts...>> {
  static constexpr Acts list_of = Acts::while_training;
  template <class Part>
  static constexpr bool has = (std::is_same_v<Part, Parts> || ...);
};
/// At deployment: Rescale or Interpolate, Soup, Project, Transfer, OutputEnsemble or VarianceReduction, or nothing. The
/// order of the words means nothing: they act in the order of methods.md 8, constraint 4.
template <class... Parts>
struct After
    : check_ensemble<radapt::detail::first_misplaced<Acts::at_deployment, not_a_word_for_deployment, Parts...>> {
  static constexpr Acts list_of = Acts::at_deployment;
  template <class Part>
  static constexpr bool has = (std::is_same_v<Part, Parts> || ...);
};

}  // namespace ensemble

namespace detail {
/// Whether E is the list of words of that time.
template <class E, Acts When>
constexpr bool is_list_of() {
  if constexpr (requires { E::list_of; }) {
    return E::list_of == When;
  } else {
    return false;
  }
}
}  // namespace detail
}  // namespace radapt
