/// Features on the CUDA backends against those on the CPU, from and into memory of the host.
#include <doctest/doctest.h>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "support/tolerance.hpp"
#include "train/small_pairs.hpp"

namespace {

using radapt_test::SmallArch;
using radapt_test::SmallPairs;
using Model = radapt::Clip<SmallArch>;

struct Features {
  std::vector<float> images, texts;
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
  session.normalize(f.texts);
  return f;
}

}  // namespace

TEST_CASE("cuda: features of images and captions are those of the CPU") {
  radapt::Weights<Model> weights;
  radapt::initialise_clip(weights, 1);
  const Features cpu = features<radapt::onednn>(weights), gpu = features<radapt::cuda>(weights);
  // The bound of features in float (docs/numerics.md).
  CHECK(radapt_test::normalised_error(gpu.images, cpu.images) < 1e-5);
  CHECK(radapt_test::normalised_error(gpu.texts, cpu.texts) < 1e-5);
  // Factors are off by 2^-9, and two blocks of them add up.
  const Features rounded = features<radapt::cuda_bf16>(weights);
  const double error = radapt_test::normalised_error(rounded.images, cpu.images);
  CHECK(error < 2e-2);
  CHECK(error > 1e-4);
}
