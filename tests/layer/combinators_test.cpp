/// Gradients, plans and buffers of layers made of layers.
#include <vector>

#include "layer/check.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/layer/activated_linear.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/layer_norm.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/normalize.hpp"
#include "radapt/layer/pool.hpp"
#include "radapt/layer/repeat.hpp"
#include "radapt/layer/residual.hpp"
#include "radapt/layer/sequential.hpp"

using namespace radapt;
using radapt_test::passes;

namespace {

using OnlyHead = tune::only<role::head>;
using OnlyNorm = tune::only<role::norm>;

/// A chain whose layers read their input, their output, both or none in backward.
using Chain = Sequential<Named<"ln", LayerNorm<4>>, Named<"up", Linear<4, 6>>, QuickGelu,
                         Named<"down", Linear<6, 4, role::head>>, L2Normalize>;
/// Two of them, and rows for tokens that become rows for sequences on the way.
using Pooled = Sequential<Named<"body", Chain>, Pool<Pooling::last>, Named<"proj", Projection<4, 3>>>;

using Branch =
    Sequential<Named<"ln", LayerNorm<4>>, Named<"up", Linear<4, 6>>, Gelu, Named<"down", Linear<6, 4, role::head>>>;
struct Block : Residual<Branch> {};

}  // namespace

TEST_CASE("sequential") { passes<Chain, Tokens<4>, OnlyHead, OnlyNorm>(); }
TEST_CASE("sequential of sequential, pooled") { passes<Pooled, Tokens<4>, OnlyHead>(); }
TEST_CASE("a linear layer with its activation") {
  passes<ActivatedLinear<Linear<5, 7>, Activation::quick_gelu>, Tokens<5>, tune::only<role::backbone>>();
  passes<
      Sequential<Named<"up", ActivatedLinear<Linear<4, 6>, Activation::gelu>>, Named<"down", Linear<6, 4, role::head>>>,
      Tokens<4>, OnlyHead>();
}
TEST_CASE("a linear layer with its activation gives the bits of both one behind the other") {
  using Fused = ActivatedLinear<Linear<5, 7>, Activation::gelu>;
  using Apart = Sequential<Named<"", Linear<5, 7>>, Activate<Activation::gelu>>;
  constexpr Index rows = 3;
  Weights<Fused, double> weights;
  Weights<Apart, double> same;
  std::vector<double> x(rows * 5);
  for (Index i = 0; i < x.size(); ++i) { x[i] = 0.3 * static_cast<double>(i) - 2; }
  for (Index i = 0; i < weights.buffer().size(); ++i) {
    weights.buffer()[i] = same.buffer()[i] = 0.1 * static_cast<double>(i % 7) - 0.3;
  }
  const auto run = [&]<class L>(const Weights<L, double>& w) {
    std::vector<double> y(rows * 7);
    Context<reference> c;
    c.sequences = {.count = 1, .uniform_length = rows};
    c.arena.reserve(0, Plan<L, Tokens<5>, double, tune::nothing, false>::forward_scratch(c.sequences.extent()));
    Unsaved none;
    L::template forward<double, Tokens<5>>(c, w.tree(), View<const double, Tokens<5>>{x.data(), rows},
                                           View<double, Tokens<7>>{y.data(), rows}, none);
    return y;
  };
  CHECK(run(weights) == run(same));
}
TEST_CASE("residual") { passes<Block, Tokens<4>, OnlyHead, OnlyNorm>(); }
TEST_CASE("one block") { passes<Repeat<1, Block>, Tokens<4>>(); }
TEST_CASE("two blocks") { passes<Repeat<2, Block>, Tokens<4>>(); }
TEST_CASE("three blocks") { passes<Repeat<3, Block>, Tokens<4>, OnlyHead, OnlyNorm>(); }
TEST_CASE("blocks between other layers") {
  passes<Sequential<Named<"in", Linear<3, 4>>, Named<"block", Repeat<2, Block>>, Named<"out", Linear<4, 2>>>, Tokens<3>,
         OnlyHead>();
}
TEST_CASE("gradients between blocks lie where that of the output was") {
  passes<Sequential<Named<"in", Linear<3, 4>>, Named<"block", Repeat<4, Block>>, Named<"out", Linear<4, 2>>>, Tokens<3>,
         OnlyHead, OnlyNorm>();
  constexpr Extent e{6, 2};
  using L = Repeat<4, Block>;
  CHECK(L::backward_over_scratch<float, Tokens<4>, OnlyHead, true>(e) + bytes_of<float, Tokens<4>>(e) ==
        L::backward_scratch<float, Tokens<4>, OnlyHead, true>(e));
}
// A block that is a single linear layer reads nothing back when it is frozen: no edge between blocks is kept.
TEST_CASE("blocks that keep nothing") { passes<Repeat<3, Linear<4, 4, role::head>>, Tokens<4>, OnlyNorm, OnlyHead>(); }
