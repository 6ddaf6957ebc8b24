/// What is built on features, on the CUDA backends against the CPU: dense features, segmentation, Tip-Adapter.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/task/segmenter.hpp"
#include "radapt/task/tip_adapter.hpp"
#include "support/tolerance.hpp"
#include "task/tiny_clip.hpp"

using namespace radapt_test;
namespace task = radapt::task;

namespace {

using M = Model<2>;

/// Of three images, two at a time, so that the memory of the first two is used again.
template <class Backend>
std::vector<float> dense_features(const radapt::Weights<M>& weights) {
  using Session = task::DenseSession<M, Backend>;
  Session session(weights, 2);
  std::vector<float> features(3 * Session::patches * Session::embed);
  session.encode(noise<float>(3 * Session::pixels_per_image, 3), features);
  return features;
}

/// What a Tip-Adapter says, and how it trains.
struct TipRun {
  std::vector<float> logits, gradient, keys, trained_logits;
  std::vector<double> losses;
  double loss = 0, alpha = 0, beta = 0, accuracy = 0;
};
std::vector<float> unit_rows(Index rows, Index width, std::uint64_t seed) {
  std::vector<float> x = noise<float>(rows * width, seed);
  for (Index i = 0; i < rows; ++i) {
    float squares = 0;
    for (Index e = 0; e < width; ++e) { squares += x[i * width + e] * x[i * width + e]; }
    for (Index e = 0; e < width; ++e) { x[i * width + e] /= std::sqrt(squares); }
  }
  return x;
}
template <class Backend>
TipRun tip_run() {
  constexpr Index embed = 16, classes = 5, shots = 20, samples = 40;
  const auto labels_of = [](Index count) {
    std::vector<std::int32_t> labels(count);
    for (Index i = 0; i < count; ++i) { labels[i] = static_cast<std::int32_t>(i * 3 % classes); }
    return labels;
  };
  const auto key_labels = labels_of(shots), labels = labels_of(samples);
  const auto features = noise<float>(samples * embed, 3);
  task::TipAdapter<Backend> tip(unit_rows(shots, embed, 1), key_labels, unit_rows(classes, embed, 2), classes, embed,
                                {.alpha = 1.2, .beta = 2.5, .scale = 10});
  TipRun run;
  run.logits = tip.logits(features);
  radapt::Buffer<float> gradient(shots * embed, radapt::memory_of<Backend>());  // read here as soon as it is there
  run.loss = tip.loss(features, labels, {gradient.data(), gradient.size()});
  run.gradient.assign(gradient.begin(), gradient.end());
  const task::TipChoice choice = tip.search(features, labels, {.beta_steps = 6, .alpha_steps = 5});
  run.alpha = choice.alpha;
  run.beta = choice.beta;
  run.accuracy = choice.accuracy;
  run.losses = tip.train(features, labels, {.epochs = 3, .batch = 16});
  run.keys.assign(tip.keys().begin(), tip.keys().end());
  run.trained_logits = tip.logits(features);
  return run;
}

}  // namespace

TEST_CASE("cuda: dense features are those of the CPU") {
  const auto weights = weights_of<M, float>();
  const auto cpu = dense_features<radapt::onednn>(weights);
  // The bound of features in float (docs/numerics.md).
  CHECK(normalised_error(dense_features<radapt::cuda>(weights), cpu) < 1e-5);
  // Factors are off by 2^-9, through two blocks.
  const double error = normalised_error(dense_features<radapt::cuda_bf16>(weights), cpu);
  CHECK(error < 2e-2);
  CHECK(error > 1e-4);
}

TEST_CASE("cuda: a segmented image is that of the CPU") {
  const auto weights = weights_of<M, float>();
  radapt::Image image = radapt::zero_image(19, 14, radapt::PixelMode::rgb);
  radapt::Random random(5);
  for (Index y = 0; y < 14; ++y) {
    for (Index i = 0; i < 3 * 19; ++i) { image.row(y)[i] = static_cast<std::uint8_t>(random.below(256)); }
  }
  const auto scores = [&]<class Backend>(std::type_identity<Backend>) {
    task::Segmenter<M, Backend> segmenter(weights, unit_rows(3, M::arch::embed, 7));
    return segmenter.scores(image).mean();
  };
  CHECK(normalised_error(scores(std::type_identity<radapt::cuda>{}), scores(std::type_identity<radapt::onednn>{})) <
        1e-5);
}

TEST_CASE("cuda: Tip-Adapter votes, is searched and trains as on the CPU") {
  const TipRun cpu = tip_run<radapt::onednn>(), gpu = tip_run<radapt::cuda>();
  // Of the methods of docs/numerics.md in float.
  CHECK(normalised_error(gpu.logits, cpu.logits) < 1e-5);
  CHECK(gpu.loss == doctest::Approx(cpu.loss).epsilon(1e-5));
  CHECK(normalised_error(gpu.gradient, cpu.gradient) < 1e-5);
  CHECK(gpu.alpha == cpu.alpha);
  CHECK(gpu.beta == cpu.beta);
  CHECK(gpu.accuracy == cpu.accuracy);
  // Nine steps of AdamW at rates up to 1e-3: an element whose gradient is near zero moves as rounding decides.
  CHECK(normalised_error(gpu.losses, cpu.losses) < 1e-5);
  CHECK(normalised_error(gpu.keys, cpu.keys) < 1e-4);
  CHECK(normalised_error(gpu.trained_logits, cpu.trained_logits) < 1e-4);
  CHECK(normalised_error(gpu.trained_logits, gpu.logits) > 1e-3);  // there was something to train
}
