#pragma once
/// From a batch of labelled images to a loss and gradients: the image tower with a head.
#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/clip/kept_patches.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/columns.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/op/update.hpp"
#include "radapt/train/batch.hpp"

namespace radapt {

namespace detail {
/// What filled images go through: the image tower of a Classifier, for losses that read them; the same on kept patches.
template <class Model, bool Read, bool Kept>
struct filled_image_tower {
  using type = Model;
  using row = typename Model::PixelRow;
};
template <class Model>
struct filled_image_tower<Model, true, false> {
  using type = typename Model::clip::Image;
  using row = typename Model::PixelRow;
};
template <class Model>
struct filled_image_tower<Model, true, true> {
  using type = KeptPatchTower<typename Model::clip::Image>;
  using row = Samples<type::template layer_at<0>::input_width>;
};
}  // namespace detail

/// Model is a Classifier. Micro-batches add their shares: cross entropy is a mean over samples.
///
/// A loss with a term on filled images runs the image tower on them, too, of the frozen weights and of the trained
/// ones, after the pass over the images as they are and in the same memory.
template <class Model, class Tune, class Loss, class T, class Backend>
class LabelObjective {
 public:
  using Batch = LabelledBatch<T>;
  static constexpr bool has_margins = requires(const Loss& l, const T* head, T* out) {
    l.margins(head, Index{1}, Index{1}, out);
  };
  using Needs = loss::term_needs<Loss>;
  using Filled = detail::filled_image_tower<Model, Needs::filled_images, Needs::kept_patches>;
  using Tower = typename Filled::type;
  using FilledRow = typename Filled::row;
  using A = activation_t<Backend, T>;
  using TowerPlan = Plan<Tower, FilledRow, A, Tune, false>;
  using ModelPlan = Plan<Model, typename Model::PixelRow, A, Tune, false>;
  using TowerBoundary = Boundary<Tower, FilledRow, A, T>;
  using ModelBoundary = Boundary<Model, typename Model::PixelRow, A, T>;

  LabelObjective(Loss loss, BatchSize size, Index classes) : loss_(loss), size_(size), classes_(classes) {
    if constexpr (requires { loss.smoothing; }) {
      loss::detail::check_fraction(Loss::name, "smoothing", loss.smoothing, 1.0);
    }
    logits_ = Buffer<T>(size.micro() * classes, device_memory_of<Backend>());
    const Index parts = (size.batch + size.micro() - 1) / size.micro();
    losses_ = Buffer<double>(Needs::count + parts, input_memory_of<Backend>());
    margins_ = Buffer<T>(has_margins ? classes * classes : 0);
    if constexpr (Needs::filled_images) {
      for (Buffer<T>* b : {&features_, &teacher_features_, &dfeatures_}) {
        *b = Buffer<T>(size.micro() * Model::arch::embed, device_memory_of<Backend>());
      }
    }
    if constexpr (Needs::kept_patches) {
      kept_images_ = Buffer<T>(size.micro() * FilledRow::width, input_memory_of<Backend>());
    }
  }

  static MemoryNeed memory(const BatchSize& size, Index classes) {
    auto need = detail::tower_need<Model, typename Model::PixelRow, A, T, Tune>(
        Model::image_sequences(size.micro()).extent(), false, classes);
    need.features =
        padded(size.micro() * classes * sizeof(T)) + (has_margins ? padded(classes * classes * sizeof(T)) : 0);
    if constexpr (Needs::filled_images) {
      const auto filled =
          detail::tower_need<Tower, FilledRow, A, T, Tune>(Model::image_sequences(size.micro()).extent(), true);
      need.kept = std::max(need.kept, filled.kept);
      need.scratch = std::max(need.scratch, filled.scratch);
      need.features += 3 * padded(size.micro() * Model::arch::embed * sizeof(T));
      if constexpr (Needs::kept_patches) { need.features += padded(size.micro() * FilledRow::width * sizeof(T)); }
    }
    return need;
  }

  /// The host reads no parameter.
  void read_parameters(const Values<Model, T>&, const Values<Model, T>&) {}

  /// Launches what finds the loss of the batch, for `value`; gradients are added to `gradients`. `frozen` are the
  /// weights that the run began with.
  void step(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
            const Batch& batch, const Values<Model, T>& frozen, loss::StepPosition at) {
    const Index count = batch.labels.size();
    check(batch);
    prepare_margins(frozen);
    const Arena::Mark before = c.arena.mark();
    count_ = count;
    std::fill(losses_.begin(), losses_.end(), 0.0);
    for (Index first = 0; first < count; first += size_.micro()) {
      const Index n = images_at(first);
      c.sequences = Model::image_sequences(n);
      c.phase.first_sequence = first;
      c.phase.next_site = 0;
      const View<const T, typename Model::PixelRow> x{batch.pixels.data() + first * Model::PixelRow::width, n};
      const View<T, typename Model::LogitRow> logits{logits_.data(), n, classes_};
      typename ModelPlan::Saved saved;
      ModelBoundary::forward(c, values, x, logits, saved);
      const double share = share_of(n);
      run(c, op::cross_entropy<T>{.logits = logits,
                                  .labels = batch.labels.data() + first,
                                  .smoothing = loss_.smoothing,
                                  .loss = &losses_[Needs::count + first / size_.micro()],
                                  .dlogits = logits,
                                  .gradient_scale = share,
                                  .margins = margins()});
      ModelBoundary::backward(c, values, gradients, x, saved, logits);
      c.arena.release(before);
      if constexpr (Needs::filled_images) {
        add_terms(c, values, gradients, batch, frozen, {first, n, share}, at);
        c.arena.release(before);
      }
    }
  }
  /// The loss of the last step with its terms, when the backend has finished.
  double value() const {
    double loss = std::accumulate(losses_.begin(), losses_.begin() + Needs::count, 0.0);
    for (Index first = 0; first < count_; first += size_.micro()) {
      loss += share_of(images_at(first)) * losses_[Needs::count + first / size_.micro()];
    }
    return loss;
  }
  /// What it is made of, for kernels.
  Vector<const double> losses() const { return {losses_.data(), losses_.size()}; }
  /// What each term added to it, by its place in the list of terms; those on parameters are launched by the trainer.
  std::span<double> term_values() { return {losses_.data(), Needs::count}; }
  Loss& loss() { return loss_; }

 private:
  /// Consecutive images of the batch, and how much of it they are.
  struct Part {
    Index first, count;
    double share;
  };

  /// Images of the last step: of the micro-batch that begins at `first`, and their share.
  Index images_at(Index first) const { return std::min(size_.micro(), count_ - first); }
  double share_of(Index images) const { return static_cast<double>(images) / static_cast<double>(count_); }

  /// Terms on the filled images of a micro-batch.
  void add_terms(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                 const Batch& batch, const Values<Model, T>& frozen, Part part, loss::StepPosition at) {
    bool active = false;
    loss_.each_term([&]<class Term>(const Term& term) {
      if constexpr (loss::filled_image_term<Term>) { active = active || loss::is_active(term, at); }
    });
    if (!active) { return; }
    const Sequences whole = c.sequences;
    const View<const T, FilledRow> x = filled_images(c, batch, part);
    const auto rows = [&](Buffer<T>& b) { return View<T, Samples<Model::arch::embed>>{b.data(), part.count}; };
    const Phase phase = c.phase;
    c.phase = Phase{};
    Unsaved none;
    TowerBoundary::forward(c, child<"visual">(frozen), x, rows(teacher_features_), none);
    c.phase = phase;
    c.phase.next_site = 0;
    typename TowerPlan::Saved saved;
    TowerBoundary::forward(c, child<"visual">(values), x, rows(features_), saved);
    run(c, op::clear<T>{.x = rows(dfeatures_)});
    const loss::FilledFeatures<T> f{.features = rows(features_),
                                    .teacher_features = rows(teacher_features_),
                                    .dfeatures = rows(dfeatures_),
                                    .share = part.share};
    Index position = 0;
    loss_.each_term([&]<class Term>(const Term& term) {
      if constexpr (loss::filled_image_term<Term>) {
        if (loss::is_active(term, at)) { term.add(c, f, at, &term_values()[position]); }
      }
      ++position;
    });
    if constexpr (TowerPlan::runs_backward) {
      TowerBoundary::backward(c, child<"visual">(values), child<"visual">(gradients), x, saved, rows(dfeatures_));
    }
    c.sequences = whole;
  }
  /// What the tower of filled images reads: those of the batch, or the images as they are with flags of kept patches
  /// behind them, and then the sequences of the kept tokens.
  View<const T, FilledRow> filled_images(Context<Backend>& c, const Batch& batch, Part part) {
    constexpr Index pixels = Model::PixelRow::width;
    if constexpr (Needs::kept_patches) {
      constexpr Index patches = FilledRow::width - pixels;
      const auto kept = batch.kept.subspan(part.first * patches, part.count * patches);
      // Flags of fewer images lie where pixels of the micro-batch before may still be read.
      if (part.first > 0 && part.count < size_.micro()) { finish(c); }
      // Pixels may lie, or still be on their way to, where the host does not read them; flags are the host's alone.
      run(c, op::take_columns<T>{.y = {kept_images_.data(), part.count, pixels},
                                 .x = {batch.pixels.data() + part.first * pixels, part.count, pixels}});
      std::transform(kept.begin(), kept.end(), kept_images_.data() + part.count * pixels,
                     [](std::uint8_t flag) { return flag != 0 ? T{1} : T{0}; });
      offsets_ = kept_offsets(kept, patches);
      c.sequences = {.count = part.count, .offsets = offsets_.data()};
      return {kept_images_.data(), part.count};
    } else {
      return {batch.filled.data() + part.first * pixels, part.count};
    }
  }

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
    if constexpr (Needs::kept_patches) {
      constexpr Index patches = FilledRow::width - Model::PixelRow::width;
      if (batch.kept.size() != batch.labels.size() * patches) {
        fail({.what = "a training batch",
              .expected = std::to_string(batch.labels.size() * patches) + " flags in kept, one for each patch",
              .got = std::to_string(batch.kept.size()),
              .hint = "The loss has a term on images without masked patches: see keep_unmasked()"});
      }
    } else if constexpr (Needs::filled_images) {
      if (batch.filled.size() != batch.pixels.size()) {
        fail({.what = "a training batch",
              .expected =
                  std::to_string(batch.pixels.size()) + " pixel values in filled, an image for each of the batch",
              .got = std::to_string(batch.filled.size()),
              .hint = "The loss has a term on images with parts filled in: see fill_masked()"});
      }
    }
  }

  Loss loss_;
  BatchSize size_;
  Index classes_;
  Buffer<T> logits_, margins_;
  Buffer<T> features_, teacher_features_, dfeatures_;  ///< of filled images
  Buffer<T> kept_images_;                              ///< pixels and flags of a micro-batch
  std::vector<Index> offsets_;                         ///< of its kept tokens
  Index count_ = 0;                                    ///< images of the last step
  Buffer<double> losses_;                              ///< of the terms, and of its micro-batches
  bool margins_known_ = false;
};

}  // namespace radapt
