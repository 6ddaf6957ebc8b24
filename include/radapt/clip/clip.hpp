#pragma once
/// CLIP as a type: two towers and a logit scale (clip_compat.md 1.2). An empty description; weights live in Weights.
#include "radapt/clip/arch.hpp"
#include "radapt/clip/block.hpp"
#include "radapt/layer/embedding.hpp"

namespace radapt {

/// How many of the last blocks of each tower answer to role::unlocked, for policies such as
/// `tune::only<role::unlocked>`.
template <Index Image, Index Text = 0>
struct unlock_last {
  static constexpr Index image = Image, text = Text;
};
using unlock_none = unlock_last<0, 0>;

/// pixels (N, 3 S S) -> features (N, embed), not normalised.
template <class Arch, class Policy = NoAdapter, class Unlock = unlock_none>
struct ImageTower
    : Sequential<
          Named<"", PatchEmbedding<Arch::image, Arch::patch, Arch::vision.width,
                                   role::in<role::embedding, role::tower::image>>>,
          Named<"ln_pre", LayerNorm<Arch::vision.width, role::in<role::norm, role::tower::image>>>,
          Named<"",
                TransformerBlocks<Arch::vision.width, Arch::vision.heads, Arch::vision.layers, Arch::vision.hidden,
                                  Arch::activation, false, Policy, role::tower::image, Pooling::first, Unlock::image>>,
          Named<"ln_post", LayerNorm<Arch::vision.width, role::in<role::norm, role::tower::image>>>,
          Named<"proj", Projection<Arch::vision.width, Arch::embed, role::in<role::projection, role::tower::image>>>> {
};

/// ids (tokens) -> features (sequences, embed), not normalised. The last block pools, in front of ln_final, which works
/// row by row: the same numbers, and one row of work for each caption.
template <class Arch, class Policy = NoAdapter, class Unlock = unlock_none>
struct TextTower
    : Sequential<
          Named<"", TokenEmbedding<Arch::vocabulary, Arch::context, Arch::text.width,
                                   role::in<role::embedding, role::tower::text>>>,
          Named<"", TransformerBlocks<Arch::text.width, Arch::text.heads, Arch::text.layers, Arch::text.hidden,
                                      Arch::activation, true, Policy, role::tower::text, Pooling::last, Unlock::text>>,
          Named<"ln_final", LayerNorm<Arch::text.width, role::in<role::norm, role::tower::text>>>,
          Named<"text_projection",
                Projection<Arch::text.width, Arch::embed, role::in<role::projection, role::tower::text>>>> {};

/// A CLIP of architecture Arch with the adapters that Policy puts into its blocks. `policy` says which adapters it has:
/// what a Recomputed is around.
template <class Arch, class Policy = NoAdapter, class Unlock = unlock_none>
struct Clip {
  static_assert(
      architecture<Arch>,
      "radapt: a Clip is made of an architecture; to fix: name one such as arch::ViT_B_32, or a struct of your "
      "own as arch::Defaults shows, in Clip<...> and in recipe::...<...>, and not a whole model.");
  using arch = Arch;
  using policy = typename detail::bare_policy<Policy>::type;
  using unlocked = Unlock;
  using Image = ImageTower<Arch, Policy, Unlock>;
  using Text = TextTower<Arch, Policy, Unlock>;
  using PixelRow = Pixels<Arch::image>;
  using FeatureRow = Samples<Arch::embed>;
  static constexpr Index image_tokens = (Arch::image / Arch::patch) * (Arch::image / Arch::patch) + 1;

  /// The names of the tensors are open_clip's.
  template <template <class, class> class Slot>
  struct Params {
    typename Image::template Params<Slot> image;
    typename Text::template Params<Slot> text;
    Slot<Shape<>, role::logit_scale> logit_scale;  // ()
    static constexpr void each(auto&& f, auto&... t) {
      f("visual", t.image...);
      f("", t.text...);
      f("logit_scale", t.logit_scale...);
    }
  };

  /// Calls `f.template operator()<L>(path, parameters)` for every layer that is no combinator, in order.
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    Image::each_layer(f, join(path, "visual"), p.image...);
    Text::each_layer(f, path, p.text...);
  }

  /// First values of what the policy added; everything else comes from a checkpoint or from initialise_clip.
  static void initialise(auto& p, Random& random) {
    Image::initialise(p.image, random);
    Text::initialise(p.text, random);
  }

  /// How the images of a batch form sequences.
  static constexpr Sequences image_sequences(Index images) { return {.count = images, .uniform_length = image_tokens}; }
};

}  // namespace radapt
