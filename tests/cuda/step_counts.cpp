/// How often the host waits for a GPU in a step, and what a first step launches besides, which only the stand-in can
/// count.
#define RADAPT_CUDA_ON_HOST "cuda/on_host.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/cuda/kernels/runtime.cuh"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/train/trainer.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt::Index;
using radapt_test::SmallArch;
using radapt_test::SmallPairs;
using radapt_test::on_host::Counts;
namespace recipe = radapt::recipe;

template <class Trainer>
auto pairs_or_labels(const SmallPairs& pairs) {
  if constexpr (requires(typename Trainer::Batch b) { b.captions; }) {
    return pairs.view();
  } else {
    return typename Trainer::Batch{.pixels = pairs.pixels, .labels = pairs.groups};
  }
}

/// Of a Clip, or of a Classifier of six classes.
template <class Model>
radapt::Weights<Model> first_weights() {
  if constexpr (requires { typename Model::clip; }) {
    const std::vector<float> head(6 * SmallArch::embed, 0.1F);
    return radapt::zero_shot_classifier(first_weights<typename Model::clip>(), head);
  } else {
    radapt::Weights<Model> weights;
    radapt::initialise_clip(weights, 1);
    return weights;
  }
}

/// The most waits of a step behind the first, which takes memory.
template <class Recipe, class Backend>
Index waits(radapt::TrainOptions options) {
  const auto weights = first_weights<typename Recipe::trained>();
  options.size.batch = SmallPairs::batch;
  radapt::Trainer<Recipe, Backend> trainer(weights, options);
  Index most = 0;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const SmallPairs pairs(i);
    const Index before = Counts::all().waits;
    trainer.step(pairs_or_labels<decltype(trainer)>(pairs));
    if (i > 0) { most = std::max(most, Counts::all().waits - before); }
  }
  return most;
}

}  // namespace

TEST_CASE_TEMPLATE("cuda: a step waits once, at its end", Backend, radapt::cuda, radapt::cuda_bf16) {
  const radapt::TrainOptions whole, parts{.size = {.micro_batch = SmallPairs::batch / 2}},
      products{.average = {.target = radapt::Average::Target::product}};
  CHECK(waits<SmallPairs::Recipe, Backend>(whole) == 1);
  CHECK(waits<SmallPairs::Recipe, Backend>(parts) == 1);
  CHECK(waits<SmallPairs::Recipe, Backend>(products) == 1);
  CHECK(waits<recipe::flyp<SmallArch>, Backend>(whole) == 1);
  CHECK(waits<recipe::l2_sp<SmallArch>, Backend>(whole) == 1);
  CHECK(waits<recipe::wise_ft<SmallArch>, Backend>(whole) == 1);
  CHECK(waits<recipe::wise_ft<SmallArch>, Backend>(parts) == 1);
}

TEST_CASE("cuda_bf16: frozen weights are rounded in the first pass that multiplies by them, and in no other") {
  const auto weights = first_weights<SmallPairs::Model>();
  const SmallPairs pairs;
  const auto more_in_the_first = [](auto&& pass) {
    const Index before = Counts::all().kernels;
    pass();
    const Index first = Counts::all().kernels - before;
    pass();
    return first - (Counts::all().kernels - before - first);
  };
  // Two blocks with the weights of q, k, v together, of the output, and of two layers of the mlp, in both towers, two
  // projections and the patches; masks of adapters change nothing.
  const auto step = [&]<class Backend>(std::type_identity<Backend>) {
    radapt::Trainer<SmallPairs::Recipe, Backend> trainer(weights, {.size = {.batch = SmallPairs::batch}});
    return more_in_the_first([&] { trainer.step(pairs.view()); });
  };
  CHECK(step(std::type_identity<radapt::cuda_bf16>{}) == 2 * 2 * 4 + 3);
  CHECK(step(std::type_identity<radapt::cuda>{}) == 0);
  const auto images = [&](bool constant) {
    radapt::Session<SmallPairs::Model, radapt::cuda_bf16> session(
        weights, {.images = SmallPairs::batch, .constant_weights = constant});
    std::vector<float> features(SmallPairs::batch * SmallArch::embed);
    return more_in_the_first([&] { session.encode_images(pairs.pixels, features); });
  };
  CHECK(images(true) > 2 * 4);  // adapters, too
  CHECK(images(false) == 0);
}

TEST_CASE("cuda: a step that is not finite changes nothing") {
  radapt::Weights<SmallPairs::Model> weights;
  radapt::initialise_clip(weights, 1);
  radapt::Trainer<SmallPairs::Recipe, radapt::cuda> trainer(weights, {.size = {.batch = SmallPairs::batch}});
  SmallPairs pairs;
  trainer.step(pairs.view());
  const auto state = [&] {
    std::vector<float> all;
    for (const auto* b : {&trainer.state().parameter_buffer(), &trainer.state().first_moment(),
                          &trainer.state().second_moment(), &trainer.average_buffer()}) {
      all.insert(all.end(), b->begin(), b->end());
    }
    return all;
  };
  const std::vector<float> before = state();
  pairs.pixels[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(trainer.step(pairs.view()), doctest::Contains("not finite: the gradient of '"), radapt::error);
  CHECK(state() == before);
  CHECK(trainer.steps() == 1);
}
