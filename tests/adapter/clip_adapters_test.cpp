/// Laws of LoRA, RepAdapter and AdaptFormer in a whole CLIP: the start, merging, which numbers there are, training,
/// product averages, transfer.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/adapter/adapt_former.hpp"
#include "radapt/adapter/lora.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/adapter/rep_adapter.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/clip/transfer.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/recipes.hpp"
#include "support/error_text.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;
namespace site = radapt::site;

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr Index embed = 4, image = 8, patch = 4, context = 6, vocabulary = 12;
  static constexpr radapt::TowerSize vision{8, 2, 2, 16}, text{6, 2, 1, 12};
};
using Plain = radapt::Clip<Small>;

/// LoRA on everything, and an R-Adapter behind it: both fold into out_proj and c_proj, one after the other.
struct LoraUnderAdapters : radapt::Lora<2, radapt::on<site::in_proj, site::out_proj, site::c_fc, site::c_proj>> {
  template <class Site, Index D>
  using at = typename radapt::RAdapter<radapt::low_rank<2>>::template at<Site, D>;
};

template <class P, class S>
struct Kind {
  using policy = P;
  using Model = radapt::Clip<Small, P>;
  using T = typename S::T;
  using backend = typename S::backend;
};
using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;
using OfQueriesAndValues = radapt::Lora<2>;
using OfEverything =
    radapt::Lora<3, radapt::on<site::in_proj, site::out_proj, site::c_fc, site::c_proj>, radapt::rank_stabilised_scale>;
using OfImages = radapt::Lora<2, radapt::on<site::k, site::c_proj>, radapt::lora_scale,
                              radapt::only_tower<radapt::role::tower::image>>;
using EveryLora = std::tuple<Kind<OfQueriesAndValues, InDouble>, Kind<OfEverything, InDouble>, Kind<OfImages, InDouble>,
                             Kind<LoraUnderAdapters, InDouble>, Kind<OfEverything, InFloat>>;

/// In front of two groups of an odd number of columns each in the text tower.
using OfInputs = radapt::RepAdapter<4, 2>;
using OfBranches = radapt::AdaptFormer<3>;
using EveryFoldable = std::tuple<Kind<OfQueriesAndValues, InDouble>, Kind<OfEverything, InDouble>,
                                 Kind<OfImages, InDouble>, Kind<LoraUnderAdapters, InDouble>,
                                 Kind<OfEverything, InFloat>, Kind<OfInputs, InDouble>, Kind<OfInputs, InFloat>>;
using OfMlps = radapt::Lora<2, radapt::on<site::c_fc, site::c_proj>>;
using EveryKind =
    std::tuple<Kind<OfQueriesAndValues, InDouble>, Kind<OfEverything, InFloat>, Kind<OfInputs, InDouble>,
               Kind<OfMlps, InDouble>, Kind<OfMlps, InFloat>, Kind<OfBranches, InDouble>, Kind<OfBranches, InFloat>>;

/// Whether in_proj is the linear layer of a plain model: then the last block computes as a plain one does, without keys
/// and values.
template <class Policy>
using in_proj = typename radapt::detail::BlockKind<Policy, radapt::role::tower::image, false>::template linear<
    site::in_proj, Small::vision.width, 3 * Small::vision.width>;
template <class K>
constexpr bool leaves_in_proj = std::is_same_v<in_proj<typename K::policy>, in_proj<radapt::NoAdapter>>;
static_assert(leaves_in_proj<Kind<OfMlps, InDouble>> && !leaves_in_proj<Kind<OfInputs, InDouble>>);

/// Features are sums of some thousand products through two blocks, in another order once merged.
template <class T>
constexpr double rounding = sizeof(T) == 8 ? 1e-12 : 1e-5;

template <class M, class T>
radapt::Weights<M, T> random_weights(std::uint64_t seed) {
  radapt::Weights<M, T> weights;
  radapt::Random random(seed);
  for (const auto& tensor : weights.tensors()) {
    std::generate_n(tensor.data, tensor.size(), [&] { return static_cast<T>(0.3 * random.normal()); });
  }
  return weights;
}
template <class M, class T>
radapt::Weights<Plain, T> without_adapters(const radapt::Weights<M, T>& adapted) {
  radapt::Weights<Plain, T> plain;
  radapt::copy_by_name(plain, adapted);
  return plain;
}
template <class W>
bool same_bits(const W& a, const W& b) {
  return std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin());
}

/// Features of two images and two captions of different lengths.
template <class K, class M>
std::vector<typename K::T> features(const radapt::Weights<M, typename K::T>& weights, double alpha = 1.0) {
  using T = typename K::T;
  radapt::Session<M, typename K::backend, T> session(weights, {.adapter_alpha = alpha});
  auto captions = radapt::Captions::of<M>();
  captions.add(std::vector<std::int64_t>{10, 3, 11});
  captions.add(std::vector<std::int64_t>{10, 7, 1, 5, 11});
  std::vector<T> pixels(2 * M::PixelRow::width), image(2 * Small::embed), text(2 * Small::embed);
  radapt::Random random(12);
  for (T& x : pixels) { x = static_cast<T>(random.normal()); }
  session.encode_images(pixels, image);
  session.encode_texts(captions, text);
  image.insert(image.end(), text.begin(), text.end());
  return image;
}

/// Parameters of a policy: adapted slices times rank times what goes in and out.
constexpr Index lora(Index slices, Index rank, Index in, Index out) { return slices * rank * (in + out); }
static_assert(radapt::count<Kind<OfQueriesAndValues, InDouble>::Model, radapt::tune::only<radapt::role::adapter>>() ==
              2 * lora(2, 2, 8, 8) + lora(2, 2, 6, 6));
static_assert(radapt::count<Kind<OfEverything, InDouble>::Model, radapt::tune::only<radapt::role::adapter>>() ==
              2 * (lora(4, 3, 8, 8) + lora(2, 3, 8, 16)) + lora(4, 3, 6, 6) + lora(2, 3, 6, 12));
static_assert(radapt::count<Kind<OfImages, InDouble>::Model, radapt::tune::only<radapt::role::adapter>>() ==
              2 * (lora(1, 2, 8, 8) + lora(1, 2, 16, 8)));
static_assert(radapt::count<Kind<OfInputs, InDouble>::Model, radapt::tune::only<radapt::role::adapter>>() ==
              2 * 2 * (4 * 8 + 8 * 2 + 4 + 8) + 2 * (4 * 6 + 6 * 2 + 4 + 6));
static_assert(radapt::count<Kind<OfBranches, InDouble>::Model, radapt::tune::only<radapt::role::adapter>>() ==
              2 * (2 * 3 * 8 + 3 + 8) + (2 * 3 * 6 + 3 + 6));
// What is no parameter is trained by nobody: s is one number for each adapted layer.
static_assert(radapt::count<Kind<OfQueriesAndValues, InDouble>::Model, radapt::tune::everything>() ==
              radapt::count<Plain>() + 2 * lora(2, 2, 8, 8) + lora(2, 2, 6, 6));
static_assert(!radapt::trains_any<Kind<OfImages, InDouble>::Model,
                                  radapt::tune::both<radapt::tune::only<radapt::role::adapter>,
                                                     radapt::tune::only<radapt::role::tower::text>>>);

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("an adapter starts as the plain model, bit for bit where in_proj is as it was", K,
                          starts_as_plain) {
  radapt::Weights<typename K::Model, typename K::T> weights;
  radapt::initialise_clip(weights, 3);
  const auto adapted = features<K>(weights), without = features<K>(without_adapters(weights));
  CHECK(normalised_error(adapted, without) < rounding<typename K::T>);
  if (leaves_in_proj<K>) { CHECK(adapted == without); }
  // The plain tensors are those that a plain model draws: their streams do not depend on what is added.
  radapt::Weights<Plain, typename K::T> plain;
  radapt::initialise_clip(plain, 3);
  CHECK(same_bits(plain, without_adapters(weights)));
}
TEST_CASE_TEMPLATE_APPLY(starts_as_plain, EveryKind);

TEST_CASE_TEMPLATE_DEFINE("a merged adapter computes what the running one does at every alpha", K, merged) {
  using T = typename K::T;
  const auto adapted = random_weights<typename K::Model, T>(5);
  const auto plain = without_adapters(adapted);
  for (const double alpha : {0.0, 0.4, 1.0, 1.5}) {
    CAPTURE(alpha);
    const auto merged = radapt::merge(alpha, adapted);
    CHECK(normalised_error(features<K>(merged), features<K>(adapted, alpha)) < rounding<T>);
    CHECK(same_bits(merged, plain) == (alpha == 0.0));
    auto in_place = plain;
    radapt::MergedInPlace<typename K::Model, T> merge(alpha, adapted, in_place);
    CHECK(same_bits(in_place, merged));
    merge.unmerge();
    CHECK(same_bits(in_place, plain));
  }
}
TEST_CASE_TEMPLATE_APPLY(merged, EveryFoldable);

TEST_CASE("at alpha 0 a model with AdaptFormers is the plain one, and its branches do something elsewhere") {
  using K = Kind<OfBranches, InDouble>;
  const auto adapted = random_weights<K::Model, double>(4);
  const auto plain = features<K>(without_adapters(adapted));
  CHECK(features<K>(adapted, 0.0) == plain);
  CHECK(normalised_error(features<K>(adapted, 1.0), plain) > 1e-3);
}

TEST_CASE("an average of products says that RepAdapter has none") {
  const auto adapted = random_weights<Kind<OfInputs, InDouble>::Model, double>(4);
  using Average = radapt::ProductAverage<Kind<OfInputs, InDouble>::Model, double>;
  CHECK(error_of([&] { Average average(adapted.tree()); }).find("Target::factors") != std::string::npos);
}

TEST_CASE("s is alpha / r, or alpha / sqrt(r), and B A acts on its slice alone") {
  auto adapted = random_weights<Kind<OfImages, InDouble>::Model, double>(6);
  radapt::set_lora_alpha(adapted, 5.0);
  CHECK(*adapted.tensor("visual.transformer.resblocks.1.attn.in_proj_lora_scaling").data == 2.5);
  auto stabilised = random_weights<Kind<OfEverything, InDouble>::Model, double>(6);
  radapt::set_lora_alpha(stabilised, 6.0);
  CHECK(*stabilised.tensor("transformer.resblocks.0.mlp.c_fc.lora_scaling").data == 6.0 / std::sqrt(3.0));
  for (const double alpha : {0.0, -1.0, std::nan("")}) {
    CHECK(error_of([&] { radapt::set_lora_alpha(adapted, alpha); }).find("lora_alpha") != std::string::npos);
  }

  const auto merged = radapt::merge(1.0, adapted);
  const auto A = adapted.tensor("visual.transformer.resblocks.1.attn.in_proj_k.lora_A");  // (2, 8)
  const auto B = adapted.tensor("visual.transformer.resblocks.1.attn.in_proj_k.lora_B");  // (8, 2)
  const auto before = adapted.tensor("visual.transformer.resblocks.1.attn.in_proj_weight");
  const auto after = merged.tensor("visual.transformer.resblocks.1.attn.in_proj_weight");
  for (Index i = 0; i < 24; ++i) {
    for (Index j = 0; j < 8; ++j) {
      double added = 0;
      for (Index r = 0; r < 2 && i >= 8 && i < 16; ++r) { added += 2.5 * B.data[(i - 8) * 2 + r] * A.data[r * 8 + j]; }
      CHECK(std::abs(after.data[i * 8 + j] - before.data[i * 8 + j] - added) <
            1e-14);  // two roundings of numbers near 1
    }
  }
}

TEST_CASE("a LoRA recipe trains nothing else, and deploys as a plain model") {
  using Recipe = radapt::Recipe<radapt::Clip<Small, OfEverything>, radapt::tune::only<radapt::role::adapter>,
                                radapt::ensemble::During<radapt::AdapterDrop, radapt::Accumulate>,
                                radapt::ensemble::After<radapt::Rescale>, radapt::loss::Contrastive>;
  radapt::Weights<Recipe::trained, double> start;
  radapt::initialise_clip(start, 1);
  std::vector<double> pixels(4 * Recipe::trained::PixelRow::width);
  radapt::Random random(2);
  for (double& x : pixels) { x = random.normal(); }
  auto captions = radapt::Captions::of<Recipe::trained>();
  for (std::int64_t i = 1; i < 5; ++i) { captions.add(std::vector<std::int64_t>{10, i, 11}); }
  for (const auto target : {radapt::Average::Target::factors, radapt::Average::Target::product}) {
    radapt::TrainOptions options;
    options.size.batch = 4;
    options.schedule = {.base = 1e-2, .warmup = 0, .total = 5};
    options.average.target = target;
    radapt::Trainer<Recipe, radapt::reference, double> trainer(start, options);
    const double first = trainer.step({.pixels = pixels, .captions = &captions}).loss;
    double last = first;
    while (trainer.steps() < 5) { last = trainer.step({.pixels = pixels, .captions = &captions}).loss; }
    CHECK(last < first);
    const auto trained = trainer.weights();
    CHECK(same_bits(without_adapters(trained), without_adapters(start)));
    for (const auto& tensor : trained.tensors()) {
      CAPTURE(tensor.name());
      const auto original = start.tensor(tensor.name());
      const bool changed = !std::equal(tensor.data, tensor.data + tensor.size(), original.data);
      CHECK(changed ==
            (tensor.name().find("lora_A") != std::string::npos || tensor.name().find("lora_B") != std::string::npos));
    }
    const radapt::Weights<Plain, double> deployed = radapt::deploy(trainer, 0.5);
    CHECK(!same_bits(deployed, without_adapters(start)));
  }
}

TEST_CASE_TEMPLATE_DEFINE("the average of one model's products merges to its merge", K, product_average) {
  using T = typename K::T;
  const auto adapted = random_weights<typename K::Model, T>(7);
  const radapt::ProductAverage<typename K::Model, T> average(adapted.tree());
  const auto expected = radapt::merge(0.7, adapted), got = average.merge(0.7, adapted);
  for (const auto& tensor : got.tensors()) {
    CAPTURE(tensor.name());
    const auto wanted = expected.tensor(tensor.name());
    // One rounding to T for each of the two adapters that a host may have.
    CHECK(normalised_error(tensor.data, wanted.data, tensor.size()) < (sizeof(T) == 8 ? 1e-14 : 1e-6));
  }
}
TEST_CASE_TEMPLATE_APPLY(product_average, EveryLora);

TEST_CASE("a LoRA that is transferred to its own base is its merge") {
  const auto adapted = random_weights<Kind<OfEverything, InDouble>::Model, double>(8);
  const auto moved = radapt::transfer_adapters(0.8, adapted, without_adapters(adapted),
                                               {.rank = radapt::RankRule::energy(0.9),
                                                .keep_cross = true,
                                                .progress = {.mode = radapt::ProgressOptions::Mode::quiet}});
  CHECK(moved.modules.size() == 6 * 3);  // in_proj is three
  const auto expected = radapt::merge(0.8, adapted);
  for (const auto& tensor : moved.weights.tensors()) {
    CAPTURE(tensor.name());
    CHECK(normalised_error(tensor.data, expected.tensor(tensor.name()).data, tensor.size()) < 1e-13);  // through an SVD
  }
}
