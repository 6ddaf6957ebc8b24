/// Deployment of what takes more than one run and alpha: soups of averaged runs, TPGM, OSE, VRF and ProLoRA as words of
/// a recipe.
#include "radapt/train/deploy_ensembles.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/train/deploy_transfer.hpp"
#include "radapt/train/recipes.hpp"
#include "support/error_text.hpp"

using radapt::Index;
namespace ensemble = radapt::ensemble;
namespace recipe = radapt::recipe;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 1, 32};
};
using Plain = radapt::Clip<Tiny>;
constexpr Index batch = 6, classes = 3;
constexpr auto quiet = radapt::ProgressOptions::Mode::quiet;

// The words act on weights alone, so what trains is small: the head, and adapters of rank 2.
template <class... Words>
using Heads = radapt::Recipe<Plain, radapt::tune::only<radapt::role::head>, ensemble::During<radapt::Accumulate>,
                             ensemble::After<Words...>, radapt::loss::CrossEntropy>;
using Adapters = recipe::r_adapter<Tiny, radapt::low_rank<2>>;
template <class R>
using Trainer = radapt::Trainer<R, radapt::reference, double>;
template <class R>
using Weights = radapt::Weights<typename R::trained, double>;

template <class W>
W random_weights(std::uint64_t seed) {
  W weights(classes);
  radapt::Random random(seed);
  for (const auto& tensor : weights.tensors()) {
    std::generate_n(tensor.data, tensor.size(), [&] { return 0.3 * random.normal(); });
  }
  return weights;
}
radapt::TrainOptions options(radapt::Average average = {.momentum = 0.5}) {
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = 5e-2, .warmup = 0, .total = 3, .minimum = 0};
  o.average = average;
  return o;
}

/// Three steps on data of its own, another for every `which`.
template <class R>
void train(Trainer<R>& trainer, std::uint64_t which) {
  std::vector<double> pixels(batch * Plain::PixelRow::width);
  const std::vector<std::int32_t> labels{0, 1, 2, 0, 1, 2};
  auto captions = radapt::Captions::of<Plain>();
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(batch); ++i) {
    captions.add(std::vector<std::int64_t>{14, i, 15});
  }
  for (std::uint64_t i = 0; i < 3; ++i) {
    radapt::Random random(which, i);
    std::generate(pixels.begin(), pixels.end(), [&] { return random.normal(); });
    if constexpr (std::is_same_v<typename R::loss::needs, radapt::needs_head>) {
      trainer.step({.pixels = pixels, .labels = labels});
    } else {
      trainer.step({.pixels = pixels, .captions = &captions, .groups = labels});
    }
  }
}

template <class W>
bool same_bits(const W& a, const W& b) {
  return std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin(), b.buffer().end());
}
template <class M>
bool reads_in_place(const radapt::ConstWeights<M, double>& view, const radapt::Weights<M, double>& weights) {
  return view.ranges().size() == 1 && view.ranges()[0].begin == weights.buffer().data();
}
template <class W>
W mean(const W& a, const W& b) {
  W out = a;
  for (Index i = 0; i < out.buffer().size(); ++i) { out.buffer()[i] = (a.buffer()[i] + b.buffer()[i]) / 2; }
  return out;
}

// Each published method has its name, and what nobody published is one line.
static_assert(std::is_same_v<recipe::model_soup<Tiny>::after, ensemble::After<radapt::Soup>>);
static_assert(std::is_same_v<recipe::tpgm<Tiny>::after, ensemble::After<radapt::Project>>);
static_assert(std::is_same_v<recipe::ose<Tiny>::after, ensemble::After<radapt::OutputEnsemble>>);
static_assert(std::is_same_v<recipe::vrf<Tiny>::after, ensemble::After<radapt::VarianceReduction>>);
static_assert(std::is_same_v<recipe::pro_lora<Tiny>::after, ensemble::After<radapt::Rescale, radapt::Transfer>>);
static_assert(std::is_same_v<recipe::vrf<Tiny>::trained, recipe::full_fine_tuning<Tiny>::trained>);
static_assert(std::is_same_v<radapt::with_after<recipe::wise_ft<Tiny>, radapt::Soup>::after,
                             ensemble::After<radapt::Interpolate, radapt::Soup>>);
static_assert(std::is_same_v<radapt::with_after<Adapters, radapt::VarianceReduction>::trained, Adapters::trained>);
static_assert(std::is_same_v<radapt::with_terms<Adapters, radapt::loss::SpuriousAlignment>::loss,
                             radapt::loss::With<radapt::loss::MpmNce, radapt::loss::SpuriousAlignment>>);
static_assert(std::is_same_v<radapt::with_terms<recipe::l2_sp<Tiny>, radapt::loss::SpuriousAlignment>::loss,
                             radapt::loss::With<radapt::loss::CrossEntropy, radapt::loss::TowardBase,
                                                radapt::loss::SpuriousAlignment>>);

}  // namespace

TEST_CASE("a soup of averaged runs is their mean, and WiSE-FT of it ends at the base and at the soup") {
  using R = Heads<radapt::Interpolate, radapt::Soup>;
  using Kind = radapt::Average::Kind;
  const auto base = random_weights<Weights<R>>(1);
  const radapt::Average exponential{.kind = Kind::exponential, .momentum = 0.5}, beta{.kind = Kind::beta};
  const std::array<std::array<radapt::Average, 2>, 3> pairs{
      {{exponential, exponential}, {beta, beta}, {exponential, beta}}};
  for (const auto& averages : pairs) {
    CAPTURE(averages[0].kind);
    CAPTURE(averages[1].kind);
    Trainer<R> first(base, options(averages[0])), second(base, options(averages[1]));
    train(first, 1);
    train(second, 2);
    const auto a = first.averaged(), b = second.averaged();
    REQUIRE(!same_bits(a, first.weights()));  // the average is another model than the last step
    REQUIRE(!same_bits(a, b));

    CHECK(same_bits(radapt::deploy(std::array{&first}, 1.0), a));
    const std::vector<Trainer<R>*> runs{&first, &second};
    const auto soup = radapt::deploy(runs, 1.0);
    CHECK(same_bits(soup, mean(a, b)));
    CHECK(same_bits(radapt::deploy(runs, 0.0), base));
    const auto wise = radapt::deploy(runs, 0.3);
    CHECK(same_bits(wise, radapt::interpolate(0.3, base, soup)));
    CHECK(!same_bits(wise, soup));
    // Runs that were saved, with no trainer left.
    CHECK(same_bits(radapt::deploy(radapt::saved_runs<R>(base, std::array{&a, &b}), 0.3), wise));
  }
}

TEST_CASE("a soup of R-Adapters is the mean of what each run would deploy, not of factors") {
  using R = radapt::with_after<Adapters, radapt::Soup>;
  using Target = radapt::Average::Target;
  const auto base = random_weights<Weights<R>>(2);
  for (const Target target : {Target::factors, Target::product}) {
    CAPTURE(target);
    Trainer<R> first(base, options({.momentum = 0.5, .target = target})),
        second(base, options({.momentum = 0.5, .target = target}));
    train(first, 1);
    train(second, 2);
    const auto alone = [&](Trainer<R>& run) {
      return target == Target::product ? run.products()->merge(0.7, base) : radapt::merge(0.7, run.averaged());
    };
    const auto factors_of = [&](Trainer<R>& run) { return target == Target::product ? run.weights() : run.averaged(); };
    const auto soup = radapt::deploy(std::array{&first, &second}, 0.7);
    static_assert(std::is_same_v<decltype(soup), const radapt::Weights<Plain, double>>);
    CHECK(same_bits(soup, mean(alone(first), alone(second))));
    CHECK(!same_bits(soup, radapt::merge(0.7, mean(factors_of(first), factors_of(second)))));
    CHECK(same_bits(radapt::deploy(std::array{&first, &second}, 0.0), radapt::merge(0.0, base)));
    if (target == Target::factors) {
      const auto a = first.averaged(), b = second.averaged();
      CHECK(same_bits(radapt::deploy(radapt::saved_runs<R>(base, std::array{&a, &b}), 0.7), soup));
    }

    auto prompts = radapt::Captions::of<Plain>();
    for (std::int64_t c = 0; c < 3; ++c) { prompts.add(std::vector<std::int64_t>{14, c, 15}); }
    const auto with_head = radapt::deploy_with_head(std::array{&first, &second}, 0.7, prompts, {1, 1, 1});
    CHECK(same_bits(with_head.weights, soup));
    radapt::Session<Plain, radapt::reference, double> session(soup);
    CHECK(with_head.head == radapt::zero_shot_weights(session, prompts, {1, 1, 1}));
  }
}

TEST_CASE("a soup of no runs, of none and of runs from two bases is refused") {
  using R = Heads<radapt::Soup>;
  const auto base = random_weights<Weights<R>>(3), other = random_weights<Weights<R>>(4), copy = base;
  Trainer<R> first(base, options()), second(other, options()), third(copy, options());
  std::vector<Trainer<R>*> runs;
  const auto fails = [&](const std::string& part) {
    return radapt_test::fails_with(part, [&] { (void)radapt::deploy(runs, 1.0); });
  };
  CHECK(fails("runs of a soup: expected pointers to trainers, at least one, got none"));
  runs = {&first, nullptr};
  CHECK(fails("runs of a soup: expected pointers to trainers, at least one, got a null pointer"));
  runs = {&first, &second};
  CHECK(fails("run 1 of a soup: expected a run that began with the same weights as the first, got another base"));
  runs = {&first, &third};  // equal bits in another place
  CHECK(same_bits(radapt::deploy(runs, 1.0), base));
  CHECK(radapt_test::fails_with("deploy: expected alpha 1", [&] { (void)radapt::deploy(runs, 0.5); }));
  const auto none = radapt::saved_runs<R>(base, std::vector<const Weights<R>*>{});
  CHECK(radapt_test::fails_with("expected at least one model, got none", [&] { (void)radapt::deploy(none, 1.0); }));
}

TEST_CASE("TPGM as a word is tpgm() on what the run leaves") {
  // Half the squared distance from some other weights: any loss with a gradient will do.
  const auto pull_toward = [](const auto& wanted) {
    return [&wanted](const auto& at, auto& gradient) {
      double loss = 0;
      for (Index i = 0; i < at.buffer().size(); ++i) {
        const double d = at.buffer()[i] - wanted.buffer()[i];
        gradient.buffer()[i] = d;
        loss += d * d / 2;
      }
      return loss;
    };
  };
  const radapt::TpgmOptions settings{.iterations = 5, .progress = {.mode = quiet}};

  using R = Heads<radapt::Project>;
  const auto base = random_weights<Weights<R>>(5);
  Trainer<R> trainer(base, options());
  train(trainer, 1);
  const auto loss = pull_toward(base);
  const auto got = radapt::deploy(trainer, 1.0, loss, settings);
  const auto wanted = radapt::tpgm(base, trainer.averaged(), loss, settings);
  CHECK(same_bits(got.weights, wanted.weights));
  CHECK(got.losses == wanted.losses);
  CHECK(got.tensors.size() == wanted.tensors.size());
  CHECK(!same_bits(got.weights, trainer.averaged()));
  CHECK(!same_bits(got.weights, base));

  // Adapters are folded first: the anchor is the base without any.
  using Folded = radapt::with_after<Adapters, radapt::Soup, radapt::Project, radapt::OutputEnsemble>;
  const auto adapted = random_weights<Weights<Folded>>(6);
  Trainer<Folded> first(adapted, options()), second(adapted, options());
  train(first, 1);
  train(second, 2);
  const auto plain = radapt::merge(0.0, adapted);
  const auto plain_loss = pull_toward(plain);
  const auto pair = radapt::deploy(std::array{&first, &second}, 0.8, plain_loss, settings);
  const auto soup = mean(radapt::merge(0.8, first.averaged()), radapt::merge(0.8, second.averaged()));
  CHECK(same_bits(pair.tuned, radapt::tpgm(plain, soup, plain_loss, settings).weights));
  CHECK(reads_in_place(pair.zero_shot, adapted));
}

TEST_CASE("OSE as a word leaves the tuned weights and the base, which is not copied, and mixes what they say") {
  using R = Heads<radapt::Interpolate, radapt::OutputEnsemble>;
  const auto base = random_weights<Weights<R>>(7);
  Trainer<R> trainer(base, options());
  train(trainer, 1);
  const auto pair = radapt::deploy(trainer, 0.6);
  CHECK(same_bits(pair.tuned, radapt::interpolate(0.6, base, trainer.averaged())));
  CHECK(reads_in_place(pair.zero_shot, base));

  std::vector<double> pixels(batch * Plain::PixelRow::width);
  radapt::Random random(1);
  std::generate(pixels.begin(), pixels.end(), [&] { return random.normal(); });
  const auto logits = [&](const auto& weights) {
    radapt::Scores<double> z{std::vector<double>(batch * classes), classes};
    radapt::ClassifierSession<R::trained, radapt::reference, double> session(weights);
    session.logits(pixels, z.values);
    return z;
  };
  const auto tuned = logits(pair.tuned), zero_shot = logits(pair.zero_shot);
  REQUIRE(tuned.values != zero_shot.values);
  CHECK(pair.probabilities(0.0, tuned, zero_shot).values == radapt::probabilities(zero_shot).values);
  CHECK(pair.probabilities(1.0, tuned, zero_shot).values == radapt::probabilities(tuned).values);
  CHECK(
      pair.probabilities(0.25, tuned, zero_shot, 2.0, 0.5).values ==
      radapt::mix_probabilities(0.25, radapt::probabilities(tuned, 2.0), radapt::probabilities(zero_shot, 0.5)).values);
}

TEST_CASE("VRF on an R-Adapter is a word: merged weights beside the base, and vrf() on what both say") {
  using R = radapt::with_after<Adapters, radapt::VarianceReduction>;
  const auto base = random_weights<Weights<R>>(8);
  Trainer<R> trainer(base, options());
  train(trainer, 1);
  const auto pair = radapt::deploy(trainer, 0.5);
  static_assert(std::is_same_v<decltype(pair.tuned), radapt::Weights<Plain, double>>);
  CHECK(same_bits(pair.tuned, radapt::merge(0.5, trainer.averaged())));
  CHECK(reads_in_place(pair.zero_shot, base));

  const std::vector<double> tuned{2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 0, 0}, zero_shot{0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 2};
  const std::vector<double> features{1, 0, 0, 1, 1, 1, 3, 1};
  const std::vector<std::int32_t> labels{0, 1, 2, 0};  // the zero-shot model fails on the first, third and fourth
  const auto z = radapt::rows_of(tuned, 3), q = radapt::rows_of(zero_shot, 3), f = radapt::rows_of(features, 2);
  const auto failures = pair.failure_set(f, z, q, labels);
  CHECK(failures.indices() == std::vector<Index>{0, 2, 3});
  radapt::VrfOptions how;
  how.k = 2;
  how.progress.mode = quiet;
  const auto got = pair.predict(failures, f, z, q, how), wanted = radapt::vrf(failures, f, z, q, how);
  CHECK(got.probabilities.values == wanted.probabilities.values);
  CHECK(got.omega == wanted.omega);
  CHECK(got.k == 2);
  const auto first_two = [](std::span<const double> row) { return std::vector<double>(row.begin(), row.begin() + 2); };
  CHECK(pair.predict(failures, f, z, q, how, first_two).probabilities.width == 2);
}

TEST_CASE("ProLoRA as a word moves the averaged adapters into another base") {
  using R = radapt::with_after<Adapters, radapt::Transfer>;
  const auto base = random_weights<Weights<R>>(9);
  const auto target = random_weights<radapt::Weights<Plain, double>>(10);
  Trainer<R> trainer(base, options());
  train(trainer, 1);
  radapt::AdapterTransferOptions how{.rank = radapt::RankRule::energy(0.9), .progress = {.mode = quiet}};
  const auto moved = radapt::deploy(trainer, 0.8, target, how);
  CHECK(same_bits(moved.weights, radapt::transfer_adapters(0.8, trainer.averaged(), target, how).weights));
  CHECK(!same_bits(moved.weights, radapt::transfer_adapters(0.8, trainer.weights(), target, how).weights));
  CHECK(moved.modules.size() == 4);
  CHECK(same_bits(radapt::deploy(trainer, 0.0, target, how).weights, target));
  // Into its own base it is the merge.
  how.keep_cross = true;
  const auto home = radapt::deploy(trainer, 0.8, radapt::merge(0.0, base), how).weights;
  const auto merged = radapt::merge(0.8, trainer.averaged());
  double worst = 0;
  for (Index i = 0; i < home.buffer().size(); ++i) {
    worst = std::max(worst, std::abs(home.buffer()[i] - merged.buffer()[i]));
  }
  CHECK(worst < 1e-12);  // numbers near one, through two products with singular vectors of 32 entries

  Trainer<R> of_products(base, options({.momentum = 0.5, .target = radapt::Average::Target::product}));
  CHECK(radapt_test::fails_with("expected a run that averages factors, got an average of products",
                                [&] { (void)radapt::deploy(of_products, 0.8, target, how); }));

  using Mixed = radapt::with_after<Adapters, radapt::Transfer, radapt::VarianceReduction>;
  Trainer<Mixed> other(base, options());
  train(other, 1);
  const auto pair = radapt::deploy(other, 0.8, target, how);
  CHECK(same_bits(pair.tuned, radapt::deploy(trainer, 0.8, target, how).weights));
  CHECK(reads_in_place(pair.zero_shot, target));
}
