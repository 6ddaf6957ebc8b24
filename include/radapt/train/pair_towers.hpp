#pragma once
/// Both towers over a batch of pairs, or over parts of it: features, their normalisation, and the way back.
#include <algorithm>
#include <cmath>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/clip/distinct_captions.hpp"
#include "radapt/op/embed.hpp"
#include "radapt/op/norm.hpp"
#include "radapt/op/pool.hpp"
#include "radapt/op/update.hpp"
#include "radapt/train/batch.hpp"

namespace radapt::detail {

/// What a PairObjective runs. Model is a Clip, or a HeadedClip; a pair is an image with CaptionsPerPair captions, all
/// first captions of a batch before all second ones.
///
/// Captions of a part that are equal, id for id, run once in a pass that draws nothing for each caption: the features
/// are copied to all of them, and the tower gets the sum of their gradients.
template <class Model, class Tune, Index CaptionsPerPair, class T, class Backend>
class PairTowers {
 public:
  using S = statistic_t<T>;
  using A = activation_t<Backend, T>;
  using Batch = PairBatch<T>;
  using ImagePlan = Plan<typename Model::Image, typename Model::PixelRow, A, Tune, false>;
  using TextPlan = Plan<typename Model::Text, TokenRow, A, Tune, false>;
  using ImageBoundary = Boundary<typename Model::Image, typename Model::PixelRow, A, T>;
  using TextBoundary = Boundary<typename Model::Text, TokenRow, A, T>;
  static constexpr Index captions_per_pair = CaptionsPerPair;
  static constexpr Index embed = Model::arch::embed;

  /// Consecutive images, or consecutive captions.
  struct Part {
    Index first, count;
  };
  /// The captions that run together with those images: as many for each of them. Which caption belongs to which image
  /// only the loss knows.
  static constexpr Part texts_of(Part images) {
    return {images.first * captions_per_pair, images.count * captions_per_pair};
  }
  template <class F>
  void for_each_part(Index count, F&& f) const {
    for (Index first = 0; first < count; first += micro_) { f(Part{first, std::min(micro_, count - first)}); }
  }
  /// One tower's features and what the loss makes of them, all (rows, embed).
  struct Side {
    explicit Side(Index rows)
        : features(rows * embed, memory_of<Backend>()),
          normalised(rows * embed, device_memory_of<Backend>()),
          dnormalised(rows * embed, device_memory_of<Backend>()),
          dfeatures(rows * embed, memory_of<Backend>()),
          norms(rows, device_memory_of<Backend>()) {}
    Buffer<T> features, normalised, dnormalised, dfeatures;
    Buffer<S> norms;
  };
  /// Normalised features of other weights than the student's, for as many pairs.
  struct Teacher {
    explicit Teacher(Index pairs)
        : image(pairs * embed, device_memory_of<Backend>()),
          text(pairs * captions_per_pair * embed, device_memory_of<Backend>()) {}
    Buffer<T> image, text;
    double scale = 1.0;  // exp(logit_scale); see read_scale

    /// On the host, so nothing may be running that writes the parameter.
    void read_scale(const Values<Model, T>& values) { scale = std::exp(static_cast<double>(*values.logit_scale.data)); }
  };
  static View<T, Samples<embed>> rows(Buffer<T>& b, Part part) { return {b.data() + part.first * embed, part.count}; }
  static View<S, Samples<1>> norms(Side& side, Index count) { return {side.norms.data(), count}; }

  /// Of captions of up to `longest` tokens.
  PairTowers(Index batch, Index micro, Index longest)
      : image(batch),
        text(batch * captions_per_pair),
        micro_(micro),
        offsets_(captions_of(micro) + 1),
        distinct_(captions_of(micro), captions_of(micro) * longest),
        places_(captions_of(micro)),
        distinct_features_(captions_of(micro) * embed, device_memory_of<Backend>()),
        distinct_gradients_(captions_of(micro) * embed, device_memory_of<Backend>()) {}
  /// Bytes of what distinct captions have of their own.
  static Index bytes(Index micro) { return 2 * padded(captions_of(micro) * embed * sizeof(T)); }

  template <class Saved>
  void run_images(Context<Backend>& c, const Values<Model, T>& values, const Batch& batch, Part part, Saved& saved) {
    begin_images(c, part);
    c.phase.next_site = 0;
    ImageBoundary::forward(c, values.image, pixels(batch, part), rows(image.features, part), saved);
    text_site_ = c.phase.next_site;
  }
  template <class Saved>
  void run_texts(Context<Backend>& c, const Values<Model, T>& values, const Batch& batch, Part part, Saved& saved) {
    c.phase.next_site = text_site_;
    run_tower(c, values, batch, part, text.features, saved);
  }
  template <class Saved>
  void image_backward(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                      const Batch& batch, Part part, const Saved& saved) {
    if constexpr (ImagePlan::runs_backward) {
      begin_images(c, part);
      ImageBoundary::backward(c, values.image, gradients.image, pixels(batch, part), saved,
                              rows(image.dfeatures, part));
    }
  }
  /// Of the part that run_texts ran last.
  template <class Saved>
  void text_backward(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                     const Batch& batch, Part part, const Saved& saved) {
    if constexpr (TextPlan::runs_backward) {
      begin_texts(c, batch, part);
      const auto dy = shares_ ? summed_gradients(c, part) : rows(text.dfeatures, part);
      TextBoundary::backward(c, values.text, gradients.text, ids(batch, part), saved, dy);
    }
  }

  /// Features of other weights, normalised; masks and dropout are off.
  void run_teacher(Context<Backend>& c, Teacher& teacher, const Values<Model, T>& values, const Batch& batch,
                   Index count) {
    const Phase phase = c.phase;
    c.phase = Phase{};
    for_each_part(count, [&](Part part) {
      Unsaved none;
      begin_images(c, part);
      ImageBoundary::forward(c, values.image, pixels(batch, part), rows(teacher.image, part), none);
      run_tower(c, values, batch, texts_of(part), teacher.text, none);
    });
    const auto normalise = [&](Buffer<T>& b, Index n) {
      const auto x = rows(b, {0, n});
      run(c, op::l2_normalize_forward<T>{.y = x, .x = x});
    };
    normalise(teacher.image, count);
    normalise(teacher.text, count * captions_per_pair);
    c.phase = phase;
  }

  /// Scratch of images may lie where texts keep what their backward reads.
  void begin_images(Context<Backend>& c, Part part) const {
    c.arena.give_shared_to_scratch();
    c.sequences = Model::image_sequences(part.count);
    c.phase.first_sequence = part.first;
  }
  void begin_texts(Context<Backend>& c, const Batch& batch, Part part) {
    c.arena.give_shared_to_kept();
    c.sequences = shares_ ? distinct_.captions().sequences() : batch.captions->slice(part.first, part.count, offsets_);
    c.phase.first_sequence = part.first;
  }
  static View<const T, typename Model::PixelRow> pixels(const Batch& batch, Part part) {
    return {batch.pixels.data() + part.first * Model::PixelRow::width, part.count};
  }
  View<const std::int32_t, TokenRow> ids(const Batch& batch, Part part) const {
    const Captions& captions = shares_ ? distinct_.captions() : *batch.captions;
    const Part own = shares_ ? Part{0, distinct_.size()} : part;
    return {captions.ids(own.first), captions.tokens(own.first, own.count)};
  }
  /// Whether equal captions come out differently, since something is drawn for each of them.
  static bool draws_for_each_caption(const Phase& phase) {
    const bool adapters = phase.adapter_drop > 0.0 && phase.granularity == DropGranularity::per_sample;
    return phase.training && (adapters || (Model::Text::drops_elements && phase.dropout > 0.0));
  }

  void normalise(Context<Backend>& c, Side& side, Part part) {
    run(c, op::l2_normalize_forward<T>{
               .y = rows(side.normalised, part), .x = rows(side.features, part), .norm = norms(side, part.count)});
  }
  void normalise_backward(Context<Backend>& c, Side& side, Part part) {
    run(c, op::l2_normalize_backward<T>{.dx = rows(side.dfeatures, part),
                                        .dy = rows(side.dnormalised, part),
                                        .y = rows(side.normalised, part),
                                        .norm = norms(side, part.count)});
  }

  Side image, text;

 private:
  static constexpr Index captions_of(Index images) { return images * captions_per_pair; }

  /// Features of the captions of a part into their rows of `features`.
  template <class Saved>
  void run_tower(Context<Backend>& c, const Values<Model, T>& values, const Batch& batch, Part part,
                 Buffer<T>& features, Saved& saved) {
    shares_ = false;
    if (!draws_for_each_caption(c.phase)) {
      distinct_.find(*batch.captions, part.first, part.count);
      shares_ = distinct_.size() < part.count;
    }
    begin_texts(c, batch, part);
    const auto y = shares_ ? rows(distinct_features_, {0, distinct_.size()}) : rows(features, part);
    TextBoundary::forward(c, values.text, ids(batch, part), y, saved);
    if (shares_) {  // to pool from sequences that all begin at row 0 is to gather
      const Sequences rows_of{.count = part.count, .uniform_length = 0, .pooled = distinct_.places().data()};
      run(c, op::pool_forward<T>{.y = rows(features, part), .x = y, .sequences = rows_of});
    }
  }
  /// For each distinct caption the sum of the gradients of those that are equal to it, in their order.
  View<T, Samples<embed>> summed_gradients(Context<Backend>& c, Part part) {
    const auto sums = rows(distinct_gradients_, {0, distinct_.size()});
    std::transform(distinct_.places().begin(), distinct_.places().end(), places_.begin(),
                   [](Index place) { return static_cast<std::int32_t>(place); });
    run(c, op::clear<T>{.x = Vector<T>(sums)});
    run(c, op::embed_tokens_backward<T>{.dtable = sums,
                                        .dpositions = {},
                                        .dy = rows(text.dfeatures, part),
                                        .ids = places_.data(),
                                        .sequences = {.count = part.count, .uniform_length = 1}});
    return sums;
  }

  Index micro_;
  std::vector<Index> offsets_;
  std::uint32_t text_site_ = 0;
  DistinctCaptions distinct_;         ///< of the part that ran last
  bool shares_ = false;               ///< whether it ran on them
  std::vector<std::int32_t> places_;  ///< theirs, as ids
  Buffer<T> distinct_features_, distinct_gradients_;
};

}  // namespace radapt::detail
