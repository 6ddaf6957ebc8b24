/// Adapters of models with a head fold as those of a Clip do.
#include <doctest/doctest.h>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/train/deploy.hpp"
#include "support/tolerance.hpp"

using radapt::Index;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 4, vocabulary = 8;
  static constexpr radapt::TowerSize vision{16, 2, 2, 32}, text{16, 2, 1, 32};
};
using Clip = radapt::Clip<Tiny, radapt::RAdapter<radapt::low_rank<2>>>;
constexpr Index classes = 3, images = 4;

template <class Model>
Model with_adapters_drawn(Model weights) {
  radapt::Random random(4);
  radapt::each_named(
      [&](const std::string& name, auto& leaf) {
        if (name.find(".adapter.") == std::string::npos) { return; }
        for (Index i = 0; i < leaf.size(); ++i) { leaf.data[i] = 0.3 * random.normal(); }
      },
      "", weights.tree());
  return weights;
}

template <class Weights>
std::vector<double> logits(const Weights& weights, double alpha) {
  using Model = typename Weights::model;
  radapt::Random random(6);
  std::vector<double> pixels(images * Model::PixelRow::width), out(images * classes);
  for (double& x : pixels) { x = random.normal(); }
  radapt::ClassifierSession<Model, radapt::reference, double> session(weights, {.adapter_alpha = alpha});
  session.logits(pixels, out);
  return out;
}

}  // namespace

TEST_CASE("a classifier's adapters fold into its image tower, and its head stays") {
  radapt::Weights<Clip, double> clip;
  radapt::initialise_clip(clip, 2);
  const std::vector<double> head(classes * Tiny::embed, 0.25);
  const auto adapted = with_adapters_drawn(radapt::zero_shot_classifier(clip, head));
  for (const double alpha : {0.0, 0.5, 1.0}) {
    CAPTURE(alpha);
    const radapt::Weights<radapt::Classifier<radapt::Clip<Tiny>>, double> merged = radapt::merge(alpha, adapted);
    CHECK(merged.classes() == classes);
    // The same products in another order: roundings of 1e-16 through two blocks.
    CHECK(radapt_test::normalised_error(logits(merged, 1.0), logits(adapted, alpha)) < 1e-13);
  }
  const auto moved = logits(radapt::merge(1.0, adapted), 1.0), still = logits(radapt::merge(0.0, adapted), 1.0);
  CHECK(radapt_test::normalised_error(moved, still) > 1e-3);  // the adapters do something
}

TEST_CASE("both towers of a model with a head fold") {
  radapt::Weights<Clip, double> clip;
  radapt::initialise_clip(clip, 2);
  const std::vector<double> head(classes * Tiny::embed, 0.25);
  const auto adapted = with_adapters_drawn(radapt::zero_shot_headed_clip(clip, head));
  const radapt::Weights<radapt::HeadedClip<radapt::Clip<Tiny>>, double> merged = radapt::merge(0.5, adapted);
  radapt::Weights<Clip, double> towers;
  radapt::copy_by_name(towers, adapted);
  const auto expected = radapt::merge(0.5, towers);
  radapt::Weights<radapt::Clip<Tiny>, double> got;
  radapt::copy_by_name(got, merged);
  CHECK(std::equal(got.buffer().begin(), got.buffer().end(), expected.buffer().begin()));
}
