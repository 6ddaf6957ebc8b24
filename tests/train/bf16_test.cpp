/// Training with products in bf16: close to float, the same every time, and nothing but products is rounded.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#include "radapt/clip/session.hpp"
#include "train/ten_steps.hpp"

namespace {

using radapt::Index;
using radapt_test::SmallPairs;
using radapt_test::ten_steps;
using radapt_test::TenSteps;
using Model = SmallPairs::Model;
constexpr Index batch = SmallPairs::batch;

}  // namespace

TEST_CASE("a run with products in bf16 follows that in float, and repeats bit for bit") {
  const TenSteps plain = ten_steps<radapt::onednn>(), rounded = ten_steps<radapt::onednn_bf16>();
  for (std::size_t i = 0; i < plain.losses.size(); ++i) {
    // A feature is off by some 2^-8 of its length, which the temperature 0.1 makes 0.04 in a logit, random over the
    // batch. Seen: 6e-4 of the loss, 9e-3 of the norm of the gradients.
    CHECK(rounded.losses[i] == doctest::Approx(plain.losses[i]).epsilon(0.003));
    CHECK(rounded.norms[i] == doctest::Approx(plain.norms[i]).epsilon(0.03));
  }
  CHECK(rounded.losses.back() < rounded.losses.front());
  const TenSteps again = ten_steps<radapt::onednn_bf16>();
  CHECK(again.losses == rounded.losses);
  CHECK(again.parameters == rounded.parameters);
  // It shows that bf16 was used at all, where the processor can.
  CHECK((rounded.parameters == plain.parameters) == !radapt::onednn_bf16::multiplies_bf16());
}

TEST_CASE("features with products in bf16 point where those in float do") {
  radapt::Weights<Model> weights;
  radapt::initialise_clip(weights, 1);
  const SmallPairs pairs;
  std::vector<float> plain(batch * radapt_test::SmallArch::embed), rounded(plain.size());
  radapt::Session<Model, radapt::onednn>(weights, {.images = batch}).encode_images(pairs.pixels, plain);
  radapt::Session<Model, radapt::onednn_bf16>(weights, {.images = batch, .constant_weights = true})
      .encode_images(pairs.pixels, rounded);
  for (Index i = 0; i < batch; ++i) {
    double product = 0, a = 0, b = 0;
    for (Index e = i * radapt_test::SmallArch::embed; e < (i + 1) * radapt_test::SmallArch::embed; ++e) {
      product += static_cast<double>(plain[e]) * static_cast<double>(rounded[e]);
      a += static_cast<double>(plain[e]) * static_cast<double>(plain[e]);
      b += static_cast<double>(rounded[e]) * static_cast<double>(rounded[e]);
    }
    // A random error of 2^-8 of the length, 0.4 %, is a cosine of 1 - 8e-6; seen: 5e-6.
    CHECK(product / std::sqrt(a * b) > 1 - 2e-5);
  }
}
