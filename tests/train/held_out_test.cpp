/// The loss on held-out batches: its gradient for every tensor of a CLIP classifier, micro-batches, what it refuses.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/classifier.hpp"
#include "radapt/test/central_difference.hpp"
#include "radapt/train/held_out.hpp"
#include "support/error_text.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

/// Its text tower is ViT-S/32's, and never looked at.
struct Tiny : radapt::arch::ViT_S_32 {
  static constexpr Index embed = 6, image = 4, patch = 2;
  static constexpr radapt::TowerSize vision{8, 2, 1, 12};
};
// With adapters, so that nothing may be dropped and their scale must be 1.
using Model = radapt::Classifier<radapt::Clip<Tiny, radapt::RAdapter<radapt::low_rank<2>>>>;
using Weights = radapt::Weights<Model, double>;
using HeldOut = radapt::HeldOutLoss<Model, radapt::reference, double>;
constexpr Index classes = 3, samples = 5;

Weights drawn(std::uint64_t seed) {
  Weights weights(classes);
  radapt::Random random(seed);
  radapt::each([&](auto& leaf) { std::generate_n(leaf.data, leaf.size(), [&] { return 0.5 * random.normal(); }); },
               weights.tree());
  return weights;
}

struct Data {
  std::vector<double> pixels = std::vector<double>(samples * Model::PixelRow::width);
  std::vector<std::int32_t> labels{0, 2, 1, 1, 0};
  Data() {
    radapt::Random random(3);
    for (double& x : pixels) { x = random.normal(); }
  }
  HeldOut::Batch batch() const { return {.pixels = pixels, .labels = labels}; }
};

}  // namespace

TEST_CASE("every tensor's gradient is that of central differences along a random direction") {
  auto weights = drawn(1);
  const Data data;
  HeldOut loss(classes, {.batch = samples});
  Weights gradient(classes), unused(classes);
  for (double& g : gradient.buffer()) { g = 1e9; }  // what was there before is no part of it
  loss(weights, data.batch(), gradient);
  radapt::Random random(4);
  Index tensors = 0;
  radapt::each_named(
      [&](const std::string& name, auto& value, const auto& g) {
        CAPTURE(name);
        std::vector<double> direction(value.size()), first(value.data, value.data + value.size());
        double along = 0, squares = 0;
        for (Index i = 0; i < value.size(); ++i) {
          direction[i] = random.normal();
          along += direction[i] * g.data[i];
          squares += g.data[i] * g.data[i];
        }
        const auto derivative = radapt::test::central_difference(1e-4, [&](double t) {
          for (Index i = 0; i < value.size(); ++i) { value.data[i] = first[i] + t * direction[i]; }
          radapt::test::Sum sum;
          sum.add(loss(weights, data.batch(), unused));
          return sum;
        });
        std::copy(first.begin(), first.end(), value.data);
        // The five-point formula leaves step^4, times the growth of a fifth derivative through the block.
        CHECK(std::abs(along - derivative.value) < 1e-8 * std::sqrt(squares) + derivative.rounding);
        ++tensors;
      },
      "", weights.tree(), gradient.tree());
  CHECK(tensors > 20);
}

TEST_CASE("micro-batches give the same loss and gradient, and equal calls equal bits") {
  const auto weights = drawn(1);
  const Data data;
  HeldOut whole(classes, {.batch = samples}), pieces(classes, {.batch = samples, .micro_batch = 2});
  Weights a(classes), b(classes), c(classes);
  const double first = whole(weights, data.batch(), a), second = pieces(weights, data.batch(), b);
  CHECK(std::abs(first - second) < 1e-14);
  CHECK(normalised_error(b.buffer().begin(), a.buffer().begin(), a.buffer().size()) < 1e-12);
  CHECK(whole(weights, data.batch(), c) == first);
  CHECK(std::equal(c.buffer().begin(), c.buffer().end(), a.buffer().begin()));
}

TEST_CASE("bad input of the held-out loss is told apart") {
  auto weights = drawn(1);
  const Data data;
  HeldOut loss(classes, {.batch = samples - 1});
  Weights gradient(classes), more(classes + 1);
  CHECK(fails_with("1 to 4 samples", [&] { loss(weights, data.batch(), gradient); }));
  HeldOut enough(classes, {.batch = samples});
  CHECK(fails_with("3 classes", [&] { enough(more, data.batch(), gradient); }));
  CHECK(fails_with("3 classes", [&] { enough(weights, data.batch(), more); }));
  radapt::child<"head">(weights.tree()).bias.data[0] = std::nan("");
  CHECK(fails_with("finite", [&] { enough(weights, data.batch(), gradient); }));
}
