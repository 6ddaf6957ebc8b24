/// A training step takes its memory before the first one: later ones allocate nothing.
#include <doctest/doctest.h>

#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"
#include "support/counting_operators.hpp"

namespace {

using radapt::Index;

struct Small : radapt::arch::Defaults {
  static constexpr Index embed = 16, image = 16, patch = 4, context = 12, vocabulary = 50;
  static constexpr radapt::TowerSize vision{32, 2, 2, 128}, text{32, 2, 2, 128};
};
using Recipe = radapt::recipe::r_adapter<Small>;
using Model = Recipe::trained;
constexpr Index batch = 8;

/// Pairs whose captions have other lengths in every batch.
struct Pairs {
  std::vector<float> pixels = std::vector<float>(batch * Model::PixelRow::width);
  radapt::Captions captions = radapt::Captions::of<Model>();
  std::vector<std::int32_t> groups{0, 1, 2, 0, 3, 4, 5, 1};

  explicit Pairs(std::uint64_t which) {
    radapt::Random random(7, which);
    for (float& x : pixels) { x = static_cast<float>(random.normal()); }
    for (Index i = 0; i < batch; ++i) {
      std::vector<std::int64_t> ids(3 + random.below(9), 1);
      ids.back() = Small::vocabulary - 1;
      captions.add(ids);
    }
  }
};

}  // namespace

TEST_CASE("a step allocates nothing, whatever the captions' lengths and the adapters that are dropped") {
  radapt::Weights<Model> weights;
  radapt::initialise_clip(weights, 1);
  for (const Index micro_batch : {batch, batch / 2}) {
    radapt::TrainOptions options{.size = {.batch = batch, .micro_batch = micro_batch}, .adapter_drop = 0.4};
    radapt::Trainer<Recipe, radapt::onednn> trainer(weights, options);
    const auto allocations_of_step = [&](std::uint64_t which) {
      const Pairs pairs(which);
      return radapt_test::Allocations::of(
          [&] { trainer.step({.pixels = pairs.pixels, .captions = &pairs.captions, .groups = pairs.groups}); });
    };
    // The backend's workspace grows to what the longest captions and the fewest dropped adapters take: once.
    CHECK(allocations_of_step(0) > 0);
    for (std::uint64_t i = 1; i < 20; ++i) { allocations_of_step(i); }
    long allocations = 0;
    for (std::uint64_t i = 0; i < 20; ++i) { allocations += allocations_of_step(i); }
    CHECK(allocations == 0);
  }
}
