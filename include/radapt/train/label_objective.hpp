#pragma once
/// From a batch of labelled images to a loss and gradients: the image tower with a head.
#include <algorithm>
#include <span>

#include "radapt/backend/run.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/train/batch.hpp"

namespace radapt {

/// Model is a Classifier. Micro-batches add their shares: cross entropy is a mean over samples.
template <class Model, class Tune, class Loss, class T, class Backend>
class LabelObjective {
 public:
  using Batch = LabelledBatch<T>;
  static constexpr bool has_margins = requires(const Loss& l, const T* head, T* out) {
    l.margins(head, Index{1}, Index{1}, out);
  };
  using ModelPlan = Plan<Model, typename Model::PixelRow, T, Tune, false>;

  LabelObjective(Loss loss, BatchSize size, Index classes) : loss_(loss), size_(size), classes_(classes) {
    logits_ = Buffer<T>(size.micro() * classes);
    margins_ = Buffer<T>(has_margins ? classes * classes : 0);
  }

  static MemoryNeed memory(const BatchSize& size, Index classes) {
    auto need = detail::tower_need<Model, typename Model::PixelRow, T, Tune>(
        Model::image_sequences(size.micro()).extent(), false);
    need.features =
        padded(size.micro() * classes * sizeof(T)) + (has_margins ? padded(classes * classes * sizeof(T)) : 0);
    return need;
  }

  double step(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
              const Batch& batch, const Values<Model, T>& frozen, loss::StepPosition) {
    const Index count = batch.labels.size();
    check(batch);
    prepare_margins(frozen);
    const Arena::Mark before = c.arena.mark();
    double loss = 0;
    for (Index first = 0; first < count; first += size_.micro()) {
      const Index n = std::min(size_.micro(), count - first);
      c.sequences = Model::image_sequences(n);
      c.phase.first_sequence = first;
      c.phase.next_site = 0;
      const View<const T, typename Model::PixelRow> x{batch.pixels.data() + first * Model::PixelRow::width, n};
      const View<T, typename Model::LogitRow> logits{logits_.data(), n, classes_};
      typename ModelPlan::Saved saved;
      Model::template forward<T, typename Model::PixelRow>(c, values, x, logits, saved);
      double part = 0;
      const double share = static_cast<double>(n) / static_cast<double>(count);
      run(c, op::cross_entropy<T>{.logits = logits,
                                  .labels = batch.labels.data() + first,
                                  .smoothing = loss_.smoothing,
                                  .loss = &part,
                                  .dlogits = logits,
                                  .gradient_scale = share,
                                  .margins = margins()});
      loss += share * part;
      Model::template backward<T, typename Model::PixelRow>(c, values, gradients, x, Dropped{}, saved, logits,
                                                            Discard{});
      c.arena.release(before);
    }
    return loss;
  }
  Loss& loss() { return loss_; }

 private:
  /// Margins between the classes of the frozen head, taken once.
  void prepare_margins([[maybe_unused]] const Values<Model, T>& frozen) {
    if constexpr (has_margins) {
      if (margins_known_) { return; }
      loss_.margins(child<"head">(frozen).weight.data, classes_, Model::arch::embed, margins_.data());
      margins_known_ = true;
    }
  }
  Matrix<const T> margins() const {
    return has_margins ? Matrix<const T>{margins_.data(), classes_, classes_} : Matrix<const T>{};
  }
  void check(const Batch& batch) const {
    detail::check_batch(batch.labels.size(), size_.batch);
    detail::check_pixels(batch.pixels, batch.labels.size(), Model::PixelRow::width);
    detail::check_labels(batch.labels, classes_);
  }

  Loss loss_;
  BatchSize size_;
  Index classes_;
  Buffer<T> logits_, margins_;
  bool margins_known_ = false;
};

}  // namespace radapt
