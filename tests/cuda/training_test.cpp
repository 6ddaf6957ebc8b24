/// Runs on the CUDA backends: what the oneDNN backend gives, the same every time, in memory that stops growing.
#include <doctest/doctest.h>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/train/deploy.hpp"
#include "support/tolerance.hpp"
#include "train/ten_steps.hpp"

using radapt_test::SmallPairs;
using radapt_test::ten_steps;
using radapt_test::TenSteps;

TEST_CASE("cuda: a run with dropped adapters is that of the CPU, and repeats bit for bit") {
  const TenSteps cpu = ten_steps<radapt::onednn>(), gpu = ten_steps<radapt::cuda>();
  for (std::size_t i = 0; i < cpu.losses.size(); ++i) {
    // Sums in another order; AdamW makes the rounding of gradients near zero into steps, which grow. Seen: 3e-7, 3e-6.
    CHECK(gpu.losses[i] == doctest::Approx(cpu.losses[i]).epsilon(1e-5));
    CHECK(gpu.norms[i] == doctest::Approx(cpu.norms[i]).epsilon(1e-4));
  }
  const TenSteps again = ten_steps<radapt::cuda>();
  CHECK(again.losses == gpu.losses);
  CHECK(again.parameters == gpu.parameters);
}

TEST_CASE(
    "cuda: a trained logit_scale and averages of products, which the host reads between steps, are those of the CPU") {
  const auto run = []<class Backend>(std::type_identity<Backend>, auto recipe, radapt::TrainOptions options,
                                     double alpha) {
    using Recipe = typename decltype(recipe)::type;
    radapt::Weights<typename Recipe::trained> weights;
    radapt::initialise_clip(weights, 1);
    *weights.tree().logit_scale.data = 5.0F;  // the first step clamps it to ln 100
    options.size.batch = SmallPairs::batch;
    options.schedule = {.base = 1e-3, .warmup = 0, .total = 10, .minimum = 0};
    radapt::Trainer<Recipe, Backend> trainer(weights, options);
    const SmallPairs pairs;
    for (int i = 0; i < 3; ++i) { trainer.step(pairs.view()); }
    const auto left = radapt::deploy(trainer, alpha);
    return std::vector<float>(left.buffer().begin(), left.buffer().end());
  };
  const auto compare = [&](auto recipe, const radapt::TrainOptions& options, double alpha) {
    // Sums in another order through three steps of AdamW at a rate of 1e-3. A step that was read too early is 1e-3, and
    // a thousandth of logit_scale's 4.6 is 2e-4.
    CHECK(radapt_test::normalised_error(run(std::type_identity<radapt::cuda>{}, recipe, options, alpha),
                                        run(std::type_identity<radapt::onednn>{}, recipe, options, alpha)) < 1e-4);
  };
  compare(std::type_identity<radapt::recipe::flyp<radapt_test::SmallArch>>{}, {}, 1.0);
  radapt::TrainOptions products{.average = {.momentum = 0.5, .target = radapt::Average::Target::product}};
  compare(std::type_identity<SmallPairs::Recipe>{}, products, 1000.0);  // what the adapters do is all that is left
}

TEST_CASE("cuda: after its first step a run takes no more memory, and gives all of it back") {
  const radapt::Index before = radapt::cuda::memory_taken();
  {
    radapt::Weights<SmallPairs::Model> weights;
    radapt::initialise_clip(weights, 1);
    radapt::Trainer<SmallPairs::Recipe, radapt::cuda> trainer(weights, {.size = {.batch = SmallPairs::batch}});
    const SmallPairs pairs;
    trainer.step(pairs.view());
    const radapt::Index after_one = radapt::cuda::memory_taken();
    CHECK(after_one > before);
    for (int i = 0; i < 3; ++i) { trainer.step(pairs.view()); }
    CHECK(radapt::cuda::memory_taken() == after_one);
  }
  CHECK(radapt::cuda::memory_taken() == before);
}
