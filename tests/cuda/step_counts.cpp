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
#include "radapt/clip/session.hpp"
#include "radapt/loss/cross_fnorm.hpp"
#include "radapt/train/trainer.hpp"
#include "train/small_batches.hpp"

namespace {

using radapt::Index;
using radapt_test::SmallArch;
using radapt_test::SmallPairs;
using radapt_test::on_host::Counts;
namespace recipe = radapt::recipe;

/// The most waits of a step behind the first, which takes memory.
template <class Recipe, class Backend>
Index waits(radapt::TrainOptions options) {
  const auto weights = radapt_test::small_weights<typename Recipe::trained>();
  options.size.batch = SmallPairs::batch;
  radapt::Trainer<Recipe, Backend> trainer(weights, options);
  Index most = 0;
  for (std::uint64_t i = 0; i < 4; ++i) {
    const SmallPairs pairs(i);
    const Index before = Counts::all().waits;
    trainer.step(radapt_test::SmallBatch<Recipe>(pairs).view());
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
  CHECK(waits<recipe::carot<SmallArch, radapt::loss::CrossFNorm>, Backend>(whole) == 1);
  CHECK(waits<recipe::star_ft<SmallArch>, Backend>(whole) == 1);
  CHECK(waits<recipe::mask_fill<SmallArch>, Backend>(parts) == 1);
  CHECK(waits<recipe::wise_ft<SmallArch>, Backend>(whole) == 1);
  CHECK(waits<recipe::wise_ft<SmallArch>, Backend>(parts) == 1);
}

TEST_CASE("cuda_bf16: frozen weights are rounded in the first pass that multiplies by them, and in no other") {
  const auto weights = radapt_test::small_weights<SmallPairs::Model>();
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
  const auto weights = radapt_test::small_weights<SmallPairs::Model>();
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
