/// Training with activations that are computed again: the bits, the memory and the allocations of a step.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/trainer.hpp"
#include "support/allocations.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt::Index;
using radapt::onednn;
using radapt::Trainer;
using radapt::with_recompute;
using radapt_test::SmallArch;
using radapt_test::SmallPairs;
namespace recipe = radapt::recipe;
namespace recompute = radapt::recompute;

using RAdapter = recipe::r_adapter<SmallArch>;
using AdaptFormer = recipe::adapt_former<SmallArch, 8, radapt::loss::Contrastive>;
using Flyp = recipe::flyp<SmallArch>;

// A second word takes the place of the first.
static_assert(std::is_same_v<with_recompute<with_recompute<RAdapter, recompute::block>>, with_recompute<RAdapter>>);

radapt::TrainOptions options(Index micro_batch) {
  radapt::TrainOptions o{.size = {.batch = SmallPairs::batch, .micro_batch = micro_batch}};
  o.schedule = {.base = 1e-2, .warmup = 0, .total = 10, .minimum = 0};
  o.adapter_drop = 0.4;
  o.dropout = 0.3;
  return o;
}

/// Losses, and all that three steps left of the parameters.
template <class R>
std::vector<float> three_steps(Index micro_batch) {
  radapt::Weights<typename R::trained> weights;
  radapt::initialise_clip(weights, 1);
  Trainer<R, onednn> trainer(weights, options(micro_batch));
  std::vector<float> all;
  for (std::uint64_t i = 0; i < 3; ++i) { all.push_back(static_cast<float>(trainer.step(SmallPairs(i).view()).loss)); }
  const auto& parameters = trainer.state().parameter_buffer();
  all.insert(all.end(), parameters.begin(), parameters.end());
  return all;
}
template <class R, class Again>
void same_bits() {
  for (const Index micro_batch : {Index{0}, Index{3}}) {
    CAPTURE(micro_batch);
    const auto a = three_steps<R>(micro_batch), b = three_steps<Again>(micro_batch);
    REQUIRE(a.size() == b.size());
    CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
  }
}

/// A step on captions that fill the context takes what was planned; returns the bytes of activations.
template <class R>
Index planned_activations(Index micro_batch) {
  radapt::Weights<typename R::trained> weights;
  radapt::initialise_clip(weights, 1);
  Trainer<R, onednn> trainer(weights, options(micro_batch));
  SmallPairs pairs;
  pairs.captions.clear();
  std::vector<std::int64_t> ids(SmallArch::context, 1);
  ids.back() = SmallArch::vocabulary - 1;
  for (Index i = 0; i < SmallPairs::batch; ++i) {
    ids[1] = static_cast<std::int64_t>(i);  // no two of them are equal
    pairs.captions.add(ids);
  }
  trainer.step(pairs.view());
  const auto plan = Trainer<R, onednn>::memory(weights, options(micro_batch));
  CHECK(trainer.context().arena.scratch_peak() == plan.scratch);
  if (micro_batch == 0) {
    CHECK(trainer.context().arena.kept_peak() == plan.activations);
  } else {
    CHECK(trainer.context().arena.kept_peak() <= plan.activations);
  }
  return plan.activations;
}

template <class R>
long allocations_after_warming_up() {
  radapt::Weights<typename R::trained> weights;
  radapt::initialise_clip(weights, 1);
  Trainer<R, onednn> trainer(weights, options(SmallPairs::batch / 2));
  const auto allocations_of_step = [&](std::uint64_t which) {
    const SmallPairs pairs(which);
    return radapt_test::Allocations::of([&] { trainer.step(pairs.view()); });
  };
  // The backend's workspace grows to what the longest captions and the fewest dropped adapters take: once.
  CHECK(allocations_of_step(0) > 0);
  for (std::uint64_t i = 1; i < 20; ++i) { allocations_of_step(i); }
  long allocations = 0;
  for (std::uint64_t i = 0; i < 20; ++i) { allocations += allocations_of_step(i); }
  return allocations;
}

}  // namespace

TEST_CASE("training with recomputed MLPs gives the bits of training without") {
  same_bits<RAdapter, with_recompute<RAdapter>>();
  same_bits<AdaptFormer, with_recompute<AdaptFormer>>();
}
TEST_CASE("training with recomputed blocks gives the bits of training without") {
  same_bits<RAdapter, with_recompute<RAdapter, recompute::block>>();
  same_bits<Flyp, with_recompute<Flyp, recompute::block>>();
}
TEST_CASE("a step with recomputed activations takes what was planned, which is less") {
  constexpr Index width = 64, hidden = 256;
  constexpr Index images = SmallPairs::batch * 17;
  // What the MLP branch of a block keeps of these tokens under R-Adapter: the activation's input, the adapter's, two
  // statistics and a mask.
  const auto branch = [](Index tokens) {
    return sizeof(float) * tokens * (hidden + width) + 2 * radapt::padded(sizeof(float) * tokens) +
           radapt::padded(tokens);
  };
  // Of two blocks the first keeps its branch no more. On the way back that of the captions comes first: it lies where
  // it would have been kept. That of the images lies where captions kept what they needed.
  const Index whole = planned_activations<RAdapter>(0);
  CHECK(planned_activations<with_recompute<RAdapter>>(0) == whole - branch(images));
  CHECK(10 * planned_activations<with_recompute<RAdapter, recompute::block>>(0) < 6 * whole);  // one block of two
  CHECK(planned_activations<with_recompute<Flyp, recompute::block>>(0) < planned_activations<with_recompute<Flyp>>(0));
  planned_activations<with_recompute<RAdapter>>(3);
}
TEST_CASE("a classifier with recomputed blocks gives the bits of one without, in what was planned") {
  using Plain = recipe::wise_ft<SmallArch>;
  using Again = with_recompute<Plain, recompute::block>;
  const auto run = []<class R>(std::type_identity<R>) {
    radapt::Weights<typename R::trained> weights(6);
    radapt::Random random(2);
    for (float& w : weights.buffer()) { w = static_cast<float>(0.05 * random.normal()); }
    Trainer<R, onednn> trainer(weights, options(0));
    const SmallPairs pairs;
    for (int i = 0; i < 3; ++i) { trainer.step({.pixels = pairs.pixels, .labels = pairs.groups}); }
    const auto plan = Trainer<R, onednn>::memory(weights, options(0));
    CHECK(trainer.context().arena.kept_peak() == plan.activations);
    CHECK(trainer.context().arena.scratch_peak() == plan.scratch);
    const auto& parameters = trainer.state().parameter_buffer();
    return std::vector<float>(parameters.begin(), parameters.end());
  };
  CHECK(run(std::type_identity<Plain>{}) == run(std::type_identity<Again>{}));
}
TEST_CASE("a step with recomputed activations allocates nothing") {
  CHECK(allocations_after_warming_up<with_recompute<RAdapter>>() == 0);
  CHECK(allocations_after_warming_up<with_recompute<RAdapter, recompute::block>>() == 0);
}
