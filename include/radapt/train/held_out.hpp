#pragma once
/// The loss of given weights on held-out batches and its gradient with respect to every tensor: what learned soups,
/// TPGM and Fisher informations ask for.
#include <cmath>
#include <string>
#include <type_traits>

#include "radapt/core/weights.hpp"
#include "radapt/loss/cross_entropy.hpp"
#include "radapt/train/label_objective.hpp"

namespace radapt {

namespace detail {
template <class M, class Loss, class T, class Backend, class Needs = typename Loss::needs>
struct held_out_objective {
  static_assert(std::is_same_v<Needs, needs_head>,
                "radapt: HeldOutLoss is for a Classifier under a loss that reads the logits of a head; to fix: use "
                "loss::CrossEntropy, on the zero_shot_classifier of a Clip.");
  using type = LabelObjective<M, tune::everything, Loss, T, Backend>;
  static_assert(!type::has_margins,
                "radapt: HeldOutLoss has no frozen head to take the margins of a loss from; to fix: use "
                "loss::CrossEntropy on held-out data.");
};
}  // namespace detail

/// The loss of a Classifier on labelled batches, with nothing dropped and adapters at full scale. Every tensor has a
/// gradient, whatever a recipe would freeze.
///
///     radapt::HeldOutLoss<Model, radapt::reference, double> held_out(classes, {.batch = 64});
///     auto soup = radapt::learned_soup(models, [&](const auto& weights, auto& gradient) {
///       return held_out(weights, next_batch(), gradient);
///     }, options);
template <class M, class Backend, class T = float, class Loss = loss::CrossEntropy>
class HeldOutLoss {
 public:
  using Batch = LabelledBatch<T>;

  /// Takes all memory: activations for size.micro() images, not the gradients. `classes` is that of the weights.
  explicit HeldOutLoss(Index classes, BatchSize size = {}, Loss loss = {})
      : classes_(classes), objective_(loss, size, classes) {
    const MemoryNeed need = Objective::memory(size, classes);
    context_.arena.reserve(need.kept, need.scratch);
  }

  /// Mean loss of the batch at `at`; `gradient` becomes its gradient. Errors: another number of classes than was said,
  /// a batch that is empty or larger than planned, a class id out of range, a loss that is not finite.
  double operator()(const Weights<M, T>& at, const Batch& batch, Weights<M, T>& gradient) {
    check_classes(at.classes());
    check_classes(gradient.classes());
    for (T& g : gradient.buffer()) { g = T{0}; }
    Gradients<M, tune::everything, T> tree;
    bind(tree, gradient.buffer().data(), classes_);  // the layout of Weights: everything is trained
    context_.phase = Phase{};
    objective_.step(context_, at.tree(), tree, batch, at.tree(), {});
    finish(context_);
    const double loss = objective_.value();
    if (!std::isfinite(loss)) {
      fail({.what = "held-out loss",
            .expected = "a finite number",
            .got = std::to_string(loss),
            .hint = "Check weights and pixels for values that are not finite"});
    }
    return loss;
  }

 private:
  using Objective = typename detail::held_out_objective<M, Loss, T, Backend>::type;

  void check_classes(Index got) const {
    if (got != classes_) {
      fail({.what = "held-out loss",
            .expected = "weights of " + std::to_string(classes_) + " classes",
            .got = std::to_string(got),
            .hint = ""});
    }
  }

  Index classes_;
  Context<Backend> context_;
  Objective objective_;
};

}  // namespace radapt
