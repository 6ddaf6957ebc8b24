#pragma once
/// Both towers over a batch of pairs, or over parts of it: features, their normalisation, and the way back.
#include <algorithm>
#include <cmath>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/clip/clip.hpp"
#include "radapt/op/norm.hpp"
#include "radapt/train/batch.hpp"

namespace radapt::detail {

/// What a PairObjective runs. Model is a Clip, or a HeadedClip; a pair is an image with CaptionsPerPair captions, all
/// first captions of a batch before all second ones.
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
          normalised(rows * embed, memory_of<Backend>()),
          dnormalised(rows * embed, memory_of<Backend>()),
          dfeatures(rows * embed, memory_of<Backend>()),
          norms(rows, memory_of<Backend>()) {}
    Buffer<T> features, normalised, dnormalised, dfeatures;
    Buffer<S> norms;
  };
  /// Normalised features of other weights than the student's, for as many pairs.
  struct Teacher {
    explicit Teacher(Index pairs)
        : image(pairs * embed, memory_of<Backend>()), text(pairs * captions_per_pair * embed, memory_of<Backend>()) {}
    Buffer<T> image, text;
    double scale = 1.0;  // exp(logit_scale)
  };
  static View<T, Samples<embed>> rows(Buffer<T>& b, Part part) { return {b.data() + part.first * embed, part.count}; }
  static View<S, Samples<1>> norms(Side& side, Index count) { return {side.norms.data(), count}; }

  PairTowers(Index batch, Index micro)
      : image(batch), text(batch * captions_per_pair), micro_(micro), offsets_(micro * captions_per_pair + 1) {}

  template <class Saved>
  void run_images(Context<Backend>& c, const Values<Model, T>& values, const Batch& batch, Part part, Saved& saved) {
    begin_images(c, part);
    c.phase.next_site = 0;
    ImageBoundary::forward(c, values.image, pixels(batch, part), rows(image.features, part), saved);
    text_site_ = c.phase.next_site;
  }
  template <class Saved>
  void run_texts(Context<Backend>& c, const Values<Model, T>& values, const Batch& batch, Part part, Saved& saved) {
    begin_texts(c, batch, part);
    c.phase.next_site = text_site_;
    TextBoundary::forward(c, values.text, ids(batch, part), rows(text.features, part), saved);
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
  template <class Saved>
  void text_backward(Context<Backend>& c, const Values<Model, T>& values, Gradients<Model, Tune, T>& gradients,
                     const Batch& batch, Part part, const Saved& saved) {
    if constexpr (TextPlan::runs_backward) {
      begin_texts(c, batch, part);
      TextBoundary::backward(c, values.text, gradients.text, ids(batch, part), saved, rows(text.dfeatures, part));
    }
  }

  /// Features of other weights, normalised; masks and dropout are off.
  void run_teacher(Context<Backend>& c, Teacher& teacher, const Values<Model, T>& values, const Batch& batch,
                   Index count) {
    finish(c);  // the host reads a parameter
    teacher.scale = std::exp(static_cast<double>(*values.logit_scale.data));
    const Phase phase = c.phase;
    c.phase = Phase{};
    for_each_part(count, [&](Part part) {
      Unsaved none;
      begin_images(c, part);
      ImageBoundary::forward(c, values.image, pixels(batch, part), rows(teacher.image, part), none);
      begin_texts(c, batch, texts_of(part));
      TextBoundary::forward(c, values.text, ids(batch, texts_of(part)), rows(teacher.text, texts_of(part)), none);
    });
    const auto normalise = [&](Buffer<T>& b, Index n) {
      const auto x = rows(b, {0, n});
      run(c, op::l2_normalize_forward<T>{.y = x, .x = x});
    };
    normalise(teacher.image, count);
    normalise(teacher.text, count * captions_per_pair);
    c.phase = phase;
  }

  void begin_images(Context<Backend>& c, Part part) const {
    c.sequences = Model::image_sequences(part.count);
    c.phase.first_sequence = part.first;
  }
  void begin_texts(Context<Backend>& c, const Batch& batch, Part part) {
    c.sequences = batch.captions->slice(part.first, part.count, offsets_);
    c.phase.first_sequence = part.first;
  }
  static View<const T, typename Model::PixelRow> pixels(const Batch& batch, Part part) {
    return {batch.pixels.data() + part.first * Model::PixelRow::width, part.count};
  }
  static View<const std::int32_t, TokenRow> ids(const Batch& batch, Part part) {
    return {batch.captions->ids(part.first), batch.captions->tokens(part.first, part.count)};
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
  Index micro_;
  std::vector<Index> offsets_;
  std::uint32_t text_site_ = 0;
};

}  // namespace radapt::detail
