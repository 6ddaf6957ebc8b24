/// Ensembles of outputs: softmax, mixing, label projections, fitted temperatures.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/ensemble/output.hpp"
#include "radapt/ensemble/temperature.hpp"
#include "radapt/task/label_projection.hpp"
#include "support/error_text.hpp"
#include "support/progress_text.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::rows_of;
using radapt::Scores;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

template <class T>
Scores<T> logits(Index rows, Index classes, std::uint64_t seed, double deviation = 2) {
  radapt::Random random(seed);
  Scores<T> out{.values = std::vector<T>(rows * classes), .width = classes};
  for (T& x : out.values) { x = static_cast<T>(deviation * random.normal()); }
  return out;
}
radapt::TemperatureOptions quietly() { return {.progress = quiet()}; }

}  // namespace

TEST_CASE_TEMPLATE("probabilities are exp(z / T) over their sum, for any size of logits", T, float, double) {
  const auto z = logits<T>(5, 4, 1);
  for (const double temperature : {0.25, 1.0, 3.0}) {
    CAPTURE(temperature);
    const auto p = radapt::probabilities(z, temperature);
    for (Index i = 0; i < 5; ++i) {
      double total = 0;
      for (const T x : z.row(i)) { total += std::exp(static_cast<double>(x) / temperature); }
      for (Index c = 0; c < 4; ++c) {
        const double expected = std::exp(static_cast<double>(z.row(i)[c]) / temperature) / total;
        CHECK(std::abs(static_cast<double>(p.row(i)[c]) - expected) < (sizeof(T) == 8 ? 1e-15 : 6e-8));
      }
    }
  }
  const std::vector<T> large{T(1e4), T(-1e4), T(1e4), T(0)};
  const auto p = radapt::probabilities(rows_of(large, 4));
  CHECK(p.values == std::vector<T>{T(0.5), T(0), T(0.5), T(0)});
}

TEST_CASE_TEMPLATE("mixtures add up to one, and their ends are the two models bit for bit", T, float, double) {
  const auto p = radapt::probabilities(logits<T>(6, 5, 2)), q = radapt::probabilities(logits<T>(6, 5, 3));
  CHECK(radapt::mix_probabilities(1.0, p, q).values == p.values);
  CHECK(radapt::mix_probabilities(0.0, p, q).values == q.values);
  const auto mixed = radapt::mix_probabilities(0.3, p, q);
  for (Index i = 0; i < 6; ++i) {
    const auto row = mixed.row(i);
    CHECK(std::abs(std::accumulate(row.begin(), row.end(), 0.0) - 1) < (sizeof(T) == 8 ? 1e-15 : 3e-7));
    for (Index c = 0; c < 5; ++c) {
      const double expected = 0.3 * static_cast<double>(p.row(i)[c]) + 0.7 * static_cast<double>(q.row(i)[c]);
      CHECK(static_cast<double>(row[c]) == static_cast<double>(static_cast<T>(expected)));
    }
  }
}

TEST_CASE("the predicted class is the first of the largest scores") {
  const std::vector<float> scores{1, 3, 3, -1, -2, -3};
  CHECK(radapt::predicted_classes(rows_of(scores, 3)) == std::vector<std::int32_t>{1, 0});
}

TEST_CASE("a label projection comes before the softmax and commutes with the temperature") {
  const auto z = logits<double>(4, 6, 4);
  // As for ObjectNet: two classes, each the largest of the logits that are mapped to it; column 5 is not scored.
  const auto projection = [](std::span<const double> row) {
    return std::array{std::max(row[0], row[3]), std::max({row[1], row[2], row[4]})};
  };
  const auto projected = radapt::project_labels(z, projection);
  REQUIRE(projected.width == 2);
  REQUIRE(projected.rows() == 4);
  for (Index i = 0; i < 4; ++i) { CHECK(projected.row(i)[0] == std::max(z.row(i)[0], z.row(i)[3])); }
  const auto p = radapt::probabilities(projected, 2.0);
  for (Index i = 0; i < 4; ++i) {
    CHECK(std::abs(p.row(i)[0] + p.row(i)[1] - 1) < 1e-15);
    CHECK(p.row(i)[0] > radapt::probabilities(z, 2.0).row(i)[0]);  // a softmax over all six classes is something else
  }
  auto cooled = z;
  for (double& x : cooled.values) { x /= 2.0; }
  CHECK(radapt::probabilities(radapt::project_labels(cooled, projection)).values == p.values);

  const std::vector<Index> columns{5, 1};
  const auto kept = radapt::project_labels(z, [&](std::span<const double> row) {
    std::vector<double> out;
    for (const Index c : columns) { out.push_back(row[c]); }
    return out;
  });
  CHECK(kept.row(3)[0] == z.row(3)[5]);
  CHECK(radapt::project_labels(z, radapt::no_projection{}).values == z.values);

  // The projections of data sets are such callables.
  const auto in_float = logits<float>(4, 6, 4);
  const radapt::task::LabelProjection objects(6, {{0, 3}, {1, 2, 4}});
  const auto by_class = radapt::project_labels(in_float, objects);
  for (Index i = 0; i < 4; ++i) {
    CHECK(by_class.row(i)[1] == std::max({in_float.row(i)[1], in_float.row(i)[2], in_float.row(i)[4]}));
  }

  const auto ragged = [](std::span<const double> row) { return std::vector<double>(row[0] > 0 ? 2 : 1); };
  CHECK(fails_with("label projection", [&] { radapt::project_labels(z, ragged); }));
}

TEST_CASE("confidence falls as the temperature rises, and the fitted one matches the accuracy") {
  auto z = logits<double>(400, 5, 6);
  radapt::Random random(7);
  std::vector<std::int32_t> labels = radapt::predicted_classes(z);
  for (auto& label : labels) {
    if (random.uniform() < 0.4f) { label = static_cast<std::int32_t>(random.below(5)); }
  }
  double before = 1;
  for (double t = 0.05; t < 50; t *= 1.7) {
    const double confidence = radapt::mean_confidence(z, t);
    CHECK(confidence < before);
    before = confidence;
  }
  CHECK(before > 0.2);  // 1 / classes is the limit

  const auto fit = radapt::fit_temperature(z, labels, quietly());
  CHECK(fit.matched);
  CHECK(fit.accuracy > 0.6);
  CHECK(fit.accuracy < 0.75);
  CHECK(std::abs(fit.confidence - fit.accuracy) <= 1e-6);
  CHECK(std::abs(radapt::mean_confidence(z, fit.temperature) - fit.accuracy) <= 1e-6);
  // Logits three times as large need a temperature three times as large.
  for (double& x : z.values) { x *= 3; }
  const auto scaled = radapt::fit_temperature(z, labels, quietly());
  CHECK(std::abs(scaled.temperature / fit.temperature - 3) <
        1e-4);  // the tolerance allows 1e-6 of confidence on either
}

TEST_CASE("a temperature that cannot match is reported") {
  const auto z = logits<float>(50, 4, 8);
  const auto right = radapt::predicted_classes(z);
  std::vector<std::int32_t> wrong = right;
  for (auto& label : wrong) { label = (label + 1) % 4; }
  const auto never_wrong = radapt::fit_temperature(z, right, {.lowest = 0.5, .progress = quiet()});
  CHECK_FALSE(never_wrong.matched);
  CHECK(never_wrong.temperature == 0.5);
  CHECK(never_wrong.accuracy == 1.0);
  const auto never_right = radapt::fit_temperature(z, wrong, quietly());
  CHECK_FALSE(never_right.matched);
  CHECK(never_right.temperature == 100.0);
  CHECK(never_right.accuracy == 0.0);
  // Logits so far apart that confidence is 1 at every temperature that is tried, and still none is the temperature.
  auto sure = z;
  for (float& v : sure.values) { v *= 1e4F; }
  CHECK_FALSE(radapt::fit_temperature(sure, right, quietly()).matched);
}

TEST_CASE("bad input of output ensembles is told apart") {
  const auto z = logits<double>(3, 4, 9);
  const std::vector<double> odd(7);
  auto broken = z;
  broken.values[5] = not_a_number;
  const std::vector<std::int32_t> labels{0, 1, 2}, outside{0, 4, 2}, few{0};
  CHECK(fails_with("multiple of the width 4", [&] { rows_of(odd, 4); }));
  CHECK(fails_with("multiple", [&] { rows_of(odd, 0); }));
  CHECK(fails_with("row 1", [&] { radapt::probabilities(broken); }));
  CHECK(fails_with("empty", [&] { radapt::probabilities(Scores<float>{.values = {}, .width = 3}); }));
  for (const double t : {0.0, -1.0, not_a_number, inf}) {
    CHECK(fails_with("temperature", [&] { radapt::probabilities(z, t); }));
  }
  for (const double alpha : {-0.1, 1.1, not_a_number}) {
    CHECK(fails_with("alpha", [&] { radapt::mix_probabilities(alpha, z, z); }));
  }
  CHECK(fails_with("probabilities, which are at least 0 and sum to 1", [&] { radapt::mix_probabilities(0.5, z, z); }));
  CHECK(fails_with("(3, 5)", [&] { radapt::mix_probabilities(0.5, z, logits<double>(3, 5, 1)); }));
  CHECK(fails_with("3 labels", [&] { radapt::fit_temperature(z, few, quietly()); }));
  CHECK(fails_with("0 to 3", [&] { radapt::fit_temperature(z, outside, quietly()); }));
  CHECK(fails_with("lowest", [&] { radapt::fit_temperature(z, labels, {.lowest = 2, .highest = 1}); }));
}
