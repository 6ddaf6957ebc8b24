/// Gradients, plans and buffers of layers made of layers.
#include "layer/check.hpp"
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
TEST_CASE("residual") { passes<Block, Tokens<4>, OnlyHead, OnlyNorm>(); }
TEST_CASE("one block") { passes<Repeat<1, Block>, Tokens<4>>(); }
TEST_CASE("two blocks") { passes<Repeat<2, Block>, Tokens<4>>(); }
TEST_CASE("three blocks") { passes<Repeat<3, Block>, Tokens<4>, OnlyHead, OnlyNorm>(); }
TEST_CASE("blocks between other layers") {
  passes<Sequential<Named<"in", Linear<3, 4>>, Named<"block", Repeat<2, Block>>, Named<"out", Linear<4, 2>>>, Tokens<3>,
         OnlyHead>();
}
// A block that is a single linear layer reads nothing back when it is frozen: no edge between blocks is kept.
TEST_CASE("blocks that keep nothing") { passes<Repeat<3, Linear<4, 4, role::head>>, Tokens<4>, OnlyNorm, OnlyHead>(); }
