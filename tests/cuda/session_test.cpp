/// Features on the CUDA backends against those on the CPU, from and into memory of the host, and of the GPU.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "support/tolerance.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt_test::SmallArch;
using radapt_test::SmallPairs;
using Model = radapt::Clip<SmallArch>;

struct Features {
  std::vector<float> images, texts, normalised_texts;
};
/// In pieces of three, so that the last one is smaller.
template <class Backend>
Features features(const radapt::Weights<Model>& weights) {
  const SmallPairs pairs;
  radapt::Session<Model, Backend> session(weights, {.images = 3, .captions = 3});
  Features f;
  f.images.resize(SmallPairs::batch * SmallArch::embed);
  f.texts.resize(f.images.size());
  session.encode_images(pairs.pixels, f.images);
  session.encode_texts(pairs.captions, f.texts);
  f.normalised_texts = f.texts;
  session.normalize(f.normalised_texts);
  return f;
}

/// Everything in memory that the backend shares with the host, read as soon as a call returns.
template <class Backend>
Features features_in_its_memory(const radapt::Weights<Model>& weights) {
  const SmallPairs pairs;
  radapt::Session<Model, Backend> session(weights, {.images = 3, .captions = 3});
  radapt::Buffer<float> pixels(pairs.pixels.size(), radapt::input_memory_of<Backend>());
  std::copy(pairs.pixels.begin(), pairs.pixels.end(), pixels.begin());
  radapt::Buffer<float> out(SmallPairs::batch * SmallArch::embed, radapt::memory_of<Backend>());
  Features f;
  session.encode_images({pixels.data(), pixels.size()}, {out.data(), out.size()});
  f.images.assign(out.begin(), out.end());
  session.encode_texts(pairs.captions, {out.data(), out.size()});
  f.texts.assign(out.begin(), out.end());
  session.normalize({out.data(), out.size()});
  f.normalised_texts.assign(out.begin(), out.end());
  return f;
}

/// Logits of a classifier, into memory of the host and into that of the backend.
template <class Backend>
std::array<std::vector<float>, 2> logits(const radapt::Weights<radapt::Classifier<Model>>& weights) {
  const SmallPairs pairs;
  radapt::ClassifierSession<radapt::Classifier<Model>, Backend> session(weights, {.images = 3});
  radapt::Buffer<float> out(SmallPairs::batch * weights.classes(), radapt::memory_of<Backend>());
  session.logits(pairs.pixels, {out.data(), out.size()});
  std::vector<float> first(out.begin(), out.end()), second(first.size());
  session.logits(pairs.pixels, second);
  return {first, second};
}

}  // namespace

TEST_CASE("cuda: features of images and captions are those of the CPU") {
  radapt::Weights<Model> weights;
  radapt::initialise_clip(weights, 1);
  const Features cpu = features<radapt::onednn>(weights);
  for (const Features& gpu : {features<radapt::cuda>(weights), features_in_its_memory<radapt::cuda>(weights)}) {
    // The bound of features in float (docs/numerics.md).
    CHECK(radapt_test::normalised_error(gpu.images, cpu.images) < 1e-5);
    CHECK(radapt_test::normalised_error(gpu.texts, cpu.texts) < 1e-5);
    CHECK(radapt_test::normalised_error(gpu.normalised_texts, cpu.normalised_texts) < 1e-5);
  }
  // Factors are off by 2^-9, and two blocks of them add up.
  const Features rounded = features<radapt::cuda_bf16>(weights);
  const double error = radapt_test::normalised_error(rounded.images, cpu.images);
  CHECK(error < 2e-2);
  CHECK(error > 1e-4);
}

TEST_CASE("cuda: logits of a classifier are those of the CPU") {
  radapt::Weights<Model> clip;
  radapt::initialise_clip(clip, 1);
  radapt::Random random(2);
  std::vector<float> head(5 * SmallArch::embed);
  for (float& x : head) { x = static_cast<float>(random.normal()); }
  const auto weights = radapt::zero_shot_classifier(clip, head);
  const auto cpu = logits<radapt::onednn>(weights), gpu = logits<radapt::cuda>(weights);
  CHECK(radapt_test::normalised_error(gpu[0], cpu[0]) < 1e-5);
  CHECK(gpu[1] == gpu[0]);
}
