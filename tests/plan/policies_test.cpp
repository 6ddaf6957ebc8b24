/// What a tuning policy keeps, drops and runs backward in a small CLIP, told by the compiler: most of this file is
/// static_asserts.
#include <doctest/doctest.h>

#include <type_traits>

#include "plan/small_clip.hpp"
#include "radapt/core/weights.hpp"

using namespace radapt;
using namespace radapt_test;

namespace {

// Layers of the image tower, by position; edge i is the input of layer i.
enum : Index { patch_embedding, ln_pre, image_blocks, ln_post, image_proj };
template <class Model, class Tune>
using ImageChain = typename Model::Image::template Chain<typename Model::PixelRow, float, Tune, false>::layers;
// And of the text tower.
enum : Index { token_embedding, text_blocks, ln_final, text_projection };
template <class Model, class Tune>
using TextChain = typename Model::Text::template Chain<TokenRow, float, Tune, false>::layers;

// One block of the image tower and its attention branch: ln_1 and attn; with full adapters attn without out_proj, and
// out_proj with its adapter.
template <class Policy>
using Kind = radapt::detail::BlockKind<Policy, role::tower::image, false>;
template <class Policy, class Tune, bool Dx>
using Attention =
    typename AttentionBranch<16, 2, false, Kind<Policy>>::template Chain<Tokens<16>, float, Tune, Dx>::layers;
template <class Policy, class Tune, bool Dx>
using MlpChain =
    typename Mlp<16, 32, Activation::quick_gelu, Kind<Policy>>::template Chain<Tokens<16>, float, Tune, Dx>::layers;

// --- Everything: all layers run backward, every edge that a layer reads is kept.
static_assert(ImagePlan<Plain, tune::everything>::runs_backward && TextPlan<Plain, tune::everything>::runs_backward);
static_assert(ImageChain<Plain, tune::everything>::runs_backward[patch_embedding]);
static_assert(ImageChain<Plain, tune::everything>::wants_dx(ln_pre));
static_assert(!ImageChain<Plain, tune::everything>::wants_dx(patch_embedding));  // pixels have none
static_assert(ImagePlan<Plain, tune::everything>::reads_x);                      // the convolution's weight needs them
static_assert(ImageChain<Plain, tune::everything>::keeps(image_blocks));
static_assert(ImageChain<Plain, tune::everything>::keeps(image_proj));

// --- Nothing: nothing runs, nothing is kept.
static_assert(!ImagePlan<Adapted, tune::nothing>::runs_backward && !TextPlan<Adapted, tune::nothing>::runs_backward);
static_assert(kept<Adapted, tune::nothing>() == 0);
static_assert(std::is_same_v<ImagePlan<Adapted, tune::nothing>::Saved, Unsaved>);
static_assert(ImagePlan<Adapted, tune::nothing>::backward_scratch(images) == 0);

// --- Only adapters: backward ends at the first adapter, and linear layers keep no input.
static_assert(!ImageChain<Adapted, OnlyAdapter>::runs_backward[patch_embedding]);
static_assert(!ImageChain<Adapted, OnlyAdapter>::runs_backward[ln_pre]);
static_assert(ImageChain<Adapted, OnlyAdapter>::runs_backward[image_blocks]);
static_assert(!ImageChain<Adapted, OnlyAdapter>::wants_dx(image_blocks));
static_assert(!ImagePlan<Adapted, OnlyAdapter>::reads_x);
static_assert(!ImageChain<Adapted, OnlyAdapter>::keeps(image_proj));  // frozen: its input is not needed
// In the first block nothing lies below the adapter: norm and attention do not run backward at all.
static_assert(!Attention<RAdapter<>, OnlyAdapter, false>::runs_backward[0]);
static_assert(!Attention<RAdapter<>, OnlyAdapter, false>::runs_backward[1]);
static_assert(Attention<RAdapter<>, OnlyAdapter, false>::runs_backward[2]);
static_assert(Attention<RAdapter<>, OnlyAdapter, false>::keeps(2));  // out_proj's input, and nothing behind out_proj
// In the others the gradient passes through.
static_assert(Attention<RAdapter<>, OnlyAdapter, true>::runs_backward[0]);
static_assert(!Attention<RAdapter<>, OnlyAdapter, true>::keeps(1));        // in_proj is frozen: it needs no input
static_assert(!MlpChain<RAdapter<>, OnlyAdapter, true>::keeps(1));         // nor does c_proj
static_assert(MlpChain<RAdapter<>, OnlyAdapter, true>::runs_backward[0]);  // c_fc keeps what its activation reads
static_assert(MlpChain<RAdapter<>, tune::everything, true>::keeps(1));
// A model without adapters has nothing for this policy.
static_assert(!trains_any<Plain, OnlyAdapter> && !ImagePlan<Plain, OnlyAdapter>::runs_backward);

// --- Only norms: no linear layer reads its input.
static_assert(ImageChain<Plain, OnlyNorm>::runs_backward[ln_pre] && ImageChain<Plain, OnlyNorm>::keeps(ln_pre));
static_assert(!ImageChain<Plain, OnlyNorm>::runs_backward[patch_embedding]);
static_assert(!ImageChain<Plain, OnlyNorm>::keeps(image_proj));
static_assert(!MlpChain<NoAdapter, OnlyNorm, true>::keeps(2));

// --- Only the image tower: the text tower is inference.
static_assert(ImagePlan<Plain, OnlyImage>::kept(images) == ImagePlan<Plain, tune::everything>::kept(images));
static_assert(!TextPlan<Plain, OnlyImage>::runs_backward && TextPlan<Plain, OnlyImage>::kept(captions) == 0);

// --- Only the last block: what lies before it is inference, and its input is kept.
using Blocks = Unlocked::Image::layer_at<image_blocks>;
using BlockChain = Blocks::Chain<Tokens<16>, float, OnlyUnlocked, false>::layers;
static_assert(!BlockChain::runs_backward[0] && BlockChain::runs_backward[1] && BlockChain::keeps(1));
static_assert(!ImageChain<Unlocked, OnlyUnlocked>::runs_backward[ln_pre]);
static_assert(ImageChain<Unlocked, OnlyUnlocked>::wants_dx(ln_post));
static_assert(!trains_any<Plain, OnlyUnlocked>);
// However many locked blocks there are, what is kept is the same.
struct Deep : Small {
  static constexpr TowerSize vision{16, 2, 12, 32};
};
using DeepUnlocked = Clip<Deep, NoAdapter, unlock_last<1, 1>>;
static_assert(ImagePlan<DeepUnlocked, OnlyUnlocked>::kept(images) == ImagePlan<Unlocked, OnlyUnlocked>::kept(images));
static_assert(ImagePlan<DeepUnlocked, tune::everything>::kept(images) >
              ImagePlan<Unlocked, tune::everything>::kept(images));

// --- Only the projections: one edge of one row for each sequence.
static_assert(ImagePlan<Plain, OnlyProjection>::kept(images) == bytes_of<float, Samples<16>>(images));
static_assert(TextPlan<Plain, OnlyProjection>::kept(captions) == bytes_of<float, Samples<12>>(captions));

// --- Everything but the embeddings: nothing wants a gradient of what they put out.
static_assert(!TextChain<Plain, ButEmbedding>::runs_backward[token_embedding]);
static_assert(!TextChain<Plain, ButEmbedding>::wants_dx(text_blocks) &&
              TextChain<Plain, ButEmbedding>::keeps(text_blocks));

// --- The order of the bytes: what trains less keeps less.
static_assert(0 < kept<Plain, OnlyNorm>() && kept<Plain, OnlyNorm>() < kept<Plain, tune::everything>());
static_assert(0 < kept<Adapted, OnlyAdapter>() && kept<Adapted, OnlyAdapter>() < kept<Adapted, tune::everything>());
static_assert(kept<Adapted, OnlyAdapter>() < kept<Plain, tune::everything>());  // R-Adapter against full fine-tuning
static_assert(kept<Unlocked, OnlyUnlocked>() < kept<Unlocked, tune::everything>() / 2);
static_assert(kept<Plain, tune::everything>() < kept<Adapted, tune::everything>());
static_assert(kept<Clip<Small, RAdapter<low_rank<2>>>, OnlyAdapter>() > kept<Adapted, OnlyAdapter>());  // inner values
// An image in ViT-B/16: R-Adapter keeps 61 % of what full fine-tuning keeps, norm tuning 63 %.
constexpr Extent image{197, 1};
constexpr Index all_of_it = ImagePlan<Clip<arch::ViT_B_16>, tune::everything>::kept(image);
static_assert(ImagePlan<Clip<arch::ViT_B_16, RAdapter<>>, OnlyAdapter>::kept(image) < 0.62 * all_of_it);
static_assert(ImagePlan<Clip<arch::ViT_B_16>, OnlyNorm>::kept(image) < 0.64 * all_of_it);

// --- Frozen leaves take no memory.
static_assert(std::is_empty_v<Frozen> && !wanted<Frozen>);
static_assert(count<Plain, tune::nothing>() == 0 &&
              count<Adapted, OnlyAdapter>() == 6 * (16 * 16 + 1) + 6 * (12 * 12 + 1));

/// Elements of the flat buffer of gradients under a policy.
template <class Model, class Tune>
Index gradient_elements() {
  Gradients<Model, Tune, float> g;
  return bind<float>(g, nullptr);
}

}  // namespace

TEST_CASE("frozen leaves take no memory") {
  CHECK(gradient_elements<Adapted, tune::nothing>() == 0);
  CHECK(gradient_elements<Plain, OnlyAdapter>() == 0);
  // Scales are padded to 16 floats; 256 and 144 are multiples already.
  CHECK(gradient_elements<Adapted, OnlyAdapter>() == 6 * (256 + 16) + 6 * (144 + 16));
  CHECK(gradient_elements<Unlocked, OnlyUnlocked>() < gradient_elements<Unlocked, tune::everything>() / 2);
  CHECK(gradient_elements<Plain, tune::everything>() == Weights<Plain>().buffer().size());
}

TEST_CASE("captions that are shorter than planned take no more than planned") {
  // Adapters behind out_proj compute in place where there are few rows, and fold where there are many.
  using Model = Clip<arch::ViT_B_32, RAdapter<>>;
  constexpr Index sequences = 16, longest = Model::arch::context;
  using Training = TextPlan<Model, OnlyAdapter>;
  using Inference = Plan<Model::Text, TokenRow, float, tune::nothing, false>;
  const Extent most{sequences * longest, sequences};
  Index wrong = 0;
  for (Index tokens = sequences; tokens <= most.tokens; ++tokens) {
    const Extent e{tokens, sequences};
    wrong += Training::kept(e) > Training::kept(most) ? 1U : 0U;
    wrong += Training::forward_scratch(e) > Training::forward_scratch(most) ? 1U : 0U;
    wrong += Training::backward_scratch(e) > Training::backward_scratch(most) ? 1U : 0U;
    wrong += Inference::forward_scratch(e) > Inference::forward_scratch(most) ? 1U : 0U;
  }
  CHECK(wrong == 0);
}
