/// Gradients, plans and buffers of every layer without layers inside.
#include "layer/check.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/attention.hpp"
#include "radapt/layer/layer_norm.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/normalize.hpp"
#include "radapt/layer/pool.hpp"

using namespace radapt;
using radapt_test::passes;
using radapt_test::passes_as_first;

TEST_CASE("linear") { passes<Linear<5, 3>, Tokens<5>, tune::only<role::backbone>>(); }
TEST_CASE("linear on samples, to as many classes as there are") { passes<Linear<4, dynamic>, Samples<4>>(); }
TEST_CASE("projection") { passes<Projection<5, 3>, Samples<5>, tune::only<role::projection>>(); }
TEST_CASE("layer norm") { passes<LayerNorm<6>, Tokens<6>, tune::only<role::norm>>(); }
TEST_CASE("quick_gelu") { passes<QuickGelu, Tokens<7>>(); }
TEST_CASE("gelu") { passes<Gelu, Tokens<7>>(); }
TEST_CASE("gelu_tanh") { passes<GeluTanh, Tokens<7>>(); }
TEST_CASE("relu") { passes<Relu, Tokens<7>>(); }
TEST_CASE("self-attention") { passes<SelfAttention<6, 2, false>, Tokens<18>>(); }
TEST_CASE("causal self-attention") { passes<SelfAttention<6, 3, true>, Tokens<18>>(); }
TEST_CASE("L2 normalisation") { passes<L2Normalize, Samples<5>>(); }
TEST_CASE("pooling of the first token") { passes<Pool<Pooling::first>, Tokens<3>>(); }
TEST_CASE("pooling of the last token") { passes<Pool<Pooling::last>, Tokens<3>>(); }
TEST_CASE("pooling where told") { passes<Pool<Pooling::last>, Tokens<3>>({.pooled = {2, 0, 1}}); }

TEST_CASE("patch embedding") { passes_as_first<PatchEmbedding<4, 2, 5>, Pixels<4>>(radapt_test::images(3, 5)); }
TEST_CASE("token embedding") { passes_as_first<TokenEmbedding<9, 6, 5>, TokenRow>(radapt_test::captions(9)); }
TEST_CASE("token ids need a vocabulary") {
  CHECK_THROWS_WITH_AS((test::check_first_layer<TokenEmbedding<9, 6, 5>, TokenRow>()),
                       doctest::Contains("CheckOptions::vocabulary"), error);
}
