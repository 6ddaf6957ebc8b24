/// Linear probe and LP-FT: what the probe leaves alone, and where the second run begins.
#include "radapt/train/carry_over.hpp"
#include "radapt/ensemble/sweep.hpp"
#include "radapt/train/deploy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "cases/reference_kernels.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/ensemble/sweep.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/recipes.hpp"

using radapt::Index;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 1, 32};
};
using Clip = radapt::Clip<Tiny>;
using Method = radapt::recipe::lp_ft<Tiny>;
using Probe = radapt::Trainer<Method::probe, radapt::reference, double>;
using Tuning = radapt::Trainer<Method::tuning, radapt::reference, double>;
constexpr Index batch = 6, classes = 4;

struct Data {
  std::vector<double> pixels = std::vector<double>(batch * Clip::PixelRow::width);
  std::vector<std::int32_t> labels{0, 1, 2, 0, 3, 1};
  Data() {
    radapt::Random random(5);
    for (double& x : pixels) { x = random.normal(); }
  }
  radapt::LabelledBatch<double> get() const { return {.pixels = pixels, .labels = labels}; }
};

radapt::Weights<radapt::Classifier<Clip>, double> zero_shot() {
  radapt::Weights<Clip, double> clip;
  radapt::initialise_clip(clip, 3);
  std::vector<double> head(classes * Tiny::embed);
  radapt::Random random(9);
  for (double& x : head) { x = 0.1 * random.normal(); }
  return radapt::zero_shot_classifier(clip, head);
}
radapt::TrainOptions options(double rate) {
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = rate, .warmup = 0, .total = 100, .minimum = 0};
  return o;
}
template <class A, class B>
bool same_bits(const A& a, const B& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}
template <class M>
std::vector<double> logits(const radapt::Weights<M, double>& weights, const Data& data) {
  radapt::ClassifierSession<M, radapt::reference, double> session(weights);
  std::vector<double> z(batch * classes);
  session.logits(data.pixels, z);
  return z;
}

}  // namespace

TEST_CASE("a linear probe moves the head and not one bit besides, and learns") {
  const Data data;
  const auto base = zero_shot();
  Probe probe(base, options(1e-1));
  std::vector<std::string> trained;
  for (const auto& slot : probe.state().slots()) { trained.push_back(slot.name); }
  std::sort(trained.begin(), trained.end());
  CHECK(trained == std::vector<std::string>{"head.bias", "head.weight"});
  const double first = probe.step(data.get()).loss;
  double last = first;
  for (int i = 0; i < 60; ++i) { last = probe.step(data.get()).loss; }
  CHECK(last < 0.7 * first);  // six images, eight features: not all of it can be learned
  const auto after = probe.weights();
  const auto before = base.tensors(), now = after.tensors();
  for (Index k = 0; k < before.size(); ++k) {
    CAPTURE(before[k].name());
    const bool head = before[k].name().starts_with("head.");
    CHECK(std::equal(before[k].data, before[k].data + before[k].size(), now[k].data) == !head);
  }
}

TEST_CASE("WiSE-FT of the head: along alpha the frozen features stay, and mixing weights is mixing logits") {
  const Data data;
  const auto base = zero_shot();
  radapt::Trainer<radapt::recipe::wise_ft_linear<Tiny>, radapt::reference, double> trainer(base, options(1e-1));
  for (int i = 0; i < 20; ++i) { trainer.step(data.get()); }
  const auto zero_shot_logits = logits(base, data), tuned_logits = logits(trainer.weights(), data);
  double moved = 0;
  for (Index i = 0; i < tuned_logits.size(); ++i) {
    moved = std::max(moved, std::abs(tuned_logits[i] - zero_shot_logits[i]));
  }
  CHECK(moved > 0.1);
  CHECK(same_bits(radapt::deploy(trainer, 0.0).buffer(), base.buffer()));
  CHECK(same_bits(radapt::deploy(trainer, 1.0).buffer(), trainer.weights().buffer()));
  // One call returns the curve.
  const auto tuned = trainer.weights();
  const auto curve = radapt::alpha_sweep(radapt::alpha_grid(4), base, tuned,
                                         [&](const auto& weights) { return logits(weights, data); },
                                         {.mode = radapt::ProgressOptions::Mode::quiet});
  REQUIRE(curve.size() == 5);
  for (const auto& point : curve) {
    CAPTURE(point.alpha);
    CHECK(logits(radapt::deploy(trainer, point.alpha), data) == point.value);
    double worst = 0;
    for (Index i = 0; i < tuned_logits.size(); ++i) {
      const double mixed = (1 - point.alpha) * zero_shot_logits[i] + point.alpha * tuned_logits[i];
      worst = std::max(worst, std::abs(point.value[i] - mixed));
    }
    CHECK(worst < 1e-14);  // sums of eight products of numbers near one, rounded on either side
  }
}

TEST_CASE("LP-FT's second run begins at the probe's head, and its first loss is the probe's next one") {
  const Data data;
  const auto base = zero_shot();
  Probe probe(base, options(1e-2));
  for (int i = 0; i < 20; ++i) { probe.step(data.get()); }
  const auto start = radapt::carry_over<Method::tuning>(probe);
  CHECK(same_bits(start.buffer(), probe.weights().buffer()));
  CHECK_FALSE(same_bits(start.buffer(), base.buffer()));

  Tuning tuning(start, options(1e-3));
  const auto begun = tuning.weights();
  CHECK(same_bits(begun.buffer(), start.buffer()));
  // The same operations on the same numbers.
  const double next = probe.step(data.get()).loss;
  const auto report = tuning.step(data.get());
  CHECK(report.loss == next);
  const auto gradient_of = [](auto& trainer, const std::string& name) {
    const auto& slot = trainer.state().slot(name);
    const double* g = trainer.state().gradient_buffer().data() + slot.offset;
    return std::vector<double>(g, g + slot.size);
  };
  CHECK(gradient_of(tuning, "head.weight") == gradient_of(probe, "head.weight"));
  CHECK(gradient_of(tuning, "head.bias") == gradient_of(probe, "head.bias"));
  // ... and now the tower moves, too.
  const auto moved = tuning.weights();
  const auto before = start.tensors(), now = moved.tensors();
  Index changed = 0;
  for (Index k = 0; k < before.size(); ++k) {
    changed += std::equal(before[k].data, before[k].data + before[k].size(), now[k].data) ? 0u : 1u;
  }
  CHECK(changed == before.size());
}

TEST_CASE("a probe goes on with adapters that begin as the identity") {
  using Adapted = radapt::Recipe<radapt::Clip<Tiny, radapt::RAdapter<>>,
                                 radapt::tune::only<radapt::role::adapter, radapt::role::head>,
                                 radapt::ensemble::During<>, radapt::ensemble::After<>, radapt::loss::CrossEntropy>;
  const Data data;
  const auto base = zero_shot();
  Probe probe(base, options(1e-2));
  for (int i = 0; i < 5; ++i) { probe.step(data.get()); }
  const auto start = radapt::carry_over<Adapted>(probe);
  CHECK(start.classes() == classes);
  CHECK(logits(start, data) == logits(probe.weights(), data));  // y + 0.1 * 0 is y
}
