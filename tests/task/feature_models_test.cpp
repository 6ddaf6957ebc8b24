// Models on features: gradients and plans of their layers, CLIP-Adapter against its formula, and training them.
#include "radapt/task/feature_classifier.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/task/accuracy.hpp"
#include "radapt/test/gradient_check.hpp"
#include "radapt/train/trainer.hpp"

using namespace radapt;
using task::ClipAdapter;
using task::FeatureClassifier;

namespace {

/// L on rows X: every gradient, every buffer and every planned byte.
template <class L, class X, class... Policies>
void passes() {
  const test::Report report = test::check_layer<L, X, Policies...>();
  CHECK_MESSAGE(report.ok(), report.text());
}

using Probe =
    Recipe<FeatureClassifier<4>, tune::only<role::head>, ensemble::During<>, ensemble::After<>, loss::CrossEntropy>;
using Adapted =
    Recipe<ClipAdapter<4, 3, 40>, tune::only<role::adapter>, ensemble::During<>, ensemble::After<>, loss::CrossEntropy>;

/// Three clusters around the corners of a cube, and the corners as a head.
struct Clusters {
  std::vector<float> features, head{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  std::vector<std::int32_t> labels;
  explicit Clusters(Index samples, double noise) {
    Random random(5);
    for (Index i = 0; i < samples; ++i) {
      labels.push_back(static_cast<std::int32_t>(i % 3));
      for (Index e = 0; e < 4; ++e) {
        features.push_back(static_cast<float>((e == i % 3 ? 1.0 : 0.0) + noise * random.normal()));
      }
    }
  }
};

TrainOptions options(Index batch, std::uint64_t steps) {
  TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = 0.05, .warmup = 0, .total = steps, .minimum = 0};
  return o;
}

template <class M>
std::vector<float> logits(const Weights<M>& weights, const std::vector<float>& features) {
  ClassifierSession<M, reference> session(weights, {.images = 5});
  std::vector<float> out(features.size() / 4 * weights.classes());
  session.logits(features, out);
  return out;
}

}  // namespace

TEST_CASE("layers of feature models have the gradients and plans that they say") {
  passes<Relu, Tokens<7>>();
  passes<task::Blend<30, Sequential<Named<"a", Projection<6, 3>>, Relu, Named<"b", Projection<3, 6>>, Relu>>, Tokens<6>,
         tune::only<role::projection>>();
  passes<FeatureClassifier<5>, Samples<5>, tune::only<role::head>>();
  passes<ClipAdapter<8>, Samples<8>, tune::only<role::adapter>, tune::only<role::head>>();
}

TEST_CASE("CLIP-Adapter is its formula, whatever the length of a feature") {
  const Clusters data(7, 0.4);
  using Model = ClipAdapter<4, 3, 40>;
  const auto weights = task::clip_adapter<Model>(data.head, 20.0, 3);
  const float* const w1 = child<"fc1">(child<"adapter">(weights.tree())).matrix.data;
  const float* const w2 = child<"fc2">(child<"adapter">(weights.tree())).matrix.data;
  // Uniform in +-1/sqrt(rows): of twelve draws, some reach far, and none too far.
  const double largest =
      std::abs(*std::max_element(w1, w1 + 12, [](float a, float b) { return std::abs(a) < std::abs(b); }));
  CHECK(largest <= 0.5);
  CHECK(largest > 0.25);
  const auto got = logits(weights, data.features);
  std::vector<float> longer = data.features;
  for (float& f : longer) { f *= 3.5f; }
  const auto got_of_longer = logits(weights, longer);
  for (Index i = 0; i < 7; ++i) {
    const float* const f = data.features.data() + 4 * i;
    double hidden[3], mixed[4], norm = 0;
    for (Index h = 0; h < 3; ++h) {
      hidden[h] = 0;
      for (Index e = 0; e < 4; ++e) { hidden[h] += static_cast<double>(f[e]) * static_cast<double>(w1[3 * e + h]); }
      hidden[h] = std::max(hidden[h], 0.0);
    }
    for (Index e = 0; e < 4; ++e) {
      double adapted = 0;
      for (Index h = 0; h < 3; ++h) { adapted += hidden[h] * static_cast<double>(w2[4 * h + e]); }
      mixed[e] = 0.4 * std::max(adapted, 0.0) + 0.6 * static_cast<double>(f[e]);
      norm += mixed[e] * mixed[e];
    }
    for (Index c = 0; c < 3; ++c) {
      // The head is the first three axes: the logit is 20 times one coordinate. f32 rounds at 6e-8 a dozen times.
      CHECK(got[3 * i + c] == doctest::Approx(20 * mixed[c] / std::sqrt(norm)).epsilon(1e-5));
      CHECK(got_of_longer[3 * i + c] == doctest::Approx(static_cast<double>(got[3 * i + c])).epsilon(1e-5));
    }
  }
}

TEST_CASE("a zero-shot head on features is scale times the cosine") {
  const std::vector<float> head{0, 1, 0, 0, 1, 0, 0, 0}, features{3, 4, 0, 0};
  const auto weights = task::feature_classifier<4>(head, 10.0);
  CHECK(weights.classes() == 2);
  const auto got = logits(weights, features);
  CHECK(got[0] == doctest::Approx(8.0).epsilon(1e-6));
  CHECK(got[1] == doctest::Approx(6.0).epsilon(1e-6));
  CHECK_THROWS_WITH_AS(task::feature_classifier<4>(std::vector<float>(5), 1.0),
                       doctest::Contains("rows of 4 numbers, one for each class, got 5"), error);
  CHECK_THROWS_AS(task::feature_classifier<4>({}, 1.0), error);
}

TEST_CASE("the trainer of images trains a linear probe: convex, so that two ways end in the same place") {
  const Clusters data(30, 0.3);
  const auto train = [&](const Weights<FeatureClassifier<4>>& start) {
    auto o = options(30, 3000);
    o.optimizer.weight_decay = 0;
    o.clip_norm = 0;
    Trainer<Probe, reference> trainer(start, o);
    double last = 0;
    while (trainer.steps() < 3000) { last = trainer.step({.pixels = data.features, .labels = data.labels}).loss; }
    return std::pair{last, trainer.weights()};
  };
  const Weights<FeatureClassifier<4>> zeros(3);
  const auto far = task::feature_classifier<4>(data.head, -2.0);
  const auto a = train(zeros), b = train(far);
  // Both end where the gradient vanishes; steps of AdamW shrink to nothing, which leaves some 1e-3 of a loss near 0.1.
  CHECK(a.first < 0.5 * std::log(3.0));
  CHECK(a.first == doctest::Approx(b.first).epsilon(0.01));
  CHECK(task::accuracy(task::predict(logits(a.second, data.features), 3), data.labels) > 0.9);
  CHECK(task::predict(logits(a.second, data.features), 3) == task::predict(logits(b.second, data.features), 3));
}

TEST_CASE("CLIP-Adapter trains its adapter alone, and lowers the loss") {
  const Clusters data(30, 0.5);
  const auto start = task::clip_adapter<ClipAdapter<4, 3, 40>>(data.head, 10.0, 1);
  Trainer<Adapted, reference> trainer(start, options(30, 60));
  CHECK(trainer.state().slots().size() == 2);
  const double first = trainer.step({.pixels = data.features, .labels = data.labels}).loss;
  double last = first;
  while (trainer.steps() < 60) { last = trainer.step({.pixels = data.features, .labels = data.labels}).loss; }
  CHECK(last < 0.8 * first);
  const auto trained = trainer.weights();
  const auto& head = child<"head">(trained.tree()).weight;
  CHECK(std::equal(head.data, head.data + head.size(), child<"head">(start.tree()).weight.data));
  CHECK_THROWS_AS((task::clip_adapter<ClipAdapter<4, 3, 40>>(std::vector<float>(5), 1.0, 0)), error);
}
