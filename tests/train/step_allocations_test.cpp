/// A training step takes its memory before the first one: later ones allocate nothing.
#include <doctest/doctest.h>

#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/trainer.hpp"
#include "support/counting_operators.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt::Index;
using radapt_test::SmallPairs;
using Recipe = SmallPairs::Recipe;
using Model = SmallPairs::Model;
constexpr Index batch = SmallPairs::batch;

}  // namespace

TEST_CASE("a step allocates nothing, whatever the captions' lengths and the adapters that are dropped") {
  radapt::Weights<Model> weights;
  radapt::initialise_clip(weights, 1);
  for (const Index micro_batch : {batch, batch / 2}) {
    radapt::TrainOptions options{.size = {.batch = batch, .micro_batch = micro_batch}, .adapter_drop = 0.4};
    radapt::Trainer<Recipe, radapt::onednn> trainer(weights, options);
    const auto allocations_of_step = [&](std::uint64_t which) {
      const SmallPairs pairs(which);
      return radapt_test::Allocations::of([&] { trainer.step(pairs.view()); });
    };
    // The backend's workspace grows to what the longest captions and the fewest dropped adapters take: once.
    CHECK(allocations_of_step(0) > 0);
    for (std::uint64_t i = 1; i < 20; ++i) { allocations_of_step(i); }
    long allocations = 0;
    for (std::uint64_t i = 0; i < 20; ++i) { allocations += allocations_of_step(i); }
    CHECK(allocations == 0);
  }
}
