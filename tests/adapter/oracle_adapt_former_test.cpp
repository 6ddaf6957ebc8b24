/// AdaptFormer in the second half of a block against tests/oracle: forward and every gradient.
#include "adapter/oracle_passes.hpp"
#include "cases/reference_kernels.hpp"
#include "radapt/adapter/adapt_former.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/block.hpp"

using namespace radapt_test;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

template <Index Width, Index Hidden, Index Bottleneck, radapt::Activation Act>
using Block = radapt::Residual<radapt::MlpBranch<
    Width, Hidden, Act, radapt::detail::BlockKind<radapt::AdaptFormer<Bottleneck>, radapt::role::tower::image, false>>>;

template <class S, class Layer, Index Width>
void adapt_former_of(OracleCase& c) {
  radapt::Weights<Layer, typename S::T> weights;
  c.read_into(weights.tree());
  check_passes<S, Layer, radapt::Tokens<Width>>(c, weights.tree());
}
template <class S>
void adapt_former(OracleCase& c) {
  const std::string activation = c.word("activation");
  if (activation == "quick_gelu") {
    adapt_former_of<S, Block<8, 16, 3, radapt::Activation::quick_gelu>, 8>(c);
  } else {
    REQUIRE(activation == "gelu");
    adapt_former_of<S, Block<5, 7, 2, radapt::Activation::gelu>, 5>(c);
  }
}

template <class S>
void walk() {
  walk_oracle("adapt_former.json", {{"adapt_former", 4, adapt_former<S>}});
}

}  // namespace

TEST_CASE("AdaptFormer is that of the oracle, in double on the reference") { walk<InDouble>(); }
TEST_CASE("AdaptFormer is that of the oracle, in f32 on oneDNN") { walk<InFloat>(); }
