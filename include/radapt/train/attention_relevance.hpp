#pragma once
/// Where in an image a classifier sees the class: the attention rollout with gradients of Chefer et al. (ICCV 2021), as
/// Mask-fill uses it (methods.md 7.11).
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/op/attention.hpp"
#include "radapt/op/pooled_attention.hpp"
#include "radapt/train/batch.hpp"

namespace radapt {

namespace detail {

/// Computes as Backend, and looks at every attention layer on the way back. With A = mean over heads of relu(dP * P),
/// P the probabilities and dP their gradient, the rollout is R = (1 + A_last) ... (1 + A_first). Of R only the class
/// token's row is wanted, and r <- r (1 + A) from the last layer to the first gives it: the order of a backward pass.
template <class Backend, class T>
struct RelevanceRecorder : Backend {
  std::vector<T> rows;           // (images, tokens)
  Vector<const T> value_bias{};  // of the last layer, which gradients by probabilities have a part of

  void begin(Index images, Index tokens) {
    rows.assign(images * tokens, T{0});
    for (Index i = 0; i < images; ++i) { rows[i * tokens] = T{1}; }
  }

  void record(const op::attention_backward<T>& o) {
    if constexpr (requires { this->synchronize(); }) { this->synchronize(); }  // the host reads all operands
    using Tile = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto extent = [](Index n) { return static_cast<Eigen::Index>(n); };
    const Index width = o.dy.columns, head_width = width / o.heads;
    for (Index i = 0; i < o.sequences.count; ++i) {
      const Index first = o.sequences.begin(i), tokens = o.sequences.length(i);
      const auto tile = [&](const T* data, Index stride) {
        return Eigen::Map<const Tile, 0, Eigen::OuterStride<>>(data, extent(tokens), extent(head_width),
                                                               Eigen::OuterStride<>(extent(stride)));
      };
      Tile relevance = Tile::Zero(extent(tokens), extent(tokens));
      for (Index h = 0; h < o.heads; ++h) {
        const T* const qkv = o.qkv.data + first * 3 * width + h * head_width;
        const auto q = tile(qkv, 3 * width), k = tile(qkv + width, 3 * width), v = tile(qkv + 2 * width, 3 * width);
        Tile p = q * k.transpose();
        p *= T{1} / std::sqrt(static_cast<T>(head_width));
        for (Index t = 0; t < tokens; ++t) {
          auto row = p.row(extent(t)).array();
          row = (row - o.log_sum_exp.data[(first + t) * o.heads + h]).exp();
        }
        const Tile dp = tile(o.dy.data + first * width + h * head_width, width) * v.transpose();
        relevance.array() += (dp.array() * p.array()).max(T{0}) / static_cast<T>(o.heads);
      }
      Eigen::Map<Eigen::Matrix<T, 1, Eigen::Dynamic>> r(rows.data() + i * tokens, extent(tokens));
      r += (r * relevance).eval();
    }
  }

  /// The last layer, of which the class token's row is all that has a gradient. There dP = dy v^T, v = x W_v^T + b_v.
  void record(const op::pooled_attention_backward<T>& o) {
    if constexpr (requires { this->synchronize(); }) { this->synchronize(); }
    using Tile = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto tile = [](const T* data, Index height, Index columns) {
      return Eigen::Map<const Tile>(data, static_cast<Eigen::Index>(height), static_cast<Eigen::Index>(columns));
    };
    const Index width = o.dy.columns, head_width = width / o.heads;
    for (Index i = 0; i < o.sequences.count; ++i) {
      const Index first = o.sequences.begin(i), tokens = o.sequences.length(i);
      const auto x = tile(o.x.data + first * width, tokens, width);
      T* const r = rows.data() + i * tokens;
      const T of_class_token = r[0];
      for (Index h = 0; h < o.heads; ++h) {
        const auto dy = tile(o.dy.data + i * width + h * head_width, 1, head_width);
        const Tile gradient = x * (dy * tile(o.value.data + h * head_width * width, head_width, width)).transpose();
        const T of_bias =
            value_bias ? dy.row(0).dot(tile(value_bias.data + h * head_width, 1, head_width).row(0)) : T{0};
        for (Index t = 0; t < tokens; ++t) {
          const T dp = gradient(static_cast<Eigen::Index>(t), 0) + of_bias;
          const T p = o.probabilities.data[(first + t) * o.heads + h];
          r[t] += of_class_token * std::max(T{0}, dp * p) / static_cast<T>(o.heads);
        }
      }
    }
  }
};

template <class Backend, class T>
void launch(RelevanceRecorder<Backend, T>& device, const op::pooled_attention_forward<T>& o) {
  device.value_bias = o.value_bias;
  launch(static_cast<Backend&>(device), o);
}
template <class Backend, class T>
void launch(RelevanceRecorder<Backend, T>& device, const op::pooled_attention_backward<T>& o) {
  device.record(o);
  launch(static_cast<Backend&>(device), o);
}

template <class Backend, class T>
void launch(RelevanceRecorder<Backend, T>& device, const op::attention_backward<T>& o) {
  device.record(o);
  launch(static_cast<Backend&>(device), o);
}

}  // namespace detail

/// Relevance of every patch of an image for its class, >= 0, in the scale of the logits. M is a Classifier. All memory
/// but the recorder's is taken at construction.
template <class M, class Backend, class T = float>
class AttentionRelevance {
 public:
  static constexpr Index pixels_per_image = M::PixelRow::width;
  static constexpr Index patches = M::clip::image_tokens - 1;

  /// `classes` is that of the weights; larger inputs are cut into pieces of `images`.
  explicit AttentionRelevance(Index classes, Index images = 32)
      : classes_(classes),
        images_(images),
        logits_(images * classes, memory_of<Backend>()),
        gradients_(bind<T>(tree_, nullptr, classes), memory_of<Backend>()) {
    if (images == 0) { fail({.what = "AttentionRelevance", .expected = "images >= 1", .got = "0", .hint = ""}); }
    bind(tree_, gradients_.data(), classes);
    const MemoryNeed need = detail::tower_need<M, typename M::PixelRow, T, T, Bottom>(extent(images), false);
    context_.arena.reserve(need.kept, need.scratch, memory_of<Backend>());
  }

  /// pixels (N, 3 S S), labels (N) -> relevance (N, patches), patches row by row from the top left. `values` are those
  /// of the model as it is: `trainer.state().values()`, or `tree()` of weights. Errors: sizes that do not fit, a class
  /// id out of range.
  void operator()(const Values<M, T>& values, std::span<const T> pixels, std::span<const std::int32_t> labels,
                  std::span<T> relevance) {
    const Index count = labels.size();
    detail::check_pixels(pixels, count, pixels_per_image);
    detail::check_labels(labels, classes_);
    if (relevance.size() != count * patches) {
      fail({.what = "relevance of " + std::to_string(count) + " images",
            .expected = std::to_string(count * patches) + " values, one for each patch",
            .got = std::to_string(relevance.size()),
            .hint = ""});
    }
    for (Index first = 0; first < count; first += images_) {
      const Index n = std::min(images_, count - first);
      run_images(values, pixels.data() + first * pixels_per_image, labels.data() + first, n);
      for (Index i = 0; i < n; ++i) {
        const T* const row = context_.device.rows.data() + i * (patches + 1) + 1;
        std::copy(row, row + patches, relevance.data() + (first + i) * patches);
      }
    }
  }

 private:
  /// What lies below the first block, so that the way back goes through all of them.
  using Bottom = tune::only<role::embedding>;
  using ModelPlan = Plan<M, typename M::PixelRow, T, Bottom, false>;
  static constexpr Extent extent(Index images) { return M::image_sequences(images).extent(); }

  void run_images(const Values<M, T>& values, const T* pixels, const std::int32_t* labels, Index n) {
    auto& c = context_;
    const Arena::Mark before = c.arena.mark();
    c.phase = Phase{};
    c.sequences = M::image_sequences(n);
    c.device.begin(n, patches + 1);
    const View<const T, typename M::PixelRow> x{pixels, n};
    const View<T, typename M::LogitRow> logits{logits_.data(), n, classes_};
    typename ModelPlan::Saved saved;
    M::template forward<T, typename M::PixelRow>(c, values, x, logits, saved);
    finish(c);  // the host writes over the logits
    std::fill(logits_.begin(), logits_.begin() + n * classes_, T{0});
    for (Index i = 0; i < n; ++i) { logits_[i * classes_ + static_cast<Index>(labels[i])] = T{1}; }
    M::template backward<T, typename M::PixelRow>(c, values, tree_, x, Dropped{}, saved, logits, Discard{});
    finish(c);
    c.arena.release(before);
  }

  Index classes_, images_;
  Buffer<T> logits_;
  Gradients<M, Bottom, T> tree_{};  ///< of no interest, but the way back writes them
  Buffer<T> gradients_;
  Context<detail::RelevanceRecorder<Backend, T>> context_;
};

}  // namespace radapt
