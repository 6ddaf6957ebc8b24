#pragma once
/// A whole robust fine-tuning variant as one type: model, what trains, the ensembles, the loss. Numbers are options.
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/clip/headed_clip.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/scaled_adapters.hpp"
#include "radapt/core/concepts.hpp"
#include "radapt/ensemble/policies.hpp"
#include "radapt/loss/contrastive.hpp"
#include "radapt/loss/contrastive_distillation.hpp"
#include "radapt/loss/cross_entropy.hpp"
#include "radapt/loss/cross_fnorm.hpp"
#include "radapt/loss/dropped_patch_distillation.hpp"
#include "radapt/loss/margin_metric_softmax.hpp"
#include "radapt/loss/masked_distillation.hpp"
#include "radapt/loss/mpm_nce.hpp"
#include "radapt/loss/orthogonality.hpp"
#include "radapt/loss/spurious_alignment.hpp"
#include "radapt/loss/toward_base.hpp"
#include "radapt/train/trainable.hpp"

namespace radapt {

/// Reasons for which a recipe makes no sense.
template <class Tune>
struct no_tuning_policy {
  static constexpr bool ok = false;
};
template <class During>
struct no_list_of_words_for_training {
  static constexpr bool ok = false;
};
template <class After>
struct no_list_of_words_for_deployment {
  static constexpr bool ok = false;
};
template <class Loss>
struct no_loss {
  static constexpr bool ok = false;
};
template <class Model, class Loss>
struct loss_needs_a_text_tower {
  static constexpr bool ok = false;
};
template <class Model>
struct no_block_of_this_model_is_unlocked {
  static constexpr bool ok = false;
};
template <class Model>
struct dropping_needs_adapters {
  static constexpr bool ok = false;
};
template <class Model>
struct no_adapter_of_this_model_is_ever_dropped {
  static constexpr bool ok = false;
};
template <class Model>
struct rescaling_needs_linear_adapters {
  static constexpr bool ok = false;
};
template <class Model>
struct interpolation_is_for_models_without_adapters {
  static constexpr bool ok = false;
};

template <class Why>
struct check_recipe {
  static constexpr bool the_parts_of_this_recipe_fit = Why::ok;
  static_assert(
      the_parts_of_this_recipe_fit,
      "radapt: the parts of this recipe do not fit together. Read check_recipe<reason<...>>; to fix: name a policy of "
      "radapt::tune, such as tune::only<role>, then an ensemble::During<...> and an ensemble::After<...>, and a loss "
      "of radapt::loss or your own that is a loss_policy; open blocks for role::unlocked with unlock_last; give a "
      "contrastive loss a Clip with both towers; use AdapterDrop with adapters that draw a mask and Rescale with "
      "linear ones (RAdapter's are both), and Interpolate with NoAdapter.");
};

/// Reasons for which the words of a recipe's After<...> make no sense together, or with its model.
template <class Model>
struct projection_needs_folded_adapters {
  static constexpr bool ok = false;
};
template <class Model>
struct transfer_needs_linear_adapters {
  static constexpr bool ok = false;
};
template <class Model>
struct transfer_needs_both_towers {
  static constexpr bool ok = false;
};
template <class Word>
struct transfer_moves_the_adapters_of_one_run_and_not_with {
  static constexpr bool ok = false;
};
template <class First, class Second>
struct outputs_are_mixed_twice {
  static constexpr bool ok = false;
};

template <class Why>
struct check_after {
  static constexpr bool the_words_for_deployment_go_together = Why::ok;
  static_assert(
      the_words_for_deployment_go_together,
      "radapt: the words of this recipe's ensemble::After<...> do not go together. Read check_after<reason<...>>; to "
      "fix: use one of OutputEnsemble and VarianceReduction; fold adapters in with Rescale before Project, which "
      "compares with the plain base; give Transfer linear adapters (such as RAdapter or Lora) in a Clip that a "
      "contrastive loss trains, and neither Soup nor Project, which leave no adapters to move.");
};

namespace detail {

template <class Model>
concept has_text_tower = requires {
  typename Model::Text;
};
/// A model tells its adapter policy and architecture as its members `policy` and `arch`; one without has no adapters.
template <class Model>
constexpr bool has_adapters() {
  if constexpr (requires { typename Model::policy; }) {
    return !std::is_same_v<typename Model::policy, NoAdapter>;
  } else {
    return false;
  }
}
/// A model says that it holds an adapter behind the encoder, such as CLIP-Adapter, as its member `adapts_features`.
template <class Model>
constexpr bool adapts_features() {
  if constexpr (requires { Model::adapts_features; }) {
    return Model::adapts_features;
  } else {
    return false;
  }
}
template <class Model>
constexpr bool has_linear_adapters() {
  if constexpr (has_adapters<Model>()) {
    return merge_reason<typename Model::policy, typename Model::arch>::type::ok;
  } else {
    return false;
  }
}

/// Whether a policy names the blocks that unlock_last opens.
template <class Tune>
inline constexpr bool names_unlocked = false;
template <class... Names>
inline constexpr bool names_unlocked<tune::only<Names...>> = (std::is_same_v<Names, role::unlocked> || ...);
template <class Model>
constexpr bool has_unlocked_blocks() {
  if constexpr (requires { typename Model::unlocked; }) {
    return Model::unlocked::image + Model::unlocked::text > 0;
  } else {
    return true;
  }
}

template <class Model, class Tune, class During, class After, class Loss>
constexpr auto recipe_reason() {
  if constexpr (!tuning_policy<Tune>) {
    return no_tuning_policy<Tune>{};
  } else if constexpr (names_unlocked<Tune> && !has_unlocked_blocks<Model>()) {
    return no_block_of_this_model_is_unlocked<Model>{};
  } else if constexpr (!is_list_of<During, Acts::while_training>()) {
    return no_list_of_words_for_training<During>{};
  } else if constexpr (!is_list_of<After, Acts::at_deployment>()) {
    return no_list_of_words_for_deployment<After>{};
  } else if constexpr (!loss_policy<Loss>) {
    return no_loss<Loss>{};
  } else if constexpr (!std::is_same_v<typename Loss::needs, needs_head> && !has_text_tower<Model>) {
    return loss_needs_a_text_tower<Model, Loss>{};
  } else if constexpr (During::template has<AdapterDrop> && !has_adapters<Model>()) {
    return dropping_needs_adapters<Model>{};
  } else if constexpr (During::template has<AdapterDrop> && !drops_any_adapter<Model>) {
    return no_adapter_of_this_model_is_ever_dropped<Model>{};
  } else if constexpr (After::template has<Rescale> && !has_linear_adapters<Model>()) {
    return rescaling_needs_linear_adapters<Model>{};
  } else if constexpr (After::template has<Interpolate> && (has_adapters<Model>() || adapts_features<Model>())) {
    return interpolation_is_for_models_without_adapters<Model>{};
  } else {
    return fits{};
  }
}

template <class Model, class After, class Loss>
constexpr auto after_reason() {
  constexpr bool transfers = After::template has<Transfer>;
  if constexpr (After::template has<OutputEnsemble> && After::template has<VarianceReduction>) {
    return outputs_are_mixed_twice<OutputEnsemble, VarianceReduction>{};
  } else if constexpr (transfers && !has_linear_adapters<Model>()) {
    return transfer_needs_linear_adapters<Model>{};
  } else if constexpr (transfers && !std::is_same_v<typename Loss::needs, needs_both_towers>) {
    return transfer_needs_both_towers<Model>{};
  } else if constexpr (transfers && After::template has<Soup>) {
    return transfer_moves_the_adapters_of_one_run_and_not_with<Soup>{};
  } else if constexpr (transfers && After::template has<Project>) {
    return transfer_moves_the_adapters_of_one_run_and_not_with<Project>{};
  } else if constexpr (After::template has<Project> && !After::template has<Rescale> &&
                       (has_adapters<Model>() || adapts_features<Model>())) {
    return projection_needs_folded_adapters<Model>{};
  } else {
    return fits{};
  }
}

/// Of a recipe whose parts fit: one mistake gives one message.
template <class Model, class Tune, class During, class After, class Loss>
constexpr auto after_reason_of() {
  if constexpr (decltype(recipe_reason<Model, Tune, During, After, Loss>())::ok) {
    return after_reason<Model, After, Loss>();
  } else {
    return fits{};
  }
}

/// What a loss trains: both towers, or the image tower with a head.
template <class Model, class Needs>
struct trained_model {
  using type = Model;
};
template <class Arch, class Policy, class Unlock>
struct trained_model<Clip<Arch, Policy, Unlock>, needs_head> {
  using type = Classifier<Clip<Arch, Policy, Unlock>>;
};
template <class Arch, class Policy, class Unlock>
struct trained_model<Clip<Arch, Policy, Unlock>, needs_both_towers_and_head> {
  using type = HeadedClip<Clip<Arch, Policy, Unlock>>;
};

}  // namespace detail

/// Model: a Clip (a cross-entropy loss makes a Classifier of it). Tune: a tuning policy. During, After:
/// ensemble::During<...> and ensemble::After<...>. Loss: one of radapt::loss.
template <class Model, class Tune, class During, class After, class Loss>
struct Recipe : check_recipe<decltype(detail::recipe_reason<Model, Tune, During, After, Loss>())>,
                check_after<decltype(detail::after_reason_of<Model, Tune, During, After, Loss>())> {
  using model = Model;
  // In the place of what is no policy stands one that is: one mistake gives one message.
  using tune = std::conditional_t<tuning_policy<Tune>, Tune, radapt::tune::everything>;
  using during = During;
  using after = After;
  using loss = std::conditional_t<loss_policy<Loss>, Loss, radapt::loss::MpmNce>;
  using trained = typename detail::trained_model<Model, typename loss::needs>::type;
};

namespace detail {

template <class List, class... Words>
struct appended {
  static_assert(never<List>,
                "radapt: with_after adds words to an ensemble::After<...>; to fix: spell this recipe out.");
};
template <class... Parts, class... Words>
struct appended<ensemble::After<Parts...>, Words...> {
  using type = ensemble::After<Parts..., Words...>;
};

template <class Model, class What>
struct recomputed_model {
  static_assert(never<Model>,
                "radapt: with_recompute computes parts of the blocks of a Clip again, and this recipe's model is none; "
                "to fix: leave it out.");
  using type = Model;  // goes on with something, so that one mistake gives one message
};
template <class Arch, class Policy, class Unlock, class What>
struct recomputed_model<Clip<Arch, Policy, Unlock>, What> {
  using type = Clip<Arch, Recomputed<typename bare_policy<Policy>::type, What>, Unlock>;
};

template <class Loss, class... Terms>
struct with_more_terms {
  using type = radapt::loss::With<Loss, Terms...>;
};
template <class Base, class... Terms, class... More>
struct with_more_terms<radapt::loss::With<Base, Terms...>, More...> {
  using type = radapt::loss::With<Base, Terms..., More...>;
};

}  // namespace detail

/// Recipe R with more words for deployment: `with_after<recipe::r_adapter<Arch>, VarianceReduction>` is VRF on
/// R-Adapter, `with_after<recipe::wise_ft<Arch>, Soup>` is WiSE-FT of a soup.
template <class R, class... Words>
using with_after = Recipe<typename R::model, typename R::tune, typename R::during,
                          typename detail::appended<typename R::after, Words...>::type, typename R::loss>;

/// Recipe R with more terms in its loss: `with_terms<recipe::r_adapter<Arch>, loss::SpuriousAlignment>` is StarFT's
/// term on MPM-NCE.
template <class R, class... Terms>
using with_terms = Recipe<typename R::model, typename R::tune, typename R::during, typename R::after,
                          typename detail::with_more_terms<typename R::loss, Terms...>::type>;

/// Recipe R in less memory and more time, with the same bits: activations of What (recompute::mlp or recompute::block)
/// are computed again in backward instead of kept. `Trainer<with_recompute<recipe::r_adapter<Arch>>, onednn>`.
template <class R, class What = recompute::mlp>
using with_recompute = Recipe<typename detail::recomputed_model<typename R::model, What>::type, typename R::tune,
                              typename R::during, typename R::after, typename R::loss>;

}  // namespace radapt
