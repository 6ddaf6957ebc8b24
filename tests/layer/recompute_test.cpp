/// Activations that are computed again: gradients, plans and buffers, and the bits of the layer without it.
#include <vector>

#include "layer/check.hpp"
#include "layer/same_bits.hpp"
#include "plan/counting_backend.hpp"
#include "radapt/adapter/adapt_former.hpp"
#include "radapt/adapter/beside.hpp"
#include "radapt/adapter/lora.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/adapter/rep_adapter.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/attention.hpp"
#include "radapt/layer/dropout.hpp"
#include "radapt/layer/layer_norm.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/normalize.hpp"
#include "radapt/layer/recompute.hpp"
#include "radapt/layer/repeat.hpp"
#include "radapt/layer/residual.hpp"
#include "radapt/layer/sequential.hpp"

using namespace radapt;
using radapt_test::passes;
using radapt_test::same_bits;

namespace {

using OnlyHead = tune::only<role::head>;
using OnlyNorm = tune::only<role::norm>;
using OnlyAdapter = tune::only<role::adapter>;
using X = Tokens<4>;

/// An MLP branch, and what may stand behind and beside it.
struct Mlp : Sequential<Named<"up", Linear<4, 6>>, Gelu, Named<"down", Linear<6, 4, role::head>>> {};
struct Branch : Sequential<Named<"ln", LayerNorm<4>>, Named<"mlp", Mlp>> {};
struct Adapted : Sequential<Named<"ln", LayerNorm<4>>, Named<"mlp", Mlp>, Named<"adapter", FullAdapter<4>>> {};
struct AdaptedInside
    : Sequential<Named<"ln", LayerNorm<4>>, Named<"adapter", LowRankAdapter<4, 2>>, Dropout, Named<"mlp", Mlp>> {};
struct BesideMlp : Beside<Adapted, Named<"branch", AdaptFormerBranch<4, 3, role::adapter, role::adapter_constant>>> {};
struct Reparameterised
    : Sequential<Named<"up", RepAdapterLinear<4, 6, 4, 2, role::backbone, role::adapter, role::adapter_constant>>, Gelu,
                 Named<"down", Linear<6, 4, role::head>>> {};
struct Attention : Sequential<Named<"in", Linear<4, 12>>, SelfAttention<4, 2, true>, Named<"out", Linear<4, 4>>> {};
/// Whose output is read by its own backward.
struct Ended : Sequential<Named<"ln", LayerNorm<4>>, Named<"up", Linear<4, 5>>, L2Normalize> {};

/// A block, all of it or its second branch again, and that in a chain of blocks with other layers around.
struct Block : Sequential<Residual<Attention>, Residual<Adapted>> {};
struct BlockOfAgain : Sequential<Residual<Attention>, Residual<Recompute<Adapted>>> {};
struct BlockAgain : Recompute<Block> {};
struct AgainInside : Recompute<BlockOfAgain> {};
template <class B>
struct Tower : Sequential<Named<"in", Linear<3, 4>>, Named<"blocks", Repeat<3, B>>, Named<"out", Linear<4, 2>>> {};

/// What the second pass forward launches when the gradient of the input is wanted.
template <class Body, class Tune>
radapt_test::counting run_again() {
  Context<radapt_test::counting> c;
  c.sequences = {.count = 2, .uniform_length = 3};
  using P = Plan<Body, X, float, Tune, true>;
  const Extent e = c.sequences.extent();
  const Weights<Body> weights;
  const std::vector<float> x(6 * 4);
  c.arena.reserve(P::kept(e), detail::run_again_scratch<Body, X, float, Tune, true>(e));
  typename P::Saved again;
  detail::run_again<Body, float, X>(c, weights.tree(), View<const float, X>{x.data(), 6}, again);
  CHECK(c.arena.kept_peak() == P::kept(e));
  CHECK(c.arena.scratch_peak() == detail::run_again_scratch<Body, X, float, Tune, true>(e));
  return c.device;
}

constexpr Extent rows{11, 3};
template <class L, class Tune, bool Dx>
constexpr Index kept = Plan<L, X, float, Tune, Dx>::kept(rows);
template <class L, class Tune, bool Dx>
constexpr Index kept_in_backward = Plan<L, X, float, Tune, Dx>::backward_kept(rows);

// What the body keeps moves to the way back, and nothing is left to keep but the input.
static_assert(kept<Recompute<Branch>, tune::everything, true> == 0);
static_assert(kept_in_backward<Recompute<Branch>, tune::everything, true> == kept<Branch, tune::everything, true>);
static_assert(Plan<Recompute<Branch>, X, float, tune::everything, true>::reads_x);
static_assert(!Plan<Recompute<Ended>, X, float, tune::everything, true>::reads_y);
static_assert(kept<Branch, tune::everything, true> > 0 && kept_in_backward<Branch, tune::everything, true> == 0);
// A block keeps less by what the branch keeps, and a body without backward keeps nothing and is not run again.
static_assert(kept<BlockOfAgain, OnlyAdapter, true> ==
              kept<Block, OnlyAdapter, true> - kept<Adapted, OnlyAdapter, true>);
static_assert(kept<Recompute<Branch>, tune::nothing, false> == 0);
static_assert(kept_in_backward<Recompute<Branch>, tune::nothing, false> == 0);
// Of several blocks one is computed again at a time; between them only their inputs are kept.
static_assert(kept<Repeat<3, BlockAgain>, tune::everything, true> == 2 * bytes_of<float, X>(rows));
static_assert(kept_in_backward<Repeat<3, BlockAgain>, tune::everything, true> == kept<Block, tune::everything, true>);
static_assert(kept_in_backward<AgainInside, tune::everything, true> ==
              kept<BlockOfAgain, tune::everything, true> + kept<Adapted, tune::everything, true>);

}  // namespace

TEST_CASE("a layer that is computed again has right gradients and takes what is planned") {
  passes<Recompute<Branch>, X, OnlyHead, OnlyNorm>();
  passes<Recompute<Attention>, X>();
  passes<Recompute<Ended>, X, OnlyNorm>();
  passes<Recompute<Linear<4, 4, role::head>>, X, OnlyHead, OnlyNorm>();
  passes<Recompute<Recompute<Branch>>, X, OnlyNorm>();
  passes<BlockOfAgain, X, OnlyAdapter, OnlyHead>();
  passes<BlockAgain, X, OnlyAdapter, OnlyNorm>();
  passes<AgainInside, X, OnlyAdapter>();
  passes<Tower<BlockAgain>, Tokens<3>, OnlyAdapter>();
}
TEST_CASE("adapters that are computed again have right gradients, whatever is dropped") {
  for (const Phase& phase : {Phase{}, Phase{.training = true, .adapter_drop = 0.4, .dropout = 0.3, .seed = 5}}) {
    passes<Recompute<Adapted>, X, OnlyAdapter>({.phase = phase});
    passes<Recompute<AdaptedInside>, X, OnlyAdapter, OnlyHead>({.phase = phase});
    passes<Recompute<BesideMlp>, X, OnlyAdapter>({.phase = phase});
    passes<Recompute<Reparameterised>, X, OnlyAdapter>({.phase = phase});
  }
}
TEST_CASE("computing again gives the bits of keeping") {
  same_bits<Branch, Recompute<Branch>, X, tune::everything>();
  same_bits<Adapted, Recompute<Adapted>, X, OnlyAdapter>();
  same_bits<AdaptedInside, Recompute<AdaptedInside>, X, OnlyAdapter>();
  same_bits<BesideMlp, Recompute<BesideMlp>, X, OnlyAdapter>();
  same_bits<Reparameterised, Recompute<Reparameterised>, X, OnlyAdapter>();
  same_bits<Ended, Recompute<Ended>, X, tune::everything>();
}
TEST_CASE("blocks that are computed again give the bits of blocks that keep") {
  same_bits<Tower<Block>, Tower<BlockOfAgain>, Tokens<3>, tune::everything>();
  same_bits<Tower<Block>, Tower<BlockAgain>, Tokens<3>, tune::everything>();
  same_bits<Tower<Block>, Tower<BlockAgain>, Tokens<3>, OnlyAdapter>();
  same_bits<Tower<Block>, Tower<AgainInside>, Tokens<3>, OnlyAdapter>();
}
TEST_CASE("the second pass leaves out what only the output needs") {
  const auto everything = run_again<Branch, tune::everything>();
  CHECK(everything.count("layer_norm_forward") == 1);
  CHECK(everything.count("linear_forward") == 1);  // up; the output of down is not read
  CHECK(everything.count("activation_forward") == 1);
  const auto norm = run_again<Branch, OnlyNorm>();
  CHECK(norm.count("linear_forward") == 1);
  CHECK(norm.count("activation_forward") == 0);  // the frozen layer behind it reads nothing back
  const auto adapted = run_again<Adapted, OnlyAdapter>();
  CHECK(adapted.count("linear_forward") == 2);  // the gradient of F reads what down puts out
  CHECK(adapted.count("scaled_add") == 0);
  const auto block = run_again<Block, tune::everything>();
  CHECK(block.count("linear_residual_forward") == 1);  // the second sum is the output
  CHECK(block.count("add") == 0);
  const auto of_again = run_again<BlockOfAgain, tune::everything>();
  CHECK(of_again.count("linear_forward") == 1);  // in: the branch only counts
  CHECK(of_again.count("linear_residual_forward") == 1);
  CHECK(run_again<Linear<4, 4>, tune::everything>().launched.empty());
}
