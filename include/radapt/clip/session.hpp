#pragma once
/// Running a model without training it: features of images and of captions.
#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/clip/captions.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/clip/distinct_captions.hpp"
#include "radapt/clip/scaled_adapters.hpp"
#include "radapt/core/resident.hpp"
#include "radapt/layer/boundary.hpp"
#include "radapt/op/norm.hpp"

namespace radapt {

/// How much a session works on at once; larger inputs are cut into such pieces.
struct SessionSize {
  Index images = 32;           ///< at least 1
  Index captions = 64;         ///< at least 1
  double adapter_alpha = 1.0;  ///< scale of unmerged adapters, finite
  /// Whether the weights stay as they are while the session lives. A backend may then keep copies of the matrices that
  /// it multiplies by in a layout of its own: less time for one or a few images from the second pass on, at most twice
  /// the memory of weights, and none beside the copies for matrices that lie in a mapped file. Not set, it is so for
  /// weights of load_mapped on backends that copy a matrix for every product anyway, which are those in bf16.
  std::optional<bool> constant_weights{};
};

/// The reason types of a model in the wrong kind of session.
template <class M>
struct check_session {
  static constexpr bool this_model_has_both_towers = requires { typename M::Text; };
  static_assert(this_model_has_both_towers,
                "radapt: a Session runs the two towers of a Clip; to fix: run a Classifier in a ClassifierSession, and "
                "give a Clip as the model.");
};
template <class M>
struct check_classifier_session {
  static constexpr bool this_model_has_a_head = requires { typename M::LogitRow; };
  static_assert(this_model_has_a_head,
                "radapt: a ClassifierSession runs a Classifier; to fix: run a Clip in a Session, or make a Classifier "
                "of it with zero_shot_classifier.");
};

namespace detail {
/// The size, for a session of model M. Errors: no images or captions, an alpha that is no number or that the adapters
/// of the model would not follow.
template <class M>
SessionSize checked(const SessionSize& size) {
  const auto refuse = [](const char* what, const char* expected, const std::string& got) {
    fail({.what = std::string("session size: ") + what, .expected = expected, .got = got, .hint = ""});
  };
  for (const auto& [what, count] : {std::pair{"images", size.images}, std::pair{"captions", size.captions}}) {
    if (count == 0 || count >> 31 != 0) { refuse(what, "1 to 2147483647", std::to_string(count)); }
  }
  if (!std::isfinite(size.adapter_alpha)) {
    refuse("adapter_alpha", "a finite number", std::to_string(size.adapter_alpha));
  }
  if (size.adapter_alpha != 1.0 && !scales_all_adapters<M>) {
    fail({.what = "session size: adapter_alpha",
          .expected = "1, since not all adapters of this model are layers that scale themselves",
          .got = std::to_string(size.adapter_alpha),
          .hint = "Merge linear ones at that alpha; a layer that inherits from detail::AdapterBranch scales itself"});
  }
  return size;
}
/// Tells a session's device what stays as it is; `resident` are the weights `given`, where the backend reads them.
template <class M, class Backend, class T>
void promise_constant_weights(Context<Backend>& context, const SessionSize& size, const ConstWeights<M, T>& given,
                              const ConstWeights<M, T>& resident) {
  if (size.constant_weights.value_or(given.mapped() && packs_weights<Backend>())) {
    promise_constant(context.device, resident);
  }
}
}  // namespace detail

/// Runs the towers of a Clip on a backend. Weights are shared; all memory is taken at construction, but a copy of the
/// ids of the captions. What a call returns is there: it has waited for the backend.
template <class M, class Backend, class T = float>
class Session : check_session<M> {
 public:
  using Row = typename M::FeatureRow;
  static constexpr Index embed = M::arch::embed;
  static constexpr Index pixels_per_image = M::PixelRow::width;

  /// Weights, which must outlive the session, those of load_mapped, or weights given away, which it keeps. Errors: a
  /// size out of range.
  explicit Session(const ConstWeights<M, T>& weights, SessionSize size = {})
      : weights_(weights), resident_(resident<Backend>(weights_)), size_(detail::checked<M>(size)) {
    using ImagePlan = Plan<typename M::Image, typename M::PixelRow, A, tune::nothing, false>;
    using TextPlan = Plan<typename M::Text, TokenRow, A, tune::nothing, false>;
    const Extent images = M::image_sequences(size.images).extent();
    const Extent captions{size.captions * M::arch::context, size.captions};
    context_.arena.reserve(0,
                           std::max(ImagePlan::forward_scratch(images) + ImageBoundary::scratch(images),
                                    TextPlan::forward_scratch(captions) + TextBoundary::scratch(captions)),
                           device_memory_of<Backend>());
    context_.phase.adapter_alpha = size.adapter_alpha;
    detail::promise_constant_weights(context_, size, weights_, resident_);
    offsets_.resize(size.captions + 1);
  }

  /// Features of normalised pixels (N, 3 S S) into (N, embed), not normalised (open_clip's encode_image).
  void encode_images(std::span<const T> pixels, std::span<T> features) {
    const Index count = features.size() / embed;
    if (pixels.size() != count * pixels_per_image || features.size() != count * embed) {
      fail({.what = "encode_images",
            .expected =
                std::to_string(count * pixels_per_image) + " pixel values for " + std::to_string(count) + " images",
            .got = std::to_string(pixels.size()),
            .hint = "Pixels are (N, 3, size, size) of the model's image size, features (N, embed)"});
    }
    for (Index first = 0; first < count; first += size_.images) {
      const Index n = std::min(size_.images, count - first);
      context_.sequences = M::image_sequences(n);
      Unsaved none;
      ImageBoundary::forward(context_, resident_.tree().image,
                             View<const T, typename M::PixelRow>{pixels.data() + first * pixels_per_image, n},
                             View<T, Row>{features.data() + first * embed, n}, none);
    }
    finish(context_);
  }

  /// Features of captions into (N, embed), not normalised (open_clip's encode_text). Captions that are equal, id for
  /// id, run once. Errors: features of another size, captions for a larger model.
  void encode_texts(const Captions& captions, std::span<T> features) {
    if (features.size() != captions.size() * embed) {
      fail({.what = "encode_texts",
            .expected = std::to_string(captions.size() * embed) + " feature values",
            .got = std::to_string(features.size()),
            .hint = "Features are (captions, embed)"});
    }
    captions.check_fit(M::arch::context, M::arch::vocabulary, "encode_texts");
    distinct_.find(captions);
    const Captions& distinct = distinct_.captions();
    for (Index first = 0; first < distinct.size(); first += size_.captions) {
      const Index n = std::min(size_.captions, distinct.size() - first);
      context_.sequences = distinct.slice(first, n, offsets_);
      Unsaved none;
      TextBoundary::forward(context_, resident_.tree().text,
                            View<const std::int32_t, TokenRow>{distinct.ids(first), distinct.tokens(first, n)},
                            View<T, Row>{features.data() + first * embed, n}, none);
    }
    finish(context_);
    if (distinct.size() == captions.size()) { return; }
    for (Index i = captions.size(); i-- > 0;) {  // from the last: no place lies behind its caption
      const T* const from = features.data() + distinct_.places()[i] * embed;
      if (distinct_.places()[i] != i) { std::copy(from, from + embed, features.data() + i * embed); }
    }
  }

  /// Scales rows of (N, embed) to length 1, in place. Error: part of a row.
  void normalize(std::span<T> features) {
    if (features.size() % embed != 0) {
      fail({.what = "normalize",
            .expected = "rows of " + std::to_string(embed) + " values",
            .got = std::to_string(features.size()) + " values",
            .hint = "Features are (N, embed)"});
    }
    const View<T, Row> rows{features.data(), features.size() / embed};
    run(context_, op::l2_normalize_forward<T>{.y = rows, .x = rows});
    finish(context_);
  }

  /// exp(logit_scale): what cosines are multiplied with.
  T scale() const { return std::exp(*weights().tree().logit_scale.data); }
  const ConstWeights<M, T>& weights() const { return weights_; }
  Context<Backend>& context() { return context_; }

 private:
  using A = activation_t<Backend, T>;
  using ImageBoundary = Boundary<typename M::Image, typename M::PixelRow, A, T>;
  using TextBoundary = Boundary<typename M::Text, TokenRow, A, T>;

  ConstWeights<M, T> weights_, resident_;  // as they came, and where the backend reads them
  SessionSize size_;
  Context<Backend> context_;
  std::vector<Index> offsets_;
  DistinctCaptions distinct_;
};

/// Runs a Classifier: logits of images.
template <class M, class Backend, class T = float>
class ClassifierSession : check_classifier_session<M> {
 public:
  static constexpr Index pixels_per_image = M::PixelRow::width;

  /// Weights, which must outlive the session, or weights given away, which it keeps. Errors: a size out of range.
  explicit ClassifierSession(const ConstWeights<M, T>& weights, SessionSize size = {})
      : weights_(resident<Backend>(weights)), size_(detail::checked<M>(size)) {
    if (weights_.classes() == 0) {
      fail({.what = "a classifier", .expected = "at least one class", .got = "none", .hint = "Its head has no rows"});
    }
    using ModelPlan = Plan<M, typename M::PixelRow, A, tune::nothing, false>;
    const Extent images = M::image_sequences(size.images).extent();
    context_.arena.reserve(0, ModelPlan::forward_scratch(images) + ModelBoundary::scratch(images, weights_.classes()),
                           device_memory_of<Backend>());
    context_.phase.adapter_alpha = size.adapter_alpha;
    detail::promise_constant_weights(context_, size, weights, weights_);
  }

  /// Logits of normalised pixels (N, 3 S S) into (N, classes).
  void logits(std::span<const T> pixels, std::span<T> logits) {
    const Index classes = weights_.classes(), count = logits.size() / classes;
    if (pixels.size() != count * pixels_per_image || logits.size() != count * classes) {
      fail({.what = "logits",
            .expected =
                std::to_string(count * pixels_per_image) + " pixel values for " + std::to_string(count) + " images",
            .got = std::to_string(pixels.size()),
            .hint = "Pixels are (N, 3, size, size) of the model's image size, logits (N, classes)"});
    }
    for (Index first = 0; first < count; first += size_.images) {
      const Index n = std::min(size_.images, count - first);
      context_.sequences = M::image_sequences(n);
      Unsaved none;
      ModelBoundary::forward(context_, weights_.tree(),
                             View<const T, typename M::PixelRow>{pixels.data() + first * pixels_per_image, n},
                             View<T, typename M::LogitRow>{logits.data() + first * classes, n, classes}, none);
    }
    finish(context_);
  }

  Context<Backend>& context() { return context_; }

 private:
  using A = activation_t<Backend, T>;
  using ModelBoundary = Boundary<M, typename M::PixelRow, A, T>;

  ConstWeights<M, T> weights_;
  SessionSize size_;
  Context<Backend> context_;
};

}  // namespace radapt
