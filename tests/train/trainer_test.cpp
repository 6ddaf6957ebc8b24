/// Laws of training on a tiny model: plan and peak, equal bits, splitting a batch, diverging, averages.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "radapt/train/carry_over.hpp"
#include "radapt/train/deploy.hpp"
#include "train/tiny_run.hpp"

using namespace radapt_test::tiny_run;
using radapt::Index;

TEST_CASE("adapters start as the identity: only U has a gradient in the first step") {
  const auto weights = first_weights();
  Trainer trainer(weights, options());
  trainer.step(Data(0).get());
  for (const auto& slot : trainer.state().slots()) {
    CAPTURE(slot.name);
    const float* g = trainer.state().gradient_buffer().data() + slot.offset;
    const bool zero = std::all_of(g, g + slot.size, [](float x) { return x == 0.0f; });
    CHECK(zero == !slot.name.ends_with(".U"));
  }
}

TEST_CASE("a step takes what was planned") {
  const auto weights = first_weights();
  Trainer trainer(weights, options());
  const auto plan = Trainer::memory(weights, options());
  // The plan is for captions that fill the context; at that length the peak is the plan.
  Data data(0);
  data.captions.clear();
  for (Index b = 0; b < batch; ++b) { data.captions.add(std::vector<std::int64_t>{14, 1, 2, 3, 4, 5, 6, 15}); }
  trainer.step(data.get());
  CHECK(trainer.context().arena.kept_peak() == plan.activations);
  CHECK(trainer.context().arena.scratch_peak() == plan.scratch);
  CHECK(trainer.context().arena.capacity() == plan.activations + plan.scratch - plan.shared);
  CHECK(plan.shared > 0);  // the image tower works in more scratch, part of it where captions kept what they needed
}

TEST_CASE("equal runs give equal bits") {
  const auto weights = first_weights();
  Trainer a(weights, options()), b(weights, options());
  train(a, 4);
  train(b, 4);
  CHECK(same_bits(a.state().parameter_buffer(), b.state().parameter_buffer()));
  CHECK(same_bits(a.average_buffer(), b.average_buffer()));
  auto other = options();
  other.seed = 4;
  Trainer c(weights, other);
  train(c, 4);
  CHECK_FALSE(same_bits(a.state().parameter_buffer(), c.state().parameter_buffer()));
}

TEST_CASE("micro-batches give the gradient of the whole batch") {
  const auto weights = first_weights();
  auto split = options();
  split.size.micro_batch = 4;
  Trainer whole(weights, options()), parts(weights, split);
  train(whole, 1);
  train(parts, 1);
  double difference = 0, largest = 0;
  for (Index i = 0; i < whole.state().size(); ++i) {
    const double a = whole.state().gradient_buffer()[i], b = parts.state().gradient_buffer()[i];
    difference = std::max(difference, std::abs(a - b));
    largest = std::max(largest, std::abs(a));
  }
  CHECK(difference < 1e-5 * largest);  // f32 sums in another order
}

TEST_CASE("a step that is not finite names the tensor and leaves the state alone") {
  const auto weights = first_weights();
  Trainer trainer(weights, options());
  train(trainer, 2);
  const std::vector<float> before(trainer.state().parameter_buffer().begin(), trainer.state().parameter_buffer().end());
  Data bad(2);
  bad.pixels[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(trainer.step(bad.get()), doctest::Contains("training step 2"), radapt::error);
  CHECK(std::equal(before.begin(), before.end(), trainer.state().parameter_buffer().begin()));
  CHECK(trainer.steps() == 2);
}

TEST_CASE("merging is running the adapters, and unmerging restores every bit") {
  const auto weights = first_weights();
  Trainer trainer(weights, options());
  train(trainer, 5);
  const auto averaged = trainer.averaged();
  using Plain = radapt::Clip<Tiny>;
  const Data data(20);
  for (const double alpha : {0.0, 0.4, 1.0, 1.5}) {
    CAPTURE(alpha);
    radapt::Weights<Plain> merged = radapt::merge(alpha, averaged);
    radapt::Session<Plain, radapt::reference> plain(merged);
    radapt::Session<Model, radapt::reference> adapted(averaged, {.adapter_alpha = alpha});
    std::vector<float> a(batch * Tiny::embed), b(batch * Tiny::embed);
    plain.encode_images(data.pixels, a);
    adapted.encode_images(data.pixels, b);
    for (Index i = 0; i < a.size(); ++i) {
      CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-4));
    }  // f32 through two blocks
  }
  radapt::Weights<Plain> plain;
  radapt::copy_by_name(plain, averaged);
  const radapt::Weights<Plain> original = plain;
  radapt::MergedInPlace<Model> merged(0.7, averaged, plain);
  CHECK_FALSE(same_bits(plain.buffer(), original.buffer()));
  merged.unmerge();
  CHECK(same_bits(plain.buffer(), original.buffer()));
}

TEST_CASE("the average of products is the product where one factor stands still") {
  // With U trained and everything else frozen by a zero learning rate the two averages agree; after real steps they do
  // not.
  const auto weights = first_weights();
  auto o = options();
  o.average.target = radapt::Average::Target::product;
  Trainer still(weights, [&] {
    auto z = o;
    z.schedule.base = 0;
    return z;
  }());
  train(still, 3);
  const auto deployed = radapt::deploy(still, 1.0);
  radapt::Weights<radapt::Clip<Tiny>> plain;
  radapt::copy_by_name(plain, weights);
  CHECK(same_bits(deployed.buffer(), plain.buffer()));  // U is zero: so is every product

  Trainer products(weights, o), factors(weights, options());
  train(products, 5);
  train(factors, 5);
  CHECK_FALSE(same_bits(radapt::deploy(products, 1.0).buffer(), radapt::deploy(factors, 1.0).buffer()));
}

TEST_CASE("a run that averages products has no averaged weights") {
  auto o = options();
  o.average.target = radapt::Average::Target::product;
  const auto weights = first_weights();
  Trainer trainer(weights, o);
  CHECK_THROWS_WITH_AS(trainer.averaged(), doctest::Contains("expected a run that averages factors"), radapt::error);
}

TEST_CASE("the schedule guards its own zero over zero") {
  const radapt::WarmupCosine inside{.base = 5e-4, .warmup = 500, .total = 202, .minimum = 1e-6};
  CHECK(inside(201) == doctest::Approx(5e-4 * 202 / 500));
  const radapt::WarmupCosine equal{.base = 3e-5, .warmup = 8, .total = 8, .minimum = 0};
  CHECK(std::isfinite(equal(8)));
  const radapt::WarmupCosine usual{.base = 5e-4, .warmup = 10, .total = 100, .minimum = 0};  // clip_compat.md 6.1
  CHECK(usual(0) == doctest::Approx(5e-5));
  CHECK(usual(9) == doctest::Approx(5e-4));
  CHECK(usual(10) == doctest::Approx(5e-4));
  CHECK(usual(55) == doctest::Approx(2.5e-4));
  CHECK(usual(99) == doctest::Approx(1.5229324523e-7));
  for (const std::uint64_t behind : {100U, 150U, 1000U}) {
    CHECK(usual(behind) == 0.0);
  }  // the cosine would rise again
}

TEST_CASE("an average of products is for adapters alone: nothing else that is trained would be deployed") {
  using Wider = radapt::Recipe<Model, radapt::tune::only<radapt::role::adapter, radapt::role::norm>,
                               radapt::ensemble::During<radapt::Accumulate>, radapt::ensemble::After<radapt::Rescale>,
                               radapt::loss::MpmNce>;
  auto o = options();
  radapt::Trainer<Wider, radapt::reference> factors(first_weights(), o);
  o.average.target = radapt::Average::Target::product;
  CHECK_THROWS_WITH_AS((radapt::Trainer<Wider, radapt::reference>(first_weights(), o)),
                       doctest::Contains("is trained beside the adapters"), radapt::error);
  const auto weights = first_weights();
  Trainer products(weights, o);
  CHECK_THROWS_WITH_AS(radapt::carry_over<Recipe>(products), doctest::Contains("an average of products"),
                       radapt::error);
}

TEST_CASE("samples without a group are no positives of each other") {
  const auto weights = first_weights();
  Trainer trainer(weights, options());
  Data data(0);
  data.groups[4] = -1;
  CHECK_THROWS_WITH_AS(trainer.step(data.get()), doctest::Contains("got -1, which marks a sample without one"),
                       radapt::error);
}

TEST_CASE("bad options are refused with one sentence") {
  const auto weights = first_weights();
  const auto with = [&](auto change) {
    auto o = options();
    change(o);
    return o;
  };
  CHECK_THROWS_WITH_AS(Trainer(weights, with([](auto& o) { o.adapter_drop = 1.0; })), doctest::Contains("adapter_drop"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(Trainer(weights, with([](auto& o) { o.average.momentum = 1.0; })), doctest::Contains("momentum"),
                       radapt::error);
  for (const double rate : {-1.0, std::nan(""), HUGE_VAL}) {
    CHECK_THROWS_WITH_AS(Trainer(weights, with([&](auto& o) { o.schedule.base = rate; })),
                         doctest::Contains("schedule: expected rates that are finite"), radapt::error);
    CHECK_THROWS_WITH_AS(Trainer(weights, with([&](auto& o) { o.schedule.minimum = rate; })),
                         doctest::Contains("schedule: expected rates that are finite"), radapt::error);
  }
  const auto beta = [&](std::uint64_t total, double shape) {
    return with([&](auto& o) {
      o.average.kind = radapt::Average::Kind::beta;
      o.average.beta = shape;
      o.schedule.total = total;
    });
  };
  for (const auto& o : {beta(0, 0.5), beta(8, 0.0), beta(8, -1.0), beta(8, HUGE_VAL)}) {
    CHECK_THROWS_WITH_AS(Trainer(weights, o), doctest::Contains("weigh the steps of a Beta average"), radapt::error);
  }
  Trainer weighed(weights, beta(2, 0.5));
  train(weighed, 2);
  CHECK_THROWS_WITH_AS(weighed.step(Data(2).get()), doctest::Contains("at most 2 steps"), radapt::error);
  const auto averaged = weighed.averaged();
  CHECK(std::all_of(averaged.buffer().begin(), averaged.buffer().end(), [](float x) { return std::isfinite(x); }));
  CHECK_THROWS_WITH_AS(Trainer(weights, options(), {.tau = 0.01, .smoothing = 1.5}), doctest::Contains("smoothing"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(Trainer(weights, with([](auto& o) { o.size.batch = 0; })), doctest::Contains("batch"),
                       radapt::error);
  const auto refuses = [&](const char* message, auto change) {
    CAPTURE(message);
    CHECK_THROWS_WITH_AS(Trainer(weights, with(change)), doctest::Contains(message), radapt::error);
  };
  refuses("expected beta1 and beta2 from 0 to below 1", [](auto& o) { o.optimizer.beta1 = 1; });
  refuses("expected beta1 and beta2 from 0 to below 1", [](auto& o) { o.optimizer.beta2 = 2; });
  refuses("optimizer.eps: expected a finite number above 0", [](auto& o) { o.optimizer.eps = 0; });
  refuses("optimizer.eps: expected a finite number above 0", [](auto& o) { o.optimizer.eps = std::nan(""); });
  refuses("optimizer.weight_decay: expected a finite number of at least 0",
          [](auto& o) { o.optimizer.weight_decay = -5; });
  refuses("clip_norm: expected a length of at least 0", [](auto& o) { o.clip_norm = std::nan(""); });

  Trainer trainer(weights, options());
  Data others(0);
  others.captions = radapt::Captions(Tiny::context, Tiny::vocabulary + 1);
  for (Index b = 0; b < batch; ++b) { others.captions.add(std::vector<std::int64_t>{14, 16}); }
  CHECK_THROWS_WITH_AS(
      trainer.step(others.get()),
      doctest::Contains(
          "expected captions for a model with a context of 8 tokens of 16, got captions for 8 tokens of 17"),
      radapt::error);
  Trainer short_captions(weights, with([](auto& o) { o.size.longest_caption = 3; }));
  Data longer(0);
  longer.captions.clear();
  for (Index b = 0; b < batch; ++b) { longer.captions.add(std::vector<std::int64_t>{14, 1, 2, 15}); }
  CHECK_THROWS_WITH_AS(short_captions.step(longer.get()),
                       doctest::Contains("expected at most 3 tokens, for which memory was taken, got 4"),
                       radapt::error);
  Data large(0);
  large.captions.add(std::vector<std::int64_t>{14, 15});
  CHECK_THROWS_WITH_AS(trainer.step(large.get()), doctest::Contains("1 to 6 samples"), radapt::error);
}
