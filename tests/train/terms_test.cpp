/// Laws of losses with terms in whole training steps: gradients, micro-batches, what the frozen model is for.
#include <doctest/doctest.h>

#include <cmath>

#include "radapt/backend/reference/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/recipes.hpp"
#include "support/error_text.hpp"

using radapt::Index;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 1, 32};
};
using Clip = radapt::Clip<Tiny>;
constexpr Index batch = 6, classes = 4;

/// Six pairs with two captions each: the first captions of all, then the second ones.
struct Data {
  std::vector<double> pixels = std::vector<double>(batch * Clip::PixelRow::width);
  radapt::Captions captions = radapt::Captions::of<Clip>();
  std::vector<std::int32_t> groups{0, 1, 2, 0, 3, 1};
  explicit Data(Index captions_per_pair) {
    radapt::Random random(5);
    for (double& x : pixels) { x = random.normal(); }
    for (Index i = 0; i < captions_per_pair * batch; ++i) {
      std::vector<std::int64_t> ids{14};
      for (Index t = 0; t <= i % 3; ++t) { ids.push_back(static_cast<std::int64_t>(random.below(14))); }
      ids.push_back(15);
      captions.add(ids);
    }
  }
};

radapt::Weights<Clip, double> clip_weights(std::uint64_t seed) {
  radapt::Weights<Clip, double> w;
  radapt::initialise_clip(w, seed);
  return w;
}
/// The model that a recipe trains, with a head where it has one.
template <class Model>
radapt::Weights<Model, double> first_weights() {
  const auto clip = clip_weights(3);
  if constexpr (std::is_same_v<Model, Clip>) {
    return clip;
  } else {
    std::vector<double> head(classes * Tiny::embed);
    radapt::Random random(9);
    for (double& x : head) { x = 0.1 * random.normal(); }
    return radapt::detail::with_zero_shot_head<Model>(clip, head);
  }
}
radapt::TrainOptions options(Index micro = 0) {
  radapt::TrainOptions o;
  o.size = {.batch = batch, .micro_batch = micro};
  o.schedule = {.base = 1e-3, .warmup = 0, .total = 20, .minimum = 0};
  o.clip_norm = 0;
  return o;
}

template <class Recipe>
using TrainerOf = radapt::Trainer<Recipe, radapt::reference, double>;

/// Moves the parameters off the frozen weights, so that the terms do not vanish.
template <class Trainer>
void disturb(Trainer& trainer) {
  radapt::Random random(21);
  for (double& p : trainer.state().parameter_buffer()) { p += 0.05 * random.normal(); }
}

template <class Trainer>
double loss_at(Trainer& trainer, const Data& data) {
  auto& c = trainer.context();
  c.phase = radapt::Phase{.training = true};
  for (double& g : trainer.state().gradient_buffer()) { g = 0; }
  return trainer.objective().step(c, trainer.state().values(), trainer.state().gradients(),
                                  {.pixels = data.pixels, .captions = &data.captions, .groups = data.groups},
                                  trainer.base().tree(), {.step = 1, .total = 20});
}

/// The gradient of a step along a random direction, against central differences.
template <class Recipe>
void check_direction(Index captions_per_pair) {
  const Data data(captions_per_pair);
  const auto base = first_weights<typename Recipe::trained>();
  TrainerOf<Recipe> trainer(base, options());
  disturb(trainer);
  auto& parameters = trainer.state().parameter_buffer();
  radapt::Random random(33);
  std::vector<double> direction(parameters.size());
  for (double& d : direction) { d = random.normal(); }
  const auto move = [&](double by) {
    for (Index i = 0; i < parameters.size(); ++i) { parameters[i] += by * direction[i]; }
  };
  loss_at(trainer, data);
  double slope = 0;
  for (Index i = 0; i < parameters.size(); ++i) { slope += trainer.state().gradient_buffer()[i] * direction[i]; }
  // Third differences of the loss along a direction of length about 100 are some 1e3: a step of 1e-5 leaves an error of
  // 1e-7 of truncation and 1e-10 of rounding; the slope is of order 10.
  constexpr double h = 1e-5;
  move(h);
  const double above = loss_at(trainer, data);
  move(-2 * h);
  const double below = loss_at(trainer, data);
  CHECK(slope == doctest::Approx((above - below) / (2 * h)).epsilon(1e-6));
}

}  // namespace

using Star = radapt::recipe::star_ft<Tiny>;
using StarWithHead = radapt::recipe::star_ft<Tiny, radapt::loss::CrossEntropy>;
using StarOnMpmNce = radapt::Recipe<radapt::Clip<Tiny, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>,
                                    radapt::ensemble::During<>, radapt::ensemble::After<radapt::Rescale>,
                                    radapt::loss::With<radapt::loss::MpmNce, radapt::loss::SpuriousAlignment>>;

TEST_CASE("gradients of losses with terms are those of central differences") {
  check_direction<Star>(2);
  check_direction<StarWithHead>(1);
}

TEST_CASE("a term does not see how a batch is split") {
  const Data data(2);
  const auto base = first_weights<Clip>();
  TrainerOf<Star> whole(base, options()), split(base, options(/*micro=*/4));
  disturb(whole);
  disturb(split);
  CHECK(loss_at(whole, data) == doctest::Approx(loss_at(split, data)).epsilon(1e-14));  // sums of other sub-batches
  double worst = 0, largest = 0;
  for (Index i = 0; i < whole.state().size(); ++i) {
    worst = std::max(worst, std::abs(whole.state().gradient_buffer()[i] - split.state().gradient_buffer()[i]));
    largest = std::max(largest, std::abs(whole.state().gradient_buffer()[i]));
  }
  CHECK(worst < 1e-13 * largest);
}

TEST_CASE("the term of the frozen model itself is zero, and the frozen weights never change") {
  const Data data(2);
  const auto base = first_weights<Clip>();
  const auto before = base;
  radapt::recipe::star_ft<Tiny>::loss with;
  TrainerOf<Star> starred(base, options(), with);
  with.term<radapt::loss::SpuriousAlignment>().strength = 0;
  TrainerOf<Star> plain(base, options(), with);
  // KL of two equal distributions: rounding of sums of 6 terms.
  CHECK(loss_at(starred, data) == doctest::Approx(loss_at(plain, data)).epsilon(1e-14));
  for (int i = 0; i < 3; ++i) {
    starred.step({.pixels = data.pixels, .captions = &data.captions, .groups = data.groups});
  }
  CHECK(std::equal(base.buffer().begin(), base.buffer().end(), before.buffer().begin()));
}

TEST_CASE("a term composes with adapters, and what is deployed is a plain CLIP") {
  const Data data(2);
  radapt::Weights<StarOnMpmNce::trained, double> base;
  radapt::copy_by_name(base, clip_weights(3));
  radapt::Random random(1);
  StarOnMpmNce::trained::initialise(base.tree(), random);
  TrainerOf<StarOnMpmNce> trainer(base, options());
  double first = 0, last = 0;
  for (int i = 0; i < 8; ++i) {
    last = trainer.step({.pixels = data.pixels, .captions = &data.captions, .groups = data.groups}).loss;
    first = i == 0 ? last : first;
  }
  CHECK(last < first);
  const radapt::Weights<Clip, double> merged = radapt::deploy(trainer, 0.5);
  CHECK(merged.buffer().size() > 0);
}

TEST_CASE("what a batch for a loss with terms must have") {
  const Data one(1), two(2);
  const auto base = first_weights<Clip>();
  TrainerOf<Star> trainer(base, options());
  const auto message = [&](const Data& d, bool groups) {
    return radapt_test::error_of([&] {
      trainer.step({.pixels = d.pixels,
                    .captions = &d.captions,
                    .groups = groups ? std::span<const std::int32_t>(d.groups) : std::span<const std::int32_t>{}});
    });
  };
  CHECK(message(one, true).find("pixel values") != std::string::npos);  // six captions are three pairs
  CHECK(message(two, false).find("class ids of the pairs") != std::string::npos);
  CHECK(message(two, true).empty());
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
