/// As arena_peaks_test.cpp, for CLIP whose activations are computed again in backward, and what that saves.
#include <type_traits>

#include "plan/passes.hpp"
#include "radapt/adapter/adapt_former.hpp"
#include "radapt/adapter/lora.hpp"

using namespace radapt;
using namespace radapt_test;

namespace {

template <class Policy, class What, class Unlock = unlock_none>
using Again = Clip<Small, Recomputed<Policy, What>, Unlock>;
using AdaptedMlp = Again<RAdapter<>, recompute::mlp>;
using AdaptedBlock = Again<RAdapter<>, recompute::block>;
using PlainBlock = Again<NoAdapter, recompute::block>;

// A model without the wrapper has the types that it had, and the wrapper leaves a model its policy and its tensors.
using Kind = radapt::detail::BlockKind<RAdapter<>, role::tower::image, false>;
using Block = ResidualAttentionBlock<16, 2, 32, Activation::quick_gelu, false, Kind>;
template <class Model>
using blocks_of = typename Model::Image::template layer_at<2>::template layer_at<0>::block_layer;
static_assert(std::is_same_v<blocks_of<Adapted>, Block>);
static_assert(std::is_base_of_v<Recompute<Block>, blocks_of<AdaptedBlock>>);
static_assert(std::is_same_v<AdaptedMlp::policy, RAdapter<>> && std::is_same_v<PlainBlock::policy, NoAdapter>);
static_assert(count<AdaptedMlp>() == count<Adapted>());

// What the MLP branch keeps, times the number of blocks in front of the last one, is saved, and comes back for one
// block at a time. That of the last block runs on one row of each sequence and is kept. Without the branch's output the
// input of the next block cannot be written again: it is kept.
using Branch = MlpBranch<16, 32, Activation::quick_gelu, Kind>;
template <class Tune>
using BranchPlan = Plan<Branch, Tokens<16>, float, Tune, true>;
template <class Model, class Tune>
constexpr Index kept_of_images = ImagePlan<Model, Tune>::kept(images);
static_assert(kept_of_images<AdaptedMlp, OnlyAdapter> == kept_of_images<Adapted, OnlyAdapter> -
                                                             2 * BranchPlan<OnlyAdapter>::kept(images) +
                                                             bytes_of<float, Tokens<16>>(images));
static_assert(ImagePlan<AdaptedMlp, OnlyAdapter>::backward_kept(images) == BranchPlan<OnlyAdapter>::kept(images));
// The branch keeps what the activation reads (32), what the adapter reads (16), two statistics and a mask.
static_assert(BranchPlan<OnlyAdapter>::kept(images) ==
              bytes_of<float, Tokens<32>>(images) + bytes_of<float, Tokens<16>>(images) +
                  2 * bytes_of<float, Tokens<1>>(images) + bytes_of<std::uint8_t, Tokens<1>>(images));
// Whole blocks keep their inputs alone; behind them ln_post keeps its own and two statistics.
static_assert(kept_of_images<AdaptedBlock, OnlyAdapter> == 3 * bytes_of<float, Tokens<16>>(images) +
                                                               bytes_of<float, Samples<16>>(images) +
                                                               2 * bytes_of<float, Samples<1>>(images));
static_assert(ImagePlan<AdaptedBlock, OnlyAdapter>::backward_kept(images) ==
              Plan<Block, Tokens<16>, float, OnlyAdapter, true>::kept(images));
// Blocks that do not run backward keep nothing and run once.
static_assert(ImagePlan<AdaptedBlock, OnlyProjection>::backward_kept(images) == 0);
static_assert(kept_of_images<AdaptedBlock, OnlyProjection> == kept_of_images<Adapted, OnlyProjection>);

// An image in ViT-B/16 under R-Adapter: of ten widths a token and block, and two in the last one, six are left and an
// MLP, 73 of 112, or one and a block, 22 of 112; and sums of heads and masks.
constexpr Extent image{197, 1};
template <class Policy>
constexpr Index of_vit = ImagePlan<Clip<arch::ViT_B_16, Policy>, OnlyAdapter>::kept(image) +
                         ImagePlan<Clip<arch::ViT_B_16, Policy>, OnlyAdapter>::backward_kept(image);
static_assert(of_vit<Recomputed<RAdapter<>>> < 0.65 * of_vit<RAdapter<>>);
static_assert(of_vit<Recomputed<RAdapter<>, recompute::block>> < 0.21 * of_vit<RAdapter<>>);

}  // namespace

TEST_CASE("CLIP with recomputed MLPs takes what is planned") {
  run_both_towers<AdaptedMlp, tune::everything, OnlyAdapter, OnlyNorm, tune::nothing>();
  run_both_towers<Again<RAdapter<low_rank<2>>, recompute::mlp>, OnlyAdapter>();
  run_both_towers<Again<AdaptFormer<4>, recompute::mlp>, OnlyAdapter>();
  run_both_towers<Again<Lora<2, on<site::q, site::c_fc>>, recompute::mlp>, OnlyAdapter>();
}
TEST_CASE("CLIP with recomputed blocks takes what is planned") {
  run_both_towers<PlainBlock, tune::everything, OnlyNorm, OnlyProjection, ButEmbedding>();
  run_both_towers<AdaptedBlock, OnlyAdapter>();
  run_both_towers<Again<NoAdapter, recompute::block, unlock_last<1, 1>>, OnlyUnlocked>();
}
TEST_CASE("what is computed again is computed once more, and nothing else is") {
  const counting once = run_images<Adapted, OnlyAdapter>(), mlp = run_images<AdaptedMlp, OnlyAdapter>(),
                 block = run_images<AdaptedBlock, OnlyAdapter>();
  CHECK(mlp.count("linear_forward") == once.count("linear_forward"));
  CHECK(mlp.count("linear_activation_forward") == 3);
  const int of_projection = 1;                                      // its gradient
  const int before = of_projection + 3;                             // and out_proj again, in front of its adapter
  CHECK(once.count("backward linear_forward") == before + 1);       // and F, for the input of the second block
  CHECK(mlp.count("backward linear_forward") == before + 2);        // c_proj, which F's gradient reads
  CHECK(block.count("backward linear_forward") == before + 3 * 4);  // and in_proj, out_proj and F of the attention
  CHECK(mlp.count("backward linear_activation_forward") == 2);      // not in the last block
  CHECK(block.count("backward linear_activation_forward") == 3);
  CHECK(mlp.count("backward draw_mask") == 2);
  CHECK(block.count("backward draw_mask") == 6);
  CHECK(mlp.count("backward linear_backward_input") == once.count("backward linear_backward_input"));
  const counting plain = run_images<PlainBlock, tune::everything>();
  CHECK(plain.count("backward linear_forward") == of_projection + 3);
  CHECK(plain.count("backward linear_residual_forward") == 3);  // out_proj; no c_proj: nothing reads its output
  CHECK(plain.count("backward linear_activation_forward") == 3);
}
