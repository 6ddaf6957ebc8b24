#pragma once
/// Classifiers on features that were computed once: a linear probe, and CLIP-Adapter. They are trained by the trainer
/// of images, with features in the place of pixels.
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include "radapt/clip/clip.hpp"
#include "radapt/core/random.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/normalize.hpp"
#include "radapt/layer/sequential.hpp"
#include "radapt/task/blend.hpp"

namespace radapt::task {

namespace detail {
/// What Classifier says of images, said of features: the trainer and ClassifierSession ask for these names.
template <Index Embed>
struct FeatureModel {
  struct arch {
    static constexpr Index embed = Embed;
  };
  using clip = Clip<arch>;  // what recipes ask for adapters, of which there are none
  using PixelRow = Samples<Embed>;
  using LogitRow = Samples<dynamic>;
  static constexpr Sequences image_sequences(Index samples) { return {.count = samples, .uniform_length = 1}; }
};

/// Writes scale * rows into `head.weight`; `rows` is (classes, Embed).
template <class M, class T>
void set_head(Weights<M, T>& weights, std::span<const T> rows, double scale) {
  auto& weight = child<"head">(weights.tree()).weight;
  for (Index i = 0; i < rows.size(); ++i) { weight.data[i] = static_cast<T>(scale * static_cast<double>(rows[i])); }
}
template <Index Embed, class T>
Index head_classes(std::span<const T> rows) {
  if (rows.empty() || rows.size() % Embed != 0) {
    fail({.what = "a head on features",
          .expected = "rows of " + std::to_string(Embed) + " numbers, one for each class",
          .got = std::to_string(rows.size()) + " numbers",
          .hint = {}});
  }
  return rows.size() / Embed;
}
}  // namespace detail

/// features (N, Embed) -> logits (N, classes): normalised features and a linear head, which is a Classifier without its
/// image tower; the tensors of the head have the same names. A linear probe (methods.md 7.2) trains
///
///     Recipe<FeatureClassifier<512>, tune::only<role::head>, ensemble::During<>, ensemble::After<>,
///     loss::CrossEntropy>
///
/// The number of classes is data: Weights<FeatureClassifier<512>> w(classes), which starts as zeros.
template <Index Embed>
struct FeatureClassifier : Sequential<L2Normalize, Named<"head", Linear<Embed, dynamic, role::head>>>,
                           detail::FeatureModel<Embed> {};

/// Weights of a FeatureClassifier whose head is scale * rows with bias 0; `rows` (classes, Embed) are of unit length
/// and `scale` is exp(logit_scale) for a zero-shot head. Error: no whole rows.
template <Index Embed, class T = float>
Weights<FeatureClassifier<Embed>, T> feature_classifier(std::type_identity_t<std::span<const T>> rows, double scale) {
  Weights<FeatureClassifier<Embed>, T> weights(detail::head_classes<Embed, T>(rows));
  detail::set_head(weights, rows, scale);
  return weights;
}

/// CLIP-Adapter (Gao et al., IJCV 2024; methods.md 7.7): features (N, Embed) -> logits (N, classes),
///
///     A(f) = ReLU(ReLU(f W1) W2),   f* = rho A(f) + (1 - rho) f,   logits = normalise(f*) W_head^T + b
///
/// without biases in A and with rho = Percent / 100 (0.2 in the released code). Only the adapter trains, with
/// tune::only<role::adapter>; the head stays the zero-shot head. A is homogeneous, so the length of f does not matter.
template <Index Embed, Index Hidden = Embed / 4, Index Percent = 20>
struct ClipAdapter
    : Sequential<
          Named<"adapter", Blend<Percent, Sequential<Named<"fc1", Projection<Embed, Hidden, role::adapter>>, Relu,
                                                     Named<"fc2", Projection<Hidden, Embed, role::adapter>>, Relu>>>,
          L2Normalize, Named<"head", Linear<Embed, dynamic, role::head>>>,
      detail::FeatureModel<Embed> {
  static constexpr bool adapts_features = true;  ///< not linearly: recipes refuse what would interpolate the adapter
};

/// First weights of a ClipAdapter: W1 and W2 uniform in +-1 / sqrt(rows), as PyTorch draws linear layers, and the head
/// as for feature_classifier. Error: no whole rows.
template <class Model, class T = float>
Weights<Model, T> clip_adapter(std::type_identity_t<std::span<const T>> rows, double scale, std::uint64_t seed) {
  Weights<Model, T> weights(detail::head_classes<Model::arch::embed, T>(rows));
  detail::set_head(weights, rows, scale);
  const auto draw = [seed](auto& matrix, std::uint64_t stream) {
    using S = std::remove_reference_t<decltype(matrix)>;
    Random random(seed, stream);
    const double bound = 1.0 / std::sqrt(static_cast<double>(S::shape::extent(0)));
    for (Index i = 0; i < matrix.size(); ++i) { matrix.data[i] = static_cast<T>(random.uniform(-bound, bound)); }
  };
  auto& adapter = child<"adapter">(weights.tree());
  draw(child<"fc1">(adapter).matrix, 1);
  draw(child<"fc2">(adapter).matrix, 2);
  return weights;
}

}  // namespace radapt::task
