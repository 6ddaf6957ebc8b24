#pragma once
/// ProLoRA at deployment: the adapters that a run has trained on one base are moved into another (methods.md 5.5).
#include <type_traits>
#include <utility>

#include "radapt/clip/transfer.hpp"
#include "radapt/train/deploy_ensembles.hpp"

namespace radapt {

template <class Word>
struct takes_no_other_base_unless_it_has {
  static constexpr bool ok = false;
};

namespace detail {

template <class R>
constexpr auto transfer_reason() {
  return std::conditional_t<deploys_with<R, Transfer>, fits, takes_no_other_base_unless_it_has<Transfer>>{};
}

}  // namespace detail

/// What the trainer's adapters (their average, where the recipe has one) do to the base, scaled by alpha and moved into
/// `target`: the result of transfer_adapters(), whose `weights` are the target with the updates added. Where the recipe
/// mixes outputs it leaves a pair of these weights and the target, which must outlive it.
///
/// `options.rank` must be set; `spaces_of` computes the singular spaces, or is a SubspaceCache. Error: a run that
/// averages products (Average::Target::product), which have no factors to move.
template <class R, class Backend, class T, class TargetArch, class TargetUnlock, class Spaces = const compute_subspaces>
auto deploy(Trainer<R, Backend, T>& trainer, double alpha,
            const Weights<Clip<TargetArch, NoAdapter, TargetUnlock>, T>& target, const AdapterTransferOptions& options,
            Spaces&& spaces_of = {}) {
  (void)check_deploy<decltype(detail::transfer_reason<R>())>{};
  if constexpr (detail::deploys_with<R, Transfer>) {
    if constexpr (Trainer<R, Backend, T>::has_products) {
      if (trainer.products().has_value()) {
        fail({.what = "deploy into another base",
              .expected = "a run that averages factors",
              .got = "an average of products",
              .hint = "Leave TrainOptions::average.target at Average::Target::factors"});
      }
    }
    auto moved = transfer_adapters(alpha, trainer.averaged(), target, options, spaces_of);
    if constexpr (detail::mixes_outputs<R>) {
      return detail::with_outputs<R>(ConstWeights(target), std::move(moved.weights));
    } else {
      return moved;
    }
  }
}

}  // namespace radapt
