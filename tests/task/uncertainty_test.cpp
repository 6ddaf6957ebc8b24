// Calibration, bootstrap intervals, effective robustness and few-shot draws.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "radapt/task/bootstrap.hpp"
#include "radapt/task/calibration.hpp"
#include "radapt/task/effective_robustness.hpp"
#include "radapt/task/few_shot.hpp"

using radapt::Index;
using namespace radapt::task;
using Labels = std::vector<std::int32_t>;

TEST_CASE("the calibration error by hand") {
  // Bins of width 1/4. (0.5, 0.75]: 0.6 right, 0.7 wrong. (0.75, 1]: 0.8 right, 1.0 right, 0.9 wrong. 0 and 0.25:
  // first.
  const std::vector<double> confidence{0.6, 0.7, 0.8, 1.0, 0.9, 0.0, 0.25};
  const Labels labels{1, 1, 1, 1, 1, 1, 1}, predicted{1, 0, 1, 1, 0, 0, 0};
  const Calibration result = calibration(confidence, predicted, labels, 4);
  REQUIRE(result.bins.size() == 4);
  CHECK(result.bins[0].count == 2);
  CHECK(result.bins[1].count == 0);
  CHECK(result.bins[2].count == 2);
  CHECK(result.bins[3].count == 3);
  CHECK(result.bins[2].lower == 0.5);
  CHECK(result.bins[2].upper == 0.75);
  // A few roundings of numbers near one: 1e-15.
  CHECK(result.bins[2].accuracy == 0.5);
  CHECK(result.bins[2].confidence == doctest::Approx(0.65).epsilon(1e-15));
  CHECK(result.bins[3].accuracy == doctest::Approx(2.0 / 3).epsilon(1e-15));
  CHECK(result.bins[3].confidence == doctest::Approx(0.9).epsilon(1e-15));
  const double gaps[3] = {0.125, 0.15, 0.9 - 2.0 / 3};
  CHECK(result.expected_error == doctest::Approx((2 * gaps[0] + 2 * gaps[1] + 3 * gaps[2]) / 7).epsilon(1e-14));
  CHECK(result.maximum_error == doctest::Approx(gaps[2]).epsilon(1e-14));
  CHECK(result.accuracy == doctest::Approx(3.0 / 7).epsilon(1e-15));
  CHECK(result.confidence == doctest::Approx(4.25 / 7).epsilon(1e-15));
}

TEST_CASE("a confidence on a bound belongs to the bin below it, however the product rounds") {
  for (Index bins = 1; bins <= 100; ++bins) {
    for (Index m = 1; m <= bins; ++m) {
      const double bound = static_cast<double>(m) / static_cast<double>(bins);
      const Labels one{0};
      CHECK(calibration(std::vector<double>{bound}, one, one, bins).bins[m - 1].count == 1);
      if (m < bins) {
        CHECK(calibration(std::vector<double>{std::nextafter(bound, 2.0)}, one, one, bins).bins[m].count == 1);
      }
    }
  }
}

TEST_CASE("laws of calibration: one bin compares the means; a sure and right model has no error") {
  const std::vector<double> confidence{0.3, 0.9, 0.55, 0.8};
  const Labels labels{0, 1, 2, 3}, predicted{0, 1, 0, 0};
  const Calibration one = calibration(confidence, predicted, labels, 1);
  CHECK(one.expected_error == doctest::Approx(std::abs(0.5 - 2.55 / 4)).epsilon(1e-15));
  CHECK(one.expected_error == one.maximum_error);
  const Calibration perfect = calibration(std::vector<double>(4, 1.0), labels, labels);
  CHECK(perfect.expected_error == 0.0);
  CHECK(perfect.bins.size() == 15);
  // Finer bins never hide a gap: |a + b| <= |a| + |b|.
  CHECK(calibration(confidence, predicted, labels, 10).expected_error >= one.expected_error);
  CHECK_THROWS_WITH_AS(calibration(std::vector<double>{1.1}, Labels{0}, Labels{0}),
                       doctest::Contains("a confidence from 0 to 1, got 1.1"), radapt::error);
  CHECK_THROWS_AS(calibration(confidence, predicted, labels, 0), radapt::error);
  CHECK_THROWS_AS(calibration(confidence, Labels{0}, labels), radapt::error);
}

TEST_CASE("confidence is the largest probability of a softmax") {
  const std::vector<float> logits{0,    0, 0,     0,  //
                                  1000, 0, -1000, 0,  //
                                  1,    2, 0,     -std::numeric_limits<float>::infinity()};
  const auto c = confidences(logits, 4);
  CHECK(c[0] == 0.25);
  CHECK(c[1] == 1.0);
  CHECK(c[2] == doctest::Approx(std::exp(2.0) / (std::exp(1.0) + std::exp(2.0) + 1)).epsilon(1e-15));
  CHECK(confidences(std::vector<float>{0.25f, 0.5f}, 2, 4.0)[0] ==
        doctest::Approx(1 / (1 + std::exp(-1.0))).epsilon(1e-15));
  CHECK_THROWS_AS(confidences(logits, 4, 0.0), radapt::error);
  CHECK_THROWS_WITH_AS(confidences(std::vector<float>{std::numeric_limits<float>::infinity(), 0}, 2),
                       doctest::Contains("finite largest logit"), radapt::error);
}

TEST_CASE("quantiles are numpy's") {
  const std::vector<double> values{1, 2, 4, 8};
  CHECK(radapt::task::detail::quantile(values, 0.0) == 1);
  CHECK(radapt::task::detail::quantile(values, 1.0) == 8);
  CHECK(radapt::task::detail::quantile(values, 0.5) == 3);
  CHECK(radapt::task::detail::quantile(values, 0.9) == doctest::Approx(6.8).epsilon(1e-15));
}

TEST_CASE("a bootstrap is a function of its seed, and its first resamples stay when there are more") {
  std::vector<double> values;
  for (Index i = 0; i < 200; ++i) { values.push_back(i % 4 == 0 ? 0.0 : 1.0); }
  const Interval a = bootstrap_mean(values, {.resamples = 500, .seed = 3});
  const Interval b = bootstrap_mean(values, {.resamples = 500, .seed = 3});
  const Interval c = bootstrap_mean(values, {.resamples = 500, .seed = 4});
  CHECK(a.estimate == 0.75);
  CHECK(a.low == b.low);
  CHECK(a.high == b.high);
  CHECK((a.low != c.low || a.high != c.high));
  std::vector<std::vector<Index>> few, many;
  const auto record = [](std::vector<std::vector<Index>>& into) {
    return [&into](std::span<const Index> positions) {
      into.emplace_back(positions.begin(), positions.end());
      return 0.0;
    };
  };
  bootstrap(10, record(few), {.resamples = 2, .seed = 9});
  bootstrap(10, record(many), {.resamples = 5, .seed = 9});
  REQUIRE(few.size() == 3);
  CHECK(few[0] == std::vector<Index>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(std::equal(few.begin(), few.end(), many.begin()));
}

TEST_CASE("the interval of a mean has the width that theory gives") {
  // A share of 0.75 of 400 samples has the standard error sqrt(p (1-p) / n) = 0.02165; 95 % are +- 1.96 of it. With
  // 4000 resamples an end is off by some 2 % of the standard error, and the lattice of 1/400 adds as much: 0.004.
  std::vector<double> values;
  for (Index i = 0; i < 400; ++i) { values.push_back(i % 4 == 0 ? 0.0 : 1.0); }
  const Interval wide = bootstrap_mean(values, {.resamples = 4000, .seed = 1});
  CHECK(std::abs(wide.low - (0.75 - 1.96 * 0.02165)) < 0.004);
  CHECK(std::abs(wide.high - (0.75 + 1.96 * 0.02165)) < 0.004);
  const Interval narrow = bootstrap_mean(values, {.resamples = 4000, .coverage = 0.5, .seed = 1});
  CHECK(narrow.low > wide.low);
  CHECK(narrow.high < wide.high);
  const Interval constant = bootstrap_mean(std::vector<double>(7, 0.5));
  CHECK(constant.low == 0.5);
  CHECK(constant.high == 0.5);
  CHECK_THROWS_AS(bootstrap_mean({}), radapt::error);
  CHECK_THROWS_AS(bootstrap_mean(values, {.resamples = 1}), radapt::error);
  CHECK_THROWS_AS(bootstrap_mean(values, {.coverage = 1.0}), radapt::error);
  CHECK_THROWS_WITH_AS(bootstrap_mean(std::vector<double>{std::numeric_limits<double>::quiet_NaN()}),
                       doctest::Contains("a finite statistic"), radapt::error);
}

TEST_CASE("late progress is silent until a loop has taken its time") {
  std::string shown;
  const radapt::ProgressOptions options{.sink = [&](std::string_view text) { shown += text; }};
  {
    LateProgress quick("quick", 10, 3600.0, options);
    quick.advance(10);
    CHECK(!quick.shown());
  }
  CHECK(shown.empty());
  {
    LateProgress slow("slow", 10, 0.0, options);
    slow.advance(4);
    slow.advance(6);
    CHECK(slow.shown());
  }
  CHECK(shown.find("slow 100% 10/10") != std::string::npos);
}

TEST_CASE("effective robustness by hand, in both scales") {
  // In the linear scale: the line through (0.6, 0.4) and (0.8, 0.7) is y = 1.5 x - 0.5.
  const auto line =
      BaselineLine::fit(std::vector<double>{0.6, 0.8}, std::vector<double>{0.4, 0.7}, AccuracyScale::linear);
  CHECK(line.slope == doctest::Approx(1.5).epsilon(1e-14));
  CHECK(line.intercept == doctest::Approx(-0.5).epsilon(1e-14));
  CHECK(line(0.7) == doctest::Approx(0.55).epsilon(1e-14));
  CHECK(effective_robustness(line, 0.7, 0.65) == doctest::Approx(0.1).epsilon(1e-13));
  CHECK(line.r_squared == doctest::Approx(1.0).epsilon(1e-14));
  // Three points off a line: slope = sum dx dy / sum dx^2 = 0.02 / 0.02, through the means.
  const auto fitted =
      BaselineLine::fit(std::vector<double>{0.5, 0.6, 0.7}, std::vector<double>{0.3, 0.5, 0.5}, AccuracyScale::linear);
  CHECK(fitted.slope == doctest::Approx(1.0).epsilon(1e-13));
  CHECK(fitted(0.6) == doctest::Approx(1.3 / 3).epsilon(1e-13));
  CHECK(fitted.r_squared == doctest::Approx(0.02 * 0.02 / (0.02 * (0.08 / 3))).epsilon(1e-12));
  // In the logit scale a model of odds w with accuracy under shift of odds w^2 / 4 lies on slope 2, intercept -log 4.
  const auto share = [](double odds) { return odds / (1 + odds); };
  const auto curve = BaselineLine::fit(std::vector<double>{share(2), share(4), share(9)},
                                       std::vector<double>{share(1), share(4), share(81.0 / 4)});
  CHECK(curve.slope == doctest::Approx(2.0).epsilon(1e-12));
  CHECK(curve.intercept == doctest::Approx(-std::log(4.0)).epsilon(1e-12));
  CHECK(effective_robustness(curve, share(6), share(9)) == doctest::Approx(0.0).epsilon(1e-12));
}

TEST_CASE("laws of effective robustness: baseline models have none on average in the linear scale") {
  const std::vector<double> x{0.3, 0.45, 0.6, 0.61, 0.9}, y{0.1, 0.3, 0.35, 0.5, 0.8};
  const auto line = BaselineLine::fit(x, y, AccuracyScale::linear);
  double sum = 0;
  for (Index i = 0; i < x.size(); ++i) { sum += effective_robustness(line, x[i], y[i]); }
  CHECK(std::abs(sum) < 1e-14);
  CHECK_THROWS_WITH_AS(BaselineLine::fit(std::vector<double>{0.5, 1.0}, std::vector<double>{0.5, 0.9}),
                       doctest::Contains("above 0 and below 1, got 1.0"), radapt::error);
  CHECK_THROWS_AS(BaselineLine::fit(std::vector<double>{0.5}, std::vector<double>{0.5}), radapt::error);
  CHECK_THROWS_WITH_AS(BaselineLine::fit(std::vector<double>{0.5, 0.5}, std::vector<double>{0.5, 0.6}),
                       doctest::Contains("models that differ"), radapt::error);
  CHECK_THROWS_AS(line(76.2), radapt::error);
}

TEST_CASE("a few-shot draw takes k of each class, is nested, and depends on the seed alone") {
  Labels labels;
  for (Index i = 0; i < 90; ++i) { labels.push_back(static_cast<std::int32_t>(i * 7 % 3)); }
  const auto sixteen = few_shot(labels, 3, 16, 5);
  REQUIRE(sixteen.size() == 48);
  CHECK(std::set<Index>(sixteen.begin(), sixteen.end()).size() == 48);
  for (Index i = 0; i < sixteen.size(); ++i) { CHECK(labels[sixteen[i]] == static_cast<std::int32_t>(i / 16)); }
  CHECK(few_shot(labels, 3, 16, 5) == sixteen);
  CHECK(few_shot(labels, 3, 16, 6) != sixteen);
  const auto four = few_shot(labels, 3, 4, 5);
  for (Index c = 0; c < 3; ++c) {
    for (Index k = 0; k < 4; ++k) { CHECK(four[4 * c + k] == sixteen[16 * c + k]); }
  }
  // Every sample is drawn about equally often: 30 in a class, 4 of them 3000 times, 400 each +- 5 standard deviations
  // of sqrt(3000 * 4/30 * 26/30) = 18.6.
  std::vector<int> drawn(90, 0);
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    for (const Index i : few_shot(labels, 3, 4, seed)) { ++drawn[i]; }
  }
  CHECK(*std::min_element(drawn.begin(), drawn.end()) > 400 - 93);
  CHECK(*std::max_element(drawn.begin(), drawn.end()) < 400 + 93);
}

TEST_CASE("a class that is too small is an error unless it is allowed") {
  const Labels labels{0, 0, 0, 1, 2, 2, 2};
  CHECK_THROWS_WITH_AS(few_shot(labels, 3, 2, 0), doctest::Contains("class 1: expected 2 samples, got 1"),
                       radapt::error);
  CHECK_THROWS_AS(few_shot(labels, 4, 1, 0), radapt::error);
  const auto taken = few_shot(labels, 4, 2, 0, Shortage::allowed);
  CHECK(taken.size() == 5);
  CHECK(std::count(taken.begin(), taken.end(), 3) == 1);
  CHECK_THROWS_AS(few_shot(labels, 3, 0, 0), radapt::error);
  CHECK_THROWS_AS(few_shot(labels, 2, 1, 0), radapt::error);
  CHECK(remaining(5, std::vector<Index>{3, 0}) == std::vector<Index>{1, 2, 4});
  CHECK_THROWS_AS(remaining(5, std::vector<Index>{5}), radapt::error);
}

TEST_CASE("base classes are the first half in label order, the larger one of an odd number") {
  CHECK(split_base_novel(4).base == Labels{0, 1});
  CHECK(split_base_novel(4).novel == Labels{2, 3});
  CHECK(split_base_novel(5).base == Labels{0, 1, 2});
  CHECK(split_base_novel(5).novel == Labels{3, 4});
  CHECK_THROWS_AS(split_base_novel(1), radapt::error);
  const Labels labels{4, 0, 3, 3, 1};
  const ClassSubset novel = samples_of(labels, split_base_novel(5).novel);
  CHECK(novel.samples == std::vector<Index>{0, 2, 3});
  CHECK(novel.labels == Labels{1, 0, 0});
  CHECK_THROWS_AS(samples_of(labels, Labels{1, 1}), radapt::error);
}
