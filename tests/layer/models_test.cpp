/// Gradients, plans and buffers of CLIP's blocks, of both towers and of the classifier, with adapters.
#include "layer/check.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/clip/clip.hpp"

using namespace radapt;
using radapt_test::passes;
using radapt_test::passes_as_first;

namespace {

using OnlyAdapter = tune::only<role::adapter>;
using OnlyNorm = tune::only<role::norm>;
using OnlyUnlocked = tune::only<role::unlocked>;

struct Small : arch::Defaults {
  static constexpr Index embed = 3, image = 4, patch = 2, context = 6, vocabulary = 7;
  static constexpr TowerSize vision{6, 2, 2, 8}, text{4, 2, 2, 6};
  static constexpr Activation activation = Activation::quick_gelu;
};
using Adapted = Clip<Small, RAdapter<low_rank<2>>, unlock_last<1, 1>>;

template <class Policy, bool Causal>
using Block = ResidualAttentionBlock<6, 2, 8, Activation::gelu, Causal,
                                     radapt::detail::BlockKind<Policy, role::tower::image, false>>;

/// A step of training in which some adapters are dropped.
constexpr Phase dropping{.training = true, .adapter_drop = 0.3, .seed = 5, .step = 2};

}  // namespace

TEST_CASE("residual attention block") { passes<Block<NoAdapter, false>, Tokens<6>, OnlyNorm>(); }
TEST_CASE("causal residual attention block with adapters") {
  passes<Block<RAdapter<>, true>, Tokens<6>, OnlyAdapter>({.phase = dropping});
}
TEST_CASE("image tower") {
  auto options = radapt_test::images(3, Adapted::image_tokens);
  options.phase = dropping;
  passes_as_first<Adapted::Image, Adapted::PixelRow, OnlyAdapter, OnlyUnlocked>(options);
}
TEST_CASE("text tower") {
  auto options = radapt_test::captions(Small::vocabulary);
  options.phase = dropping;
  passes_as_first<Adapted::Text, TokenRow, OnlyAdapter, OnlyUnlocked>(options);
}
TEST_CASE("classifier") {
  using Model = Classifier<Clip<Small>>;
  passes_as_first<Model, Model::PixelRow, tune::only<role::head>>(radapt_test::images(3, Adapted::image_tokens));
}
