#pragma once
/// A CLIP feature for every patch of an image: MaskCLIP's reading of the last block (Zhou et al., ECCV 2022).
#include <algorithm>
#include <span>
#include <string>

#include "radapt/clip/clip.hpp"
#include "radapt/core/resident.hpp"

namespace radapt::task {

/// Runs the image tower of a Clip without adapters up to its last block. There attention is left out: every token takes
/// its own value, x + out_proj(v(ln_1(x))), where attention would mix those of all tokens. The MLP of the block,
/// ln_post and proj follow on all tokens. What comes out lies in the joint space, where captions are, and stays where
/// it was in the image.
template <class M, class Backend, class T = float>
class DenseSession {
  static_assert(never<M>,
                "radapt: dense features are made by a Clip without adapters and without unlocked blocks; to fix: merge "
                "the adapters, or copy the weights into a plain Clip.");

 public:
  explicit DenseSession(const Weights<M, T>& weights, Index images = 8);  // so that this is the only message
};

template <class Arch, class Backend, class T>
class DenseSession<Clip<Arch>, Backend, T> {
 public:
  using M = Clip<Arch>;
  static constexpr Index embed = Arch::embed;
  static constexpr Index grid = Arch::image / Arch::patch;  ///< patches along a side
  static constexpr Index patches = grid * grid;             ///< of an image
  static constexpr Index pixels_per_image = M::PixelRow::width;

  /// Weights, which must outlive the session, those of load_mapped, or weights given away, which it keeps; `images` are
  /// worked on at once.
  explicit DenseSession(const ConstWeights<M, T>& weights, Index images = 8)
      : weights_(resident<Backend>(weights)), images_(images) {
    if (images == 0) {
      fail({.what = "DenseSession", .expected = "at least one image at once", .got = "0", .hint = {}});
    }
    const Extent e = M::image_sequences(images).extent();
    const Index rows = e.tokens * width;
    for (Buffer<T>* b : {&x_, &y_}) { *b = Buffer<T>(rows, memory_of<Backend>()); }
    features_ = Buffer<T>(e.tokens * std::max(embed, width), memory_of<Backend>());
    using Front = Plan<PatchLayer, typename M::PixelRow, T, tune::nothing, false>;
    using Middle = Plan<Block, Row, T, tune::nothing, false>;
    using Last = Plan<MlpLayer, Row, T, tune::nothing, false>;
    context_.arena.reserve(0,
                           std::max({Front::forward_scratch(e), Middle::forward_scratch(e), Last::forward_scratch(e)}),
                           memory_of<Backend>());
  }

  /// Features of normalised pixels (N, 3 S S) into (N, grid, grid, embed), rows of patches from the top; not
  /// normalised. The class token has none. Error: sizes that do not fit.
  void encode(std::span<const T> pixels, std::span<T> features) {
    const Index count = features.size() / (patches * embed);
    if (pixels.size() != count * pixels_per_image || features.size() != count * patches * embed) {
      fail({.what = "DenseSession::encode",
            .expected = std::to_string(count * pixels_per_image) + " pixel values for " + std::to_string(count) +
                        " images, and " + std::to_string(patches * embed) + " feature values for each",
            .got = std::to_string(pixels.size()) + " and " + std::to_string(features.size()),
            .hint = "Pixels are (N, 3, size, size) of the model's image size, features (N, grid, grid, embed)"});
    }
    for (Index first = 0; first < count; first += images_) {
      const Index n = std::min(images_, count - first);
      run_images(pixels.data() + first * pixels_per_image, n);
      finish(context_);
      for (Index i = 0; i < n; ++i) {
        const T* const from = features_.data() + (i * M::image_tokens + 1) * embed;
        std::copy(from, from + patches * embed, features.data() + (first + i) * patches * embed);
      }
    }
  }

 private:
  static constexpr Index width = Arch::vision.width;
  using Row = Tokens<width>;
  using Tower = typename M::Image;
  using PatchLayer = typename Tower::template layer_at<0>;
  using NormBefore = typename Tower::template layer_at<1>;
  using Blocks = typename Tower::template layer_at<2>;
  static constexpr Index whole_blocks = Arch::vision.layers - 1;  // those in front of the last one
  using Block = typename radapt::detail::blocks_for<width, Arch::vision.heads, Arch::vision.hidden, Arch::activation,
                                                    false, NoAdapter, role::tower::image, false>::block;
  using LastBlock = typename Blocks::template layer_at<Blocks::size - 1>;
  using MlpLayer = typename LastBlock::template layer_at<1>::body_layer;
  using NormAfter = typename Tower::template layer_at<3>;
  using Projected = typename Tower::template layer_at<4>;

  void run_images(const T* pixels, Index n) {
    Unsaved none;
    Context<Backend>& c = context_;
    c.sequences = M::image_sequences(n);
    const Index rows = c.sequences.rows();
    const auto& p = weights_.tree().image;
    View<T, Row> x{x_.data(), rows}, y{y_.data(), rows};
    PatchLayer::template forward<T, typename M::PixelRow>(c, radapt::detail::child_at<0>(p),
                                                          View<const T, typename M::PixelRow>{pixels, n}, y, none);
    NormBefore::template forward<T, Row>(c, child<"ln_pre">(p), y, x, none);
    const auto& blocks = radapt::detail::child_at<2>(p);
    if constexpr (whole_blocks > 0) {
      for (const auto& block : child<"transformer.resblocks">(blocks).block) {
        Block::template forward<T, Row>(c, block, x, y, none);
        std::swap(x, y);
      }
    }
    const auto& last = radapt::detail::child_at<Blocks::size - 1>(blocks);
    own_values(radapt::detail::child_at<0>(last), x, y);
    MlpLayer::template forward<T, Row>(c, radapt::detail::child_at<1>(last), x, y, none);
    NormAfter::template forward<T, Row>(c, child<"ln_post">(p), y, x, none);
    Projected::template forward<T, Row>(c, child<"proj">(p), x, View<T, Tokens<embed>>{features_.data(), rows}, none);
  }

  /// x += out_proj(v(ln_1(x))), where v are the last `width` rows of the fused projection.
  void own_values(const auto& attention, View<T, Row> x, View<T, Row> free) {
    Unsaved none;
    const View<T, Row> value{features_.data(), x.rows};  // not needed for features yet
    const auto& fused = child<"in_proj_">(child<"attn">(attention));
    const auto& out = child<"out_proj">(child<"attn">(child<"">(attention)));
    using Norm = LayerNorm<width, role::in<role::norm, role::tower::image>>;
    Norm::template forward<T, Row>(context_, child<"ln_1">(attention), x, free, none);
    run(context_, op::linear_forward<T>{.y = value,
                                        .x = free,
                                        .weight = {fused.weight.data + 2 * width * width, width, width},
                                        .bias = {fused.bias.data + 2 * width, width}});
    run(context_, op::linear_forward<T>{.y = free, .x = value, .weight = out.weight, .bias = out.bias});
    run(context_, op::add<T>{.y = x, .x = free});
  }

  ConstWeights<M, T> weights_;
  Index images_;
  Context<Backend> context_;
  Buffer<T> x_, y_, features_;
};

}  // namespace radapt::task
