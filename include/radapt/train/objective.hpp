#pragma once
/// From a batch to a loss and gradients: both towers under a contrastive loss, or the image tower with a head.
#include <algorithm>
#include <span>

#include "radapt/backend/run.hpp"
#include "radapt/clip/captions.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/loss/targets.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

/// How large the batches of a run are. All memory follows from this.
struct BatchSize {
  Index batch = 32;           ///< pairs (or images) per step
  Index micro_batch = 0;      ///< pairs whose activations are alive at once; 0 is the whole batch
  Index longest_caption = 0;  ///< tokens; 0 is the model's context
  Index micro() const { return micro_batch == 0 ? batch : std::min(micro_batch, batch); }
};

/// Pairs of image and caption. `pixels` is (B, 3 S S); `groups` (B) says which pairs match each other, or is empty.
template <class T>
struct PairBatch {
  std::span<const T> pixels;
  const Captions* captions = nullptr;
  std::span<const std::int32_t> groups{};
};

/// Images with class ids.
template <class T>
struct LabelledBatch {
  std::span<const T> pixels;
  std::span<const std::int32_t> labels;
};

/// Bytes that a step works in, known before it runs.
struct MemoryNeed {
  Index kept = 0;      ///< activations that the backward pass reads
  Index scratch = 0;   ///< intermediate results
  Index features = 0;  ///< features, their gradients, logits
};

namespace detail {
template <class T>
void check_pixels(std::span<const T> pixels, Index images, Index per_image) {
  if (pixels.size() != images * per_image) {
    fail({.what = "a batch of " + std::to_string(images) + " images",
          .expected = std::to_string(images * per_image) + " pixel values",
          .got = std::to_string(pixels.size()),
          .hint = "Pixels are (batch, 3, size, size), normalised, of the model's image size"});
  }
}

inline void check_batch(Index got, Index planned) {
  if (got == 0 || got > planned) {
    fail({.what = "a training batch",
          .expected = "1 to " + std::to_string(planned) + " samples, as planned",
          .got = std::to_string(got),
          .hint = "Set BatchSize::batch to the largest batch of the run"});
  }
}

/// Bytes of one tower's pass over sequences of that extent; `features_first` counts the pass without gradients that
/// runs before micro-batches.
template <class Tower, class X, class T, class Tune>
MemoryNeed tower_need(Extent e, bool features_first) {
  using Training = Plan<Tower, X, T, Tune, false>;
  using Inference = Plan<Tower, X, T, tune::nothing, false>;
  const Index inference = features_first ? Inference::forward_scratch(e) : 0;
  return {.kept = Training::kept(e),
          .scratch = std::max({Training::forward_scratch(e), Training::backward_scratch(e), inference})};
}
}  // namespace detail

/// Model is a Clip. One step: features of both towers, the loss over the whole batch, gradients through both towers.
///
/// With micro-batches the features of the whole batch are computed first without keeping anything, the loss is taken
/// once, and each micro-batch then runs again with its share of the features' gradients: the exact gradient of the full
/// batch, since masks are a function of (seed, step, site, sample).
template <class Model, class Tune, class Loss, class T, class Backend>
class PairObjective {
 public:
  using S = statistic_t<T>;
  using Batch = PairBatch<T>;
  using ImagePlan = Plan<typename Model::Image, typename Model::PixelRow, T, Tune, false>;
  using TextPlan = Plan<typename Model::Text, TokenRow, T, Tune, false>;

  PairObjective(Loss loss, BatchSize size)
      : loss_(loss), size_(size), targets_(size.batch), image_(size.batch), text_(size.batch) {
    logits_ = Buffer<T>(size.batch * size.batch);
    log_sums_ = Buffer<S>(2 * size.batch);
    offsets_.resize(size.micro() + 1);
  }

  static MemoryNeed memory(const BatchSize& size) {
    const Index longest = size.longest_caption == 0 ? Model::arch::context : size.longest_caption;
    const auto image = detail::tower_need<typename Model::Image, typename Model::PixelRow, T, Tune>(
        Model::image_sequences(size.micro()).extent(), size.micro() < size.batch);
    const auto text = detail::tower_need<typename Model::Text, TokenRow, T, Tune>(
        {size.micro() * longest, size.micro()}, size.micro() < size.batch);
    return {.kept = image.kept + text.kept,
            .scratch = std::max(image.scratch, text.scratch),
            .features = 2 * (4 * padded(size.batch * Model::arch::embed * sizeof(T)) + padded(size.batch * sizeof(S))) +
                        padded(size.batch * size.batch * sizeof(T)) + padded(2 * size.batch * sizeof(S))};
  }

  /// Loss of the batch; gradients are added to `gradients`.
  double step(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
              const Batch& batch) {
    const Index count = check(batch);
    const Index micro = size_.micro();
    const Arena::Mark before = c.arena.mark();
    double loss = 0;
    if (count <= micro) {
      typename ImagePlan::Saved image_saved;
      typename TextPlan::Saved text_saved;
      run_images(c, values, batch, 0, count, image_saved);
      run_texts(c, values, batch, 0, count, text_saved);
      loss = take_loss(c, values, gradients, batch.groups, count);
      image_backward(c, values, gradients, batch, 0, count, image_saved);
      text_backward(c, values, gradients, batch, 0, count, text_saved);
    } else {
      for (Index first = 0; first < count; first += micro) {
        Unsaved none;
        const Index n = std::min(micro, count - first);
        run_images(c, values, batch, first, n, none);
        run_texts(c, values, batch, first, n, none);
      }
      loss = take_loss(c, values, gradients, batch.groups, count);
      for (Index first = 0; first < count; first += micro) {
        const Index n = std::min(micro, count - first);
        typename ImagePlan::Saved image_saved;
        typename TextPlan::Saved text_saved;
        if constexpr (ImagePlan::runs_backward) {
          run_images(c, values, batch, first, n, image_saved);
          image_backward(c, values, gradients, batch, first, n, image_saved);
        }
        c.arena.release(before);
        if constexpr (TextPlan::runs_backward) {
          run_texts(c, values, batch, first, n, text_saved);
          text_backward(c, values, gradients, batch, first, n, text_saved);
        }
        c.arena.release(before);
      }
    }
    c.arena.release(before);
    return loss;
  }

  /// Features of the last step, not normalised, (B, embed): what a diagnosis looks at first.
  std::span<const T> image_features() const { return {image_.features.data(), image_.features.size()}; }
  std::span<const T> text_features() const { return {text_.features.data(), text_.features.size()}; }
  std::span<const T> image_feature_gradients() const { return {image_.dfeatures.data(), image_.dfeatures.size()}; }
  std::span<const T> text_feature_gradients() const { return {text_.dfeatures.data(), text_.dfeatures.size()}; }
  Loss& loss() { return loss_; }

 private:
  static constexpr Index embed = Model::arch::embed;
  /// One tower's features and what the loss makes of them, all (B, embed).
  struct Side {
    explicit Side(Index batch)
        : features(batch * embed),
          normalised(batch * embed),
          dnormalised(batch * embed),
          dfeatures(batch * embed),
          norms(batch) {}
    Buffer<T> features, normalised, dnormalised, dfeatures;
    Buffer<S> norms;
  };
  static View<T, Samples<embed>> rows(Buffer<T>& b, Index first, Index count) {
    return {b.data() + first * embed, count};
  }
  static View<S, Samples<1>> norms(Side& side, Index count) { return {side.norms.data(), count}; }

  Index check(const Batch& batch) const {
    const Index count = batch.captions == nullptr ? 0 : batch.captions->size();
    detail::check_batch(count, size_.batch);
    detail::check_pixels(batch.pixels, count, Model::PixelRow::width);
    if (!batch.groups.empty() && batch.groups.size() != count) {
      fail({.what = "a training batch",
            .expected = std::to_string(count) + " group labels, or none",
            .got = std::to_string(batch.groups.size()),
            .hint = "Give one class id or image id for each pair"});
    }
    return count;
  }

  template <class Saved>
  void run_images(Context<Backend>& c, const Values<Model, T>& values, const Batch& batch, Index first, Index count,
                  Saved& saved) {
    begin_images(c, first, count);
    c.phase.next_site = 0;
    Model::Image::template forward<T, typename Model::PixelRow>(c, values.image, pixels(batch, first, count),
                                                                rows(image_.features, first, count), saved);
    text_site_ = c.phase.next_site;
  }
  template <class Saved>
  void run_texts(Context<Backend>& c, const Values<Model, T>& values, const Batch& batch, Index first, Index count,
                 Saved& saved) {
    begin_texts(c, batch, first, count);
    c.phase.next_site = text_site_;
    Model::Text::template forward<T, TokenRow>(c, values.text, ids(batch, first, count),
                                               rows(text_.features, first, count), saved);
  }
  template <class Saved>
  void image_backward(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                      const Batch& batch, Index first, Index count, const Saved& saved) {
    if constexpr (ImagePlan::runs_backward) {
      begin_images(c, first, count);
      Model::Image::template backward<T, typename Model::PixelRow>(c, values.image, gradients.image,
                                                                   pixels(batch, first, count), Dropped{}, saved,
                                                                   rows(image_.dfeatures, first, count), Discard{});
    }
  }
  template <class Saved>
  void text_backward(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                     const Batch& batch, Index first, Index count, const Saved& saved) {
    if constexpr (TextPlan::runs_backward) {
      begin_texts(c, batch, first, count);
      Model::Text::template backward<T, TokenRow>(c, values.text, gradients.text, ids(batch, first, count), Dropped{},
                                                  saved, rows(text_.dfeatures, first, count), Discard{});
    }
  }

  void begin_images(Context<Backend>& c, Index first, Index count) const {
    c.sequences = Model::image_sequences(count);
    c.phase.first_sequence = first;
  }
  void begin_texts(Context<Backend>& c, const Batch& batch, Index first, Index count) {
    c.sequences = batch.captions->slice(first, count, offsets_);
    c.phase.first_sequence = first;
  }
  static View<const T, typename Model::PixelRow> pixels(const Batch& batch, Index first, Index count) {
    return {batch.pixels.data() + first * Model::PixelRow::width, count};
  }
  static View<const std::int32_t, TokenRow> ids(const Batch& batch, Index first, Index count) {
    return {batch.captions->ids(first), batch.captions->tokens(first, count)};
  }

  double take_loss(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                   std::span<const std::int32_t> groups, Index count) {
    for (Side* side : {&image_, &text_}) {
      run(c,
          op::l2_normalize_forward<T>{
              .y = rows(side->normalised, 0, count), .x = rows(side->features, 0, count), .norm = norms(*side, count)});
    }
    if (targets_.size() != count) { targets_ = loss::ContrastiveTargets<S>(count); }
    loss_.targets(groups, targets_);
    double loss = 0;
    op::contrastive_loss<T> o{.image = rows(image_.normalised, 0, count),
                              .text = rows(text_.normalised, 0, count),
                              .labels = targets_.labels.data(),
                              .positive = {targets_.positive.data(), count},
                              .negative = {targets_.negative.data(), count},
                              .margin = targets_.margin,
                              .scale = targets_.scale,
                              .logits = {logits_.data(), count, count},
                              .log_sums = {log_sums_.data(), 2 * count},
                              .loss = &loss};
    if constexpr (Loss::uses_logit_scale) { o.log_scale = values.logit_scale.data; }
    if constexpr (ImagePlan::runs_backward) { o.dimage = rows(image_.dnormalised, 0, count); }
    if constexpr (TextPlan::runs_backward) { o.dtext = rows(text_.dnormalised, 0, count); }
    if constexpr (Loss::uses_logit_scale && wanted<decltype(gradients.logit_scale)>) {
      o.dlog_scale = gradients.logit_scale.data;
    }
    run(c, o);
    if constexpr (ImagePlan::runs_backward) { normalise_backward(c, image_, count); }
    if constexpr (TextPlan::runs_backward) { normalise_backward(c, text_, count); }
    return loss;
  }
  void normalise_backward(Context<Backend>& c, Side& side, Index count) {
    run(c, op::l2_normalize_backward<T>{.dx = rows(side.dfeatures, 0, count),
                                        .dy = rows(side.dnormalised, 0, count),
                                        .y = rows(side.normalised, 0, count),
                                        .norm = norms(side, count)});
  }

  Loss loss_;
  BatchSize size_;
  loss::ContrastiveTargets<S> targets_;
  Side image_, text_;
  Buffer<T> logits_;
  Buffer<S> log_sums_;
  std::vector<Index> offsets_;
  std::uint32_t text_site_ = 0;
};

/// Model is a Classifier. Micro-batches add their shares: cross entropy is a mean over samples.
template <class Model, class Tune, class Loss, class T, class Backend>
class LabelObjective {
 public:
  using Batch = LabelledBatch<T>;
  using ModelPlan = Plan<Model, typename Model::PixelRow, T, Tune, false>;

  LabelObjective(Loss loss, BatchSize size, Index classes) : loss_(loss), size_(size), classes_(classes) {
    logits_ = Buffer<T>(size.micro() * classes);
  }

  static MemoryNeed memory(const BatchSize& size, Index classes) {
    auto need = detail::tower_need<Model, typename Model::PixelRow, T, Tune>(
        Model::image_sequences(size.micro()).extent(), false);
    need.features = padded(size.micro() * classes * sizeof(T));
    return need;
  }

  double step(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
              const Batch& batch) {
    const Index count = batch.labels.size();
    check(batch);
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
                                  .gradient_scale = share});
      loss += share * part;
      Model::template backward<T, typename Model::PixelRow>(c, values, gradients, x, Dropped{}, saved, logits,
                                                            Discard{});
      c.arena.release(before);
    }
    return loss;
  }
  Loss& loss() { return loss_; }

 private:
  void check(const Batch& batch) const {
    detail::check_batch(batch.labels.size(), size_.batch);
    detail::check_pixels(batch.pixels, batch.labels.size(), Model::PixelRow::width);
    for (const std::int32_t label : batch.labels) {
      if (label < 0 || static_cast<Index>(label) >= classes_) {
        fail({.what = "a training batch",
              .expected = "class ids from 0 to " + std::to_string(classes_ - 1),
              .got = std::to_string(label),
              .hint = "The head has one row for each class"});
      }
    }
  }

  Loss loss_;
  BatchSize size_;
  Index classes_;
  Buffer<T> logits_;
};

}  // namespace radapt
