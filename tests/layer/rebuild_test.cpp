/// Inputs of blocks that are written again from what the block in front of them saved: the bits of keeping them, and
/// the bytes that are not kept.
#include "layer/check.hpp"
#include "layer/same_bits.hpp"
#include "plan/counting_backend.hpp"
#include "radapt/adapter/adapted_linear.hpp"
#include "radapt/adapter/beside.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/layer_norm.hpp"
#include "radapt/layer/recompute.hpp"
#include "radapt/layer/repeat.hpp"
#include "radapt/layer/residual.hpp"

using namespace radapt;
using radapt_test::dropping;
using radapt_test::passes;
using radapt_test::same_bits;

namespace {

using OnlyAdapter = tune::only<role::adapter>;
using OnlyNorm = tune::only<role::norm>;
using X = Tokens<4>;

struct First : Residual<Sequential<Named<"ln", LayerNorm<4>>, Named<"mix", Linear<4, 4>>>> {};
template <class Adapter>
struct Second : Residual<Sequential<Named<"ln", LayerNorm<4>>, Named<"up", Linear<4, 6>>, Gelu,
                                    Named<"down", Linear<6, 4>>, Named<"adapter", Adapter>>> {};
template <class Adapter>
struct Block : Sequential<First, Second<Adapter>> {};
template <class Adapter>
struct KeepingBlock : Block<Adapter> {
  template <class, class, bool>
  static constexpr Rebuild rebuilds = Rebuild::impossible;
};
template <Index N, class B>
struct Tower : Sequential<Named<"in", Linear<3, 4>>, Named<"blocks", Repeat<N, B>>, Named<"out", Linear<4, 2>>> {};

template <class L, class In, class Tune, bool Dx>
constexpr Rebuild rebuilds = Plan<L, In, float, Tune, Dx>::rebuilds;
using Full = FullAdapter<4>;
using LowRank = LowRankAdapter<4, 2>;

// An adapter that is trained has its input and its mask; a residual branch needs the stream as well, which a block of
// two branches keeps; a block that is one branch cannot give it.
static_assert(rebuilds<Full, X, OnlyAdapter, true> == Rebuild::from_saved_and_x);
static_assert(rebuilds<Full, X, OnlyNorm, true> == Rebuild::impossible);
static_assert(rebuilds<Full, X, OnlyAdapter, false> == Rebuild::from_saved_and_x);
static_assert(rebuilds<Second<Full>, X, OnlyAdapter, true> == Rebuild::from_saved_and_x);
static_assert(rebuilds<Block<Full>, X, OnlyAdapter, true> == Rebuild::from_saved);
static_assert(rebuilds<Block<LowRank>, X, tune::everything, true> == Rebuild::from_saved);
static_assert(rebuilds<Block<Full>, X, OnlyNorm, true> == Rebuild::impossible);
static_assert(rebuilds<Block<Full>, X, tune::nothing, false> == Rebuild::impossible);
static_assert(rebuilds<First, X, tune::everything, true> == Rebuild::impossible);
static_assert(rebuilds<Recompute<Block<Full>>, X, OnlyAdapter, true> == Rebuild::impossible);
// One layer that keeps no output in front of its adapter has nothing to write from.
using Folded = AdaptedLinear<Named<"linear", Linear<4, 4>>, Named<"adapter", Full>>;
static_assert(rebuilds<Folded, X, OnlyAdapter, true> == Rebuild::impossible);
static_assert(rebuilds<Residual<Sequential<Named<"ln", LayerNorm<4>>, Named<"", Folded>>>, X, OnlyAdapter, true> ==
              Rebuild::impossible);

constexpr Extent rows{11, 3};
template <Index N, class B, class Tune>
constexpr Index kept = Plan<Repeat<N, B>, X, float, Tune, true>::kept(rows);
static_assert(kept<4, Block<Full>, OnlyAdapter> ==
              kept<4, KeepingBlock<Full>, OnlyAdapter> - 3 * bytes_of<float, X>(rows));
static_assert(kept<4, Block<Full>, OnlyNorm> == kept<4, KeepingBlock<Full>, OnlyNorm>);

}  // namespace

TEST_CASE("blocks whose inputs are written again have right gradients and take what is planned") {
  passes<Repeat<2, Block<Full>>, X, OnlyAdapter, OnlyNorm>({.phase = dropping()});
  passes<Tower<2, Block<LowRank>>, Tokens<3>, OnlyAdapter>({.phase = dropping()});
  passes<Tower<3, Block<Full>>, Tokens<3>, OnlyAdapter>({.phase = dropping()});
  passes<Tower<4, Block<LowRank>>, Tokens<3>, OnlyAdapter, OnlyNorm>({.phase = dropping()});
}

TEST_CASE("writing the inputs of blocks again gives the bits of keeping them") {
  same_bits<Tower<2, Block<Full>>, Tower<2, KeepingBlock<Full>>, Tokens<3>, OnlyAdapter>();
  same_bits<Tower<4, Block<Full>>, Tower<4, KeepingBlock<Full>>, Tokens<3>, OnlyAdapter>();
  same_bits<Tower<4, Block<Full>>, Tower<4, KeepingBlock<Full>>, Tokens<3>, tune::everything>();
  same_bits<Tower<5, Block<LowRank>>, Tower<5, KeepingBlock<LowRank>>, Tokens<3>, OnlyAdapter>();
}

TEST_CASE("an input is written again once for each block but the first") {
  const auto backward_of = [&]<class B>() {
    using L = Repeat<4, B>;
    using P = Plan<L, X, float, OnlyAdapter, true>;
    Context<radapt_test::counting> c;
    c.sequences = {.count = 2, .uniform_length = 3};
    c.phase = dropping();
    const Extent e = c.sequences.extent();
    const Weights<L> weights;
    std::vector<float> x(24), dw;
    Gradients<L, OnlyAdapter, float> g;
    dw.resize(bind<float>(g, nullptr));
    bind(g, dw.data());
    c.arena.reserve(P::kept(e), std::max(P::forward_scratch(e), P::backward_scratch(e)));
    typename P::Saved saved;
    const View<const float, X> in{x.data(), 6};
    L::template forward<float, X>(c, weights.tree(), in, View<float, X>{x.data(), 6}, saved);
    c.device = {};
    L::template backward<float, X>(c, weights.tree(), g, in, Dropped{}, saved, in, View<float, X>{x.data(), 6});
    return c.device;
  };
  const auto again = backward_of.operator()<Block<Full>>(), keeping = backward_of.operator()<KeepingBlock<Full>>();
  CHECK(again.count("linear_forward") == keeping.count("linear_forward") + 3);
  CHECK(again.count("draw_mask") == keeping.count("draw_mask"));
}
