/// Laws of losses with terms in whole training steps: gradients, micro-batches, what the frozen model is for.
#include "radapt/clip/spurious_phrases.hpp"
#include "radapt/train/deploy.hpp"
#include "support/error_text.hpp"
#include "train/term_runs.hpp"

using namespace radapt_test;

using Star = radapt::recipe::star_ft<Tiny>;
using StarWithHead = radapt::recipe::star_ft<Tiny, radapt::loss::CrossEntropy>;
using StarOnMpmNce = radapt::Recipe<radapt::Clip<Tiny, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>,
                                    radapt::ensemble::During<>, radapt::ensemble::After<radapt::Rescale>,
                                    radapt::loss::With<radapt::loss::MpmNce, radapt::loss::SpuriousAlignment>>;

TEST_CASE("gradients of losses with terms are those of central differences") {
  const auto check = []<class Recipe>(const Recipe*, Index captions_per_pair) {
    const auto base = first_weights<typename Recipe::trained>();
    TrainerOf<Recipe> trainer(base, options(0, 0.0));
    disturb(trainer);
    check_slope(trainer, Data(captions_per_pair));
  };
  check(static_cast<const Star*>(nullptr), 2);
  check(static_cast<const StarWithHead*>(nullptr), 1);
}

TEST_CASE("a term does not see how a batch is split") { check_micro_batches<Star>(Data(2)); }

TEST_CASE("a step with a teacher takes what was planned") {
  for (const Index micro : {Index{0}, Index{4}}) {
    check_memory<Star>(2, micro);
    check_memory<StarWithHead>(1, micro);
  }
}

TEST_CASE("the term of the frozen model itself is zero, and the frozen weights never change") {
  const Data data(2);
  const auto base = first_weights<TinyClip>();
  const auto before = base;
  radapt::recipe::star_ft<Tiny>::loss with;
  TrainerOf<Star> starred(base, options(), with);
  with.term<radapt::loss::SpuriousAlignment>().strength = 0;
  TrainerOf<Star> plain(base, options(), with);
  // KL of two equal distributions: rounding of sums of 6 terms.
  const auto pairs = data.batch_of<TrainerOf<Star>>();
  CHECK(starred.step(pairs).loss == doctest::Approx(plain.step(pairs).loss).epsilon(1e-14));
  for (int i = 0; i < 3; ++i) { starred.step(pairs); }
  CHECK(std::equal(base.buffer().begin(), base.buffer().end(), before.buffer().begin()));
}

TEST_CASE("a term composes with adapters, and what is deployed is a plain CLIP") {
  const Data data(2);
  radapt::Weights<StarOnMpmNce::trained, double> base;
  radapt::copy_by_name(base, first_weights<TinyClip>());
  radapt::Random random(1);
  StarOnMpmNce::trained::initialise(base.tree(), random);
  TrainerOf<StarOnMpmNce> trainer(base, options());
  double first = 0, last = 0;
  for (int i = 0; i < 8; ++i) {
    last = trainer.step({.pixels = data.pixels, .captions = &data.captions, .groups = data.groups}).loss;
    first = i == 0 ? last : first;
  }
  CHECK(last < first);
  const radapt::Weights<TinyClip, double> merged = radapt::deploy(trainer, 0.5);
  CHECK(merged.buffer().size() > 0);
}

TEST_CASE("captions with drawn phrases: a run that starts again draws the same ones, another seed others") {
  // A hash of the text as four ids: enough to tell phrases apart, and short.
  const auto encode = [](const std::string& text) {
    std::uint32_t hash = 2166136261u;
    for (const char c : text) { hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u; }
    std::vector<std::int64_t> ids{14};
    for (Index i = 0; i < Tiny::context - 2; ++i, hash /= 13) { ids.push_back(hash % 13); }
    ids.push_back(15);
    return ids;
  };
  const auto pool = radapt::spurious_phrases::backgrounds();
  const std::vector<std::string> texts(batch, "a photo of a dog.");
  const auto base = first_weights<TinyClip>();
  const auto trained = [&](std::uint64_t seed) {
    auto o = options();
    o.seed = seed;
    TrainerOf<Star> trainer(base, o);
    for (int i = 0; i < 3; ++i) {
      const Data data(0, false, trainer.steps());
      auto captions = radapt::Captions::of<TinyClip>();
      for (const std::string& text : texts) { captions.add(encode(text)); }
      radapt::add_spurious(captions, texts, pool, o.seed, trainer.steps(), encode);
      trainer.step({.pixels = data.pixels, .captions = &captions, .groups = data.groups});
    }
    return std::vector<double>(trainer.state().parameter_buffer().begin(), trainer.state().parameter_buffer().end());
  };
  const auto first = trained(1);
  CHECK(trained(1) == first);
  CHECK(trained(2) != first);
}

TEST_CASE("what a batch for a loss with terms must have") {
  const Data one(1), two(2);
  const auto base = first_weights<TinyClip>();
  TrainerOf<Star> trainer(base, options());
  const auto message = [&](const Data& d, bool groups) {
    return radapt_test::error_of([&] {
      trainer.step({.pixels = d.pixels,
                    .captions = &d.captions,
                    .groups = groups ? std::span<const std::int32_t>(d.groups) : std::span<const std::int32_t>{}});
    });
  };
  CHECK(message(one, true).find("expected 12 captions, 2 for each image, got 6") != std::string::npos);
  CHECK(message(two, false).find("class ids of the pairs") != std::string::npos);
  CHECK(message(two, true).empty());
  Star::loss against;
  against.term<radapt::loss::SpuriousAlignment>().strength = -1;
  CHECK_THROWS_WITH_AS(TrainerOf<Star>(base, options(), against),
                       doctest::Contains("strength: expected a finite number of at least 0"), radapt::error);
}

TEST_CASE("the spurious term is over when its run is, and stays so") {
  const radapt::loss::SpuriousAlignment term{.strength = 0.5, .epochs = 10};
  CHECK(term.weight({.step = 89, .total = 100}) > 0.0);
  for (const std::uint64_t step : {90U, 99U, 100U, 150U, 1000U}) {
    CAPTURE(step);
    CHECK(term.weight({.step = step, .total = 100}) == 0.0);
  }
}

TEST_CASE("L2-SP adds its value and pulls towards the frozen weights") {
  using Held = radapt::recipe::l2_sp<Tiny>;
  using Free = radapt::recipe::full_fine_tuning<Tiny>;
  const Data data(1);
  const auto base = first_weights<Held::trained>();
  Held::loss loss;
  loss.term<radapt::loss::TowardBase>() = {.strength = 0.25, .includes_head = false};
  TrainerOf<Held> held(base, options(), loss);
  TrainerOf<Free> free(base, options());
  disturb(held);
  disturb(free);
  const auto report = held.step({.pixels = data.pixels, .labels = data.groups});
  const auto without = free.step({.pixels = data.pixels, .labels = data.groups});
  double distance = 0;
  radapt::Random random(21);
  std::vector<double> moved(held.state().size());
  for (double& d : moved) { d = 0.05 * random.normal(); }
  double worst = 0;
  for (const auto& slot : held.state().slots()) {
    const bool head = slot.name.starts_with("head.");
    for (Index i = 0; i < slot.size; ++i) {
      const double d = moved[slot.offset + i];
      distance += head ? 0 : d * d;
      const double expected = free.state().gradient_buffer()[slot.offset + i] + (head ? 0 : 0.5 * d);
      worst = std::max(worst, std::abs(held.state().gradient_buffer()[slot.offset + i] - expected));
    }
  }
  CHECK(report.loss == doctest::Approx(without.loss + 0.25 * distance).epsilon(1e-12));
  CHECK(worst < 1e-14);  // differences of numbers near 1: p - anchor loses the last bits of p
}

TEST_CASE("CLIPood trains the image tower alone, away from the margins of the head it began with") {
  using Recipe = radapt::recipe::clipood<Tiny>;
  const Data data(1);
  const auto base = first_weights<Recipe::trained>();
  auto o = options();
  o.average.kind = radapt::Average::Kind::beta;
  TrainerOf<Recipe> trainer(base, o);
  for (const auto& slot : trainer.state().slots()) { CHECK(slot.name.starts_with("visual.")); }
  Recipe::loss none{.lambda = 0.0};
  TrainerOf<Recipe> plain(base, o, none);
  // Without margins it is the cross entropy; with them other classes come nearer, so the loss is larger.
  const double loss = trainer.step({.pixels = data.pixels, .labels = data.groups}).loss;
  CHECK(loss > plain.step({.pixels = data.pixels, .labels = data.groups}).loss);
  CHECK(trainer.averaged().classes() == classes);
}
