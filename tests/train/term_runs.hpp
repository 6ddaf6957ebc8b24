#pragma once
/// Small runs in double on the reference backend, for laws of losses with terms.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

namespace radapt_test {

using radapt::Index;

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 1, 32};
};
using TinyClip = radapt::Clip<Tiny>;
inline constexpr Index batch = 6, classes = 4;

/// Six images, as they are and with parts filled in, with some captions each: the first captions of all, then the
/// second ones. With `full_captions` all of them have the longest length.
struct Data {
  std::vector<double> pixels = std::vector<double>(batch * TinyClip::PixelRow::width), filled = pixels;
  radapt::Captions captions = radapt::Captions::of<TinyClip>();
  std::vector<std::int32_t> groups{0, 1, 2, 0, 3, 1};
  std::vector<std::uint8_t> kept = std::vector<std::uint8_t>(batch * (TinyClip::image_tokens - 1));
  explicit Data(Index captions_per_pair, bool full_captions = false, std::uint64_t which = 0) {
    radapt::Random random(5, which);
    for (double& x : pixels) { x = random.normal(); }
    for (Index i = 0; i < captions_per_pair * batch; ++i) {
      std::vector<std::int64_t> ids{14};
      const Index words = full_captions ? Tiny::context - 2 : 1 + i % 3;
      for (Index t = 0; t < words; ++t) { ids.push_back(static_cast<std::int64_t>(random.below(14))); }
      ids.push_back(15);
      captions.add(ids);
    }
    for (double& x : filled) { x = random.normal(); }
    for (Index i = 0; i < kept.size(); ++i) { kept[i] = i % 3 == 0 || full_captions ? 1 : 0; }
  }
  template <class Trainer>
  typename Trainer::Batch batch_of() const {
    if constexpr (std::is_same_v<typename Trainer::recipe::loss::needs, radapt::needs_head>) {
      typename Trainer::Batch labelled{.pixels = pixels, .labels = groups};
      if constexpr (radapt::loss::term_needs<typename Trainer::recipe::loss>::kept_patches) {
        labelled.kept = kept;
      } else if constexpr (radapt::loss::term_needs<typename Trainer::recipe::loss>::filled_images) {
        labelled.filled = filled;
      }
      return labelled;
    } else {
      return {.pixels = pixels, .captions = &captions, .groups = groups};
    }
  }
};

/// The model that a recipe trains, with a head where it has one.
template <class Model>
radapt::Weights<Model, double> first_weights() {
  radapt::Weights<TinyClip, double> clip;
  radapt::initialise_clip(clip, 3);
  if constexpr (std::is_same_v<Model, TinyClip>) {
    return clip;
  } else {
    std::vector<double> head(classes * Tiny::embed);
    radapt::Random random(9);
    for (double& x : head) { x = 0.1 * random.normal(); }
    return radapt::detail::with_zero_shot_head<Model>(clip, head);
  }
}
inline radapt::TrainOptions options(Index micro = 0, double rate = 1e-3) {
  radapt::TrainOptions o;
  o.size = {.batch = batch, .micro_batch = micro};
  o.schedule = {.base = rate, .warmup = 0, .total = 20, .minimum = 0};
  o.clip_norm = 0;
  return o;
}

template <class Recipe>
using TrainerOf = radapt::Trainer<Recipe, radapt::reference, double>;

inline void add_noise(radapt::Buffer<double>& buffer, std::uint64_t seed) {
  radapt::Random random(seed);
  for (double& p : buffer) { p += 0.05 * random.normal(); }
}
/// Moves the parameters off the weights of the teachers, so that the terms do not vanish.
template <class Trainer>
void disturb(Trainer& trainer) {
  add_noise(trainer.state().parameter_buffer(), 21);
}

/// Everything that is minimised, at the trainer's parameters; the gradient is in its buffer. For trainers whose rate is
/// zero: nothing moves.
template <class Trainer>
radapt::StepReport objective_at(Trainer& trainer, const Data& data) {
  trainer.set_steps(1);
  return trainer.step(data.batch_of<Trainer>());
}

/// The gradient of everything that is minimised along a random direction, against central differences.
template <class Trainer>
void check_slope(Trainer& trainer, const Data& data) {
  auto& parameters = trainer.state().parameter_buffer();
  radapt::Random random(33);
  std::vector<double> direction(parameters.size());
  for (double& d : direction) { d = random.normal(); }
  const auto move = [&](double by) {
    for (Index i = 0; i < parameters.size(); ++i) { parameters[i] += by * direction[i]; }
  };
  objective_at(trainer, data);
  double slope = 0;
  for (Index i = 0; i < parameters.size(); ++i) { slope += trainer.state().gradient_buffer()[i] * direction[i]; }
  // Third differences of the loss along a direction of length about 100 are some 1e3: a step of 1e-5 leaves an error of
  // 1e-7 of truncation and 1e-10 of rounding; the slope is of order 10.
  constexpr double h = 1e-5;
  move(h);
  const double above = objective_at(trainer, data).loss;
  move(-2 * h);
  const double below = objective_at(trainer, data).loss;
  CHECK(slope == doctest::Approx((above - below) / (2 * h)).epsilon(1e-6));
}

/// The same for every tensor by itself: a gradient of one that is missing does not hide behind the others.
template <class Trainer>
void check_slopes(Trainer& trainer, const Data& data) {
  auto& parameters = trainer.state().parameter_buffer();
  objective_at(trainer, data);
  const std::vector<double> gradient(trainer.state().gradient_buffer().begin(),
                                     trainer.state().gradient_buffer().end());
  for (const auto& slot : trainer.state().slots()) {
    CAPTURE(slot.name);
    radapt::Random random(35, slot.offset);
    const std::vector<double> before(parameters.begin() + slot.offset, parameters.begin() + slot.offset + slot.size);
    std::vector<double> direction(slot.size);
    double slope = 0;
    for (Index i = 0; i < slot.size; ++i) {
      direction[i] = random.normal();
      slope += gradient[slot.offset + i] * direction[i];
    }
    const auto at = [&](double by) {
      for (Index i = 0; i < slot.size; ++i) { parameters[slot.offset + i] = before[i] + by * direction[i]; }
      return objective_at(trainer, data).loss;
    };
    constexpr double h = 1e-4;
    // Four points: the error is of order h^4 times the fifth difference, below 1e-9, and rounding 1e-14 / h.
    const double difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    at(0.0);
    CHECK(std::abs(slope - difference) < 1e-7 * (1 + std::abs(difference)));
  }
}

template <class Trainer>
std::vector<double> gradient_of(Trainer& trainer) {
  return {trainer.state().gradient_buffer().begin(), trainer.state().gradient_buffer().end()};
}

/// Loss and gradients of micro-batches against those of the whole batch.
template <class Recipe>
void check_micro_batches(const Data& data, const typename Recipe::loss& loss = {}) {
  const auto base = first_weights<typename Recipe::trained>();
  TrainerOf<Recipe> whole(base, options(0, 0.0), loss);
  disturb(whole);
  const double expected = objective_at(whole, data).loss;
  for (const Index micro : {Index{1}, Index{4}}) {
    CAPTURE(micro);
    TrainerOf<Recipe> split(base, options(micro, 0.0), loss);
    disturb(split);
    CHECK(objective_at(split, data).loss == doctest::Approx(expected).epsilon(1e-14));  // sums of other sub-batches
    double worst = 0, largest = 0;
    for (Index i = 0; i < whole.state().size(); ++i) {
      worst = std::max(worst, std::abs(whole.state().gradient_buffer()[i] - split.state().gradient_buffer()[i]));
      largest = std::max(largest, std::abs(whole.state().gradient_buffer()[i]));
    }
    CHECK(worst < 1e-13 * largest);
  }
}

/// The arena's peaks in a step of the largest size against the plan.
template <class Recipe>
void check_memory(Index captions_per_pair, Index micro) {
  CAPTURE(micro);
  const auto base = first_weights<typename Recipe::trained>();
  TrainerOf<Recipe> trainer(base, options(micro));
  const auto plan = TrainerOf<Recipe>::memory(base, options(micro));
  objective_at(trainer, Data(captions_per_pair, /*full_captions=*/true));
  // A batch that is cut keeps one tower at a time; one of a micro-batch's size, which may come last, keeps both.
  const Index kept = trainer.context().arena.kept_peak();
  CHECK((micro == 0 ? kept == plan.activations : kept <= plan.activations));
  CHECK(trainer.context().arena.scratch_peak() == plan.scratch);
}

}  // namespace radapt_test
