/// Every concept: what the library has fulfils it, and a class that lacks one member does not.
///
/// All of it is decided by the compiler; the file compiles or it does not.
#include <doctest/doctest.h>

#include <algorithm>

#include "radapt/backend/reference/all.hpp"
#include "radapt/radapt.hpp"

namespace {
using namespace radapt;

// Elements, rows, policies, backends.
static_assert(element<float> && element<double> && element<bf16> && element<f16>);
static_assert(!element<int> && !element<const float>);

static_assert(row_type<Tokens<8>> && row_type<Samples<8>> && row_type<Samples<dynamic>> && row_type<Pixels<32>>);
static_assert(row_type<TokenRow> && !row_type<Shape<8>> && !row_type<int>);

struct OnlyLayerNorms {
  template <class R>
  static constexpr bool trains = role::answers_to<R, role::norm>;
};
static_assert(tuning_policy<tune::everything> && tuning_policy<tune::nothing> && tuning_policy<OnlyLayerNorms>);
static_assert(tuning_policy<tune::only<role::adapter>> && tuning_policy<tune::except<role::norm, role::tower::text>>);
static_assert(tuning_policy<tune::both<tune::only<role::unlocked>, OnlyLayerNorms>>);
static_assert(!tuning_policy<role::adapter> && !tuning_policy<NoAdapter>);

struct Unnamed {};
struct Numbered {
  [[maybe_unused]] static constexpr auto name = "numbered";
  explicit Numbered(int) {}
};
static_assert(backend<reference> && !backend<Unnamed> && !backend<Numbered> && !backend<float>);
static_assert(has_kernel<op::add<double>, reference> && !has_kernel<op::add<double>, Numbered>);

// Layers, alone and put together.
using Row = Tokens<8>;
template <class L, class X = Row>
consteval bool layer_in_both_types() {
  return layer<L, X, float> && layer<L, X, double>;
}

static_assert(layer_in_both_types<QuickGelu>() && layer_in_both_types<Gelu>() && layer_in_both_types<GeluTanh>());
static_assert(layer_in_both_types<SelfAttention<8, 2, false>, Tokens<24>>() &&
              layer_in_both_types<SelfAttention<8, 2, true>, Tokens<24>>());
static_assert(layer_in_both_types<PatchEmbedding<32, 8, 16>, Pixels<32>>() &&
              layer_in_both_types<TokenEmbedding<16, 8, 4>, TokenRow>());
static_assert(layer_in_both_types<LayerNorm<8>>() && layer_in_both_types<Linear<8, 3>>() &&
              layer_in_both_types<Projection<8, 3>>());
static_assert(layer_in_both_types<Linear<8, dynamic>, Samples<8>>() && layer_in_both_types<L2Normalize>());
static_assert(layer_in_both_types<Pool<Pooling::first>>() && layer_in_both_types<Pool<Pooling::last>>());
static_assert(layer_in_both_types<FullAdapter<8>>() && layer_in_both_types<FullAdapter<8, role::adapter, no_scale>>());
static_assert(layer_in_both_types<LowRankAdapter<8, 2>>() &&
              layer_in_both_types<LowRankAdapter<8, 2, role::adapter, no_scale>>());
using Body = Sequential<Named<"down", Linear<8, 4>>, Gelu, Named<"up", Linear<4, 8>>>;
static_assert(layer_in_both_types<Body>() && layer_in_both_types<Residual<Body>>() &&
              layer_in_both_types<Repeat<3, Residual<Body>>>());
static_assert(layer<Identity, Row>);

struct Small : arch::Defaults {
  static constexpr Index embed = 16, image = 16, patch = 8;
  static constexpr TowerSize vision{32, 2, 2, 64}, text{32, 2, 3, 64};
};
template <class Policy>
consteval bool towers_are_layers() {
  return layer_in_both_types<ImageTower<Small, Policy>, Pixels<16>>() &&
         layer_in_both_types<TextTower<Small, Policy>, TokenRow>() &&
         layer_in_both_types<Classifier<Clip<Small, Policy>>, Pixels<16>>();
}
static_assert(towers_are_layers<NoAdapter>() && towers_are_layers<RAdapter<>>() &&
              towers_are_layers<RAdapter<low_rank<4>>>());

// A width that does not fit is no input of the layer.
static_assert(!layer<Linear<8, 3>, Tokens<9>> && !layer<LayerNorm<8>, Tokens<9>> &&
              !layer<Pool<Pooling::first>, Samples<8>>);
static_assert(!layer<TokenEmbedding<16, 8, 4>, Row> && !layer<PatchEmbedding<32, 8, 16>, Pixels<64>>);
static_assert(!layer<Linear<8, 3>, Row, int> && !layer<Unnamed, Row> && !layer<int, Row>);

// One member after the other is missing, or is not what it must be.
struct Complete : layer_defaults {
  static constexpr auto name = "complete";
  template <class X>
  using output = X;
  template <class T, class X>
  static void forward(auto&, const auto&, View<const T, X>, View<T, X>, auto&) {}
  template <class T, class X>
  static void backward(auto&, const auto&, auto&, auto, auto, const auto&, View<const T, X>, auto) {}
};
struct WithoutForward : layer_defaults {
  static constexpr auto name = "without_forward";
  template <class X>
  using output = X;
  template <class T, class X>
  static void backward(auto&, const auto&, auto&, auto, auto, const auto&, View<const T, X>, auto) {}
};
struct WithoutBackward : layer_defaults {
  static constexpr auto name = "without_backward";
  template <class X>
  using output = X;
  template <class T, class X>
  static void forward(auto&, const auto&, View<const T, X>, View<T, X>, auto&) {}
};
struct WithoutName : layer_defaults {
  template <class X>
  using output = X;
  template <class T, class X>
  static void forward(auto&, const auto&, View<const T, X>, View<T, X>, auto&) {}
  template <class T, class X>
  static void backward(auto&, const auto&, auto&, auto, auto, const auto&, View<const T, X>, auto) {}
};
struct WithoutDefaults {
  static constexpr auto name = "without_defaults";
  template <class X>
  using output = X;
  template <class T, class X>
  static void forward(auto&, const auto&, View<const T, X>, View<T, X>, auto&) {}
  template <class T, class X>
  static void backward(auto&, const auto&, auto&, auto, auto, const auto&, View<const T, X>, auto) {}
};
struct OutputIsNoRow : Complete {
  template <class>
  using output = Shape<8>;
};
struct ParametersWithoutEach : Complete {
  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<8>, role::backbone> scale;
  };
};
struct BackwardKnowsNoGradients : Complete {
  template <class T, class X>
  static void backward(auto&, const auto&, auto, auto, const auto&, View<const T, X>, auto) {}
};
static_assert(layer<Complete, Row>);
static_assert(!layer<WithoutForward, Row> && !layer<WithoutBackward, Row> && !layer<WithoutName, Row>);
static_assert(!layer<WithoutDefaults, Row> && !layer<OutputIsNoRow, Row> && !layer<ParametersWithoutEach, Row>);
static_assert(!layer<BackwardKnowsNoGradients, Row>);

// Architectures, adapter policies, losses, ensembles.
static_assert(architecture<arch::ViT_B_32> && architecture<arch::quickgelu<arch::ViT_L_14_336>> && architecture<Small>);
struct WithoutText : arch::Defaults {
  static constexpr Index embed = 16, image = 16, patch = 8;
  static constexpr TowerSize vision{32, 2, 2, 64};
};
static_assert(!architecture<WithoutText> && !architecture<arch::Defaults> && !architecture<Clip<Small>>);

struct ImageOnlyPolicy {
  template <class Site, Index D>
  requires std::is_same_v<typename Site::tower, role::tower::image>
  using at = Identity;
};
static_assert(adapter_policy<NoAdapter> && adapter_policy<RAdapter<>> &&
              adapter_policy<RAdapter<low_rank<8>, no_scale>>);
static_assert(adapter_policy<RAdapter<full, learned_scale, only_tower<role::tower::image>>>);
static_assert(!adapter_policy<ImageOnlyPolicy> && !adapter_policy<role::adapter> && !adapter_policy<Identity>);

static_assert(mergeable<FullAdapter<8>> && mergeable<LowRankAdapter<8, 2>> && mergeable<Identity>);
static_assert(!mergeable<Body> && !mergeable<QuickGelu>);

struct LossWithoutTargets {
  using needs = needs_both_towers;
  static constexpr auto name = "without_targets";
  static constexpr bool uses_logit_scale = false;
};
struct LossWithoutSmoothing {
  using needs = needs_head;
  static constexpr auto name = "without_smoothing";
};
static_assert(loss_policy<loss::MpmNce> && loss_policy<loss::Contrastive> && loss_policy<loss::CrossEntropy>);
static_assert(loss_policy<loss::MarginMetricSoftmax> && loss_policy<loss::With<loss::CrossEntropy, loss::TowardBase>> &&
              loss_policy<loss::With<loss::Contrastive, loss::SpuriousAlignment>>);
static_assert(loss::feature_term<loss::SpuriousAlignment> && !loss::feature_term<loss::TowardBase>);
static_assert(loss::parameter_term<loss::TowardBase> && !loss::parameter_term<loss::SpuriousAlignment>);
static_assert(loss::feature_term<loss::SelfDistillation> && loss::parameter_term<loss::Orthogonality>);
static_assert(loss::filled_image_term<loss::MaskedDistillation> && !loss::feature_term<loss::MaskedDistillation> &&
              !loss::filled_image_term<loss::SpuriousAlignment> && !loss::parameter_term<loss::CrossEntropy>);
static_assert(!loss_policy<LossWithoutTargets> && !loss_policy<LossWithoutSmoothing> && !loss_policy<Unnamed>);

static_assert(ensemble_policy<ensemble::During<>> && ensemble_policy<ensemble::After<Rescale>>);
static_assert(!ensemble_policy<Rescale> && !ensemble_policy<loss::MpmNce>);

}  // namespace

// So that the executable lists the file's subject, and a run shows that it was compiled.
TEST_CASE("concepts: decided by the compiler") { CHECK(layer<Complete, Row>); }
