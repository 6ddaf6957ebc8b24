// Accuracy, confusion matrices and label projection, against counts made by hand.
#include "radapt/task/accuracy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/task/confusion_matrix.hpp"
#include "radapt/task/label_projection.hpp"

using radapt::Index;
using namespace radapt::task;
using Labels = std::vector<std::int32_t>;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float missing = std::numeric_limits<float>::quiet_NaN();

struct Drawn {
  std::vector<float> logits;
  Labels labels;
};
Drawn draw(Index samples, Index classes, std::uint64_t seed) {
  Drawn drawn;
  radapt::Random random(seed);
  for (Index i = 0; i < samples; ++i) {
    // Halves of small integers, so that equal logits occur.
    for (Index c = 0; c < classes; ++c) { drawn.logits.push_back(static_cast<float>(random.below(7)) / 2); }
    drawn.labels.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(classes))));
  }
  return drawn;
}

}  // namespace

TEST_CASE("the prediction is the first of the largest logits") {
  const std::vector<float> logits{1,         3,         2,   //
                                  5,         5,         4,   //
                                  -infinity, -infinity, -2,  //
                                  infinity,  0,         infinity};
  CHECK(predict(logits, 3) == Labels{1, 0, 2, 0});
  CHECK_THROWS_WITH_AS(predict(std::vector<float>{1, missing}, 2),
                       doctest::Contains("sample 0, class 1: expected a number, got NaN"), radapt::error);
  CHECK_THROWS_WITH_AS(predict(std::vector<float>{1, 2, 3}, 2), doctest::Contains("1 x 2 numbers, got 3"),
                       radapt::error);
  CHECK_THROWS_AS(predict({}, 2), radapt::error);
  CHECK_THROWS_AS(predict(std::vector<float>{1}, 0), radapt::error);
}

TEST_CASE("accuracy counts equal classes") {
  const Labels labels{0, 1, 2, 2, 1}, predicted{0, 2, 2, 1, 1};
  CHECK(accuracy(predicted, labels) == 0.6);
  CHECK(hits(predicted, labels) == std::vector<double>{1, 0, 1, 0, 1});
  CHECK_THROWS_WITH_AS(accuracy(predicted, Labels{0}), doctest::Contains("got 1 labels and 5 predictions"),
                       radapt::error);
  CHECK_THROWS_AS(accuracy({}, {}), radapt::error);
}

TEST_CASE("top-k accuracy by hand, equal logits in the order of classes") {
  const std::vector<float> logits{0.1f, 0.4f, 0.3f, 0.2f,   // label 3 is third
                                  1.0f, 1.0f, 1.0f, 1.0f,   // label 2 is third, by its position
                                  9.0f, 0.0f, 1.0f, 2.0f};  // label 0 is first
  const Labels labels{3, 2, 0};
  CHECK(top_k_accuracy(logits, 4, labels, 1) == 1.0 / 3);
  CHECK(top_k_accuracy(logits, 4, labels, 2) == 1.0 / 3);
  CHECK(top_k_accuracy(logits, 4, labels, 3) == 1.0);
  CHECK(top_k_accuracy(logits, 4, labels, 4) == 1.0);
  CHECK_THROWS_WITH_AS(top_k_accuracy(logits, 4, labels, 5), doctest::Contains("k from 1 to 4, got 5"), radapt::error);
  CHECK_THROWS_AS(top_k_accuracy(logits, 4, labels, 0), radapt::error);
  CHECK_THROWS_WITH_AS(top_k_accuracy(logits, 4, Labels{3, 4, 0}, 1),
                       doctest::Contains("sample 1: expected a label from 0 to 3, got 4"), radapt::error);
  CHECK_THROWS_AS(top_k_accuracy(logits, 4, Labels{3, -1, 0}, 1), radapt::error);
}

TEST_CASE("laws of top-k: k = 1 is the prediction, it grows with k, all classes find everything") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Drawn drawn = draw(50, 6, seed);
    CHECK(top_k_accuracy(drawn.logits, 6, drawn.labels, 1) == accuracy(predict(drawn.logits, 6), drawn.labels));
    double before = 0;
    for (Index k = 1; k <= 6; ++k) {
      const double now = top_k_accuracy(drawn.logits, 6, drawn.labels, k);
      CHECK(now >= before);
      before = now;
    }
    CHECK(before == 1.0);
  }
}

TEST_CASE("a confusion matrix by hand") {
  ConfusionMatrix matrix(4);
  // Class 0: 3 samples, 2 found. Class 1: 2 samples, 1 found. Class 2: none, predicted once. Class 3: neither.
  matrix.add(Labels{0, 0, 1, 1, 2}, Labels{0, 0, 0, 1, 1});
  CHECK(matrix.total() == 5);
  CHECK(matrix.count(0, 0) == 2);
  CHECK(matrix.count(0, 1) == 1);
  CHECK(matrix.count(1, 1) == 1);
  CHECK(matrix.count(1, 2) == 1);
  CHECK(matrix.labelled(0) == 3);
  CHECK(matrix.predicted(1) == 2);
  CHECK(matrix.accuracy() == 0.6);
  CHECK(matrix.recall(0) == 2.0 / 3);
  CHECK(matrix.precision(0) == 1.0);
  CHECK(matrix.f1(0) == 4.0 / 5);
  CHECK(matrix.f1(1) == 2.0 / 4);
  CHECK(matrix.f1(2) == 0.0);
  CHECK(std::isnan(matrix.f1(3)));
  CHECK(std::isnan(matrix.recall(2)));
  CHECK(std::isnan(matrix.precision(3)));
  CHECK(matrix.iou(0) == 2.0 / 3);
  CHECK(matrix.iou(1) == 1.0 / 3);
  CHECK(matrix.iou(2) == 0.0);
  // Sums of two or three doubles: exact up to the last place.
  CHECK(matrix.mean_per_class_accuracy() == doctest::Approx((2.0 / 3 + 1.0 / 2) / 2).epsilon(1e-15));
  CHECK(matrix.macro_f1() == doctest::Approx((4.0 / 5 + 1.0 / 2) / 2).epsilon(1e-15));
  CHECK(matrix.macro_f1(AveragedClasses::labelled_or_predicted) ==
        doctest::Approx((4.0 / 5 + 1.0 / 2 + 0) / 3).epsilon(1e-15));
  CHECK(matrix.mean_iou() == doctest::Approx((2.0 / 3 + 1.0 / 3 + 0) / 3).epsilon(1e-15));
  CHECK(matrix.mean_iou(AveragedClasses::labelled) == doctest::Approx(0.5).epsilon(1e-15));
}

TEST_CASE("a confusion matrix ignores a label, adds up, and refuses what is outside") {
  ConfusionMatrix parts(3), whole(3), other(3);
  const Labels labels{0, 255, 2, 1, 255, 2}, predicted{0, 1, 1, 1, 2, 2};
  parts.add(std::span(predicted).first(3), std::span(labels).first(3), 255);
  other.add(std::span(predicted).last(3), std::span(labels).last(3), 255);
  parts.add(other);
  whole.add(predicted, labels, 255);
  CHECK(std::equal(parts.counts().begin(), parts.counts().end(), whole.counts().begin()));
  CHECK(whole.total() == 4);
  CHECK(parts.total() == 4);
  CHECK_THROWS_WITH_AS(whole.add(Labels{0}, Labels{3}), doctest::Contains("expected a label from 0 to 2, got 3"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(whole.add(Labels{-1}, Labels{0}),
                       doctest::Contains("expected a predicted class from 0 to 2, got -1"), radapt::error);
  CHECK_THROWS_AS(whole.add(Labels{0, 1}, Labels{0}), radapt::error);
  CHECK_THROWS_AS(whole.add(ConfusionMatrix(2)), radapt::error);
  CHECK_THROWS_WITH_AS(ConfusionMatrix(3).accuracy(), doctest::Contains("at least one sample"), radapt::error);
  CHECK_THROWS_AS(ConfusionMatrix(0), radapt::error);
}

TEST_CASE("laws of the confusion matrix") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Drawn drawn = draw(60, 5, seed);
    const Labels predicted = predict(drawn.logits, 5);
    ConfusionMatrix matrix(5), turned(5), perfect(5);
    matrix.add(predicted, drawn.labels);
    turned.add(drawn.labels, predicted);
    perfect.add(drawn.labels, drawn.labels);
    CHECK(matrix.accuracy() == accuracy(predicted, drawn.labels));
    for (Index c = 0; c < 5; ++c) {
      CHECK(matrix.recall(c) == turned.precision(c));
      CHECK(matrix.f1(c) == turned.f1(c));
      CHECK(matrix.iou(c) == turned.iou(c));
      // IoU = F1 / (2 - F1): both are ratios of the same three counts.
      CHECK(matrix.iou(c) == doctest::Approx(matrix.f1(c) / (2 - matrix.f1(c))).epsilon(1e-14));
    }
    CHECK(perfect.macro_f1() == 1.0);
    CHECK(perfect.mean_iou() == 1.0);
    CHECK(perfect.mean_per_class_accuracy() == 1.0);
  }
}

TEST_CASE("accuracy inside groups by hand: worst, mean over groups, average over samples") {
  const Labels labels{0, 0, 1, 1, 1, 0}, predicted{0, 1, 1, 1, 0, 0}, groups{0, 0, 1, 1, 1, 3};
  const GroupAccuracy result = group_accuracy(predicted, labels, groups, 4);
  CHECK(result.size == std::vector<Index>{2, 3, 0, 1});
  CHECK(result.accuracy[0] == 0.5);
  CHECK(result.accuracy[1] == 2.0 / 3);
  CHECK(std::isnan(result.accuracy[2]));
  CHECK(result.accuracy[3] == 1.0);
  CHECK(result.worst == 0.5);
  CHECK(result.worst_group == 0);
  CHECK(result.average == 4.0 / 6);
  CHECK(result.mean == doctest::Approx((0.5 + 2.0 / 3 + 1.0) / 3).epsilon(1e-15));
  CHECK(result.weighted(std::vector<double>{0.5, 0, 0, 0.5}) == 0.75);
  // With the samples' own shares it is the average.
  CHECK(result.weighted(std::vector<double>{2.0 / 6, 3.0 / 6, 0, 1.0 / 6}) ==
        doctest::Approx(result.average).epsilon(1e-15));
  CHECK_THROWS_WITH_AS(result.weighted(std::vector<double>{0.5, 0.25, 0.25, 0}),
                       doctest::Contains("0 where there are no samples"), radapt::error);
  CHECK_THROWS_AS(result.weighted(std::vector<double>{0.5, 0.4, 0, 0}), radapt::error);
  CHECK_THROWS_AS(result.weighted(std::vector<double>{1}), radapt::error);
  CHECK_THROWS_WITH_AS(group_accuracy(predicted, labels, groups, 3), doctest::Contains("a group from 0 to 2, got 3"),
                       radapt::error);
}

TEST_CASE("the harmonic mean") {
  CHECK(harmonic_mean(0.5, 0.5) == 0.5);
  CHECK(harmonic_mean(1.0, 0.5) == doctest::Approx(2.0 / 3).epsilon(1e-15));
  CHECK(harmonic_mean(0.0, 1.0) == 0.0);
  CHECK(harmonic_mean(0.0, 0.0) == 0.0);
  CHECK(harmonic_mean(0.3, 0.9) == harmonic_mean(0.9, 0.3));
  CHECK_THROWS_AS(harmonic_mean(71.5, 0.5), radapt::error);
  CHECK_THROWS_AS(harmonic_mean(static_cast<double>(missing), 0.5), radapt::error);
}

TEST_CASE("a subset of the columns is scored and relabelled") {
  const auto projection = LabelProjection::subset(5, Labels{4, 1, 2});
  const std::vector<float> logits{0, 1, 2, 3, 4,  //
                                  9, 8, 7, 6, 5};
  CHECK(projection.classes() == 3);
  CHECK(projection(logits) == std::vector<float>{4, 1, 2, 5, 8, 7});
  CHECK(projection.relabel(Labels{2, 4, 1, 4}) == Labels{2, 0, 1, 0});
  CHECK_THROWS_WITH_AS(projection.relabel(Labels{3}), doctest::Contains("label 3, which belongs to none"),
                       radapt::error);
  CHECK_THROWS_AS(projection.relabel(Labels{5}), radapt::error);
  CHECK_THROWS_WITH_AS(LabelProjection::subset(5, Labels{1, 2, 1}), doctest::Contains("1 twice"), radapt::error);
  CHECK_THROWS_AS(LabelProjection::subset(5, Labels{5}), radapt::error);
  CHECK_THROWS_AS(LabelProjection::subset(5, {}), radapt::error);
  CHECK_THROWS_WITH_AS(projection(std::vector<float>{1, 2, 3}), doctest::Contains("rows of 5 logits"), radapt::error);
}

TEST_CASE("a class that covers several columns is scored by the largest") {
  const LabelProjection projection(4, {{0, 3}, {1}, {2, 3}});
  const std::vector<float> logits{1,  5,  2,  3,  //
                                  -1, -5, -2, -3};
  CHECK(projection(logits) == std::vector<float>{3, 5, 3, -1, -5, -2});
  CHECK(projection.relabel(Labels{0, 1, 2}) == Labels{0, 1, 2});
  CHECK_THROWS_WITH_AS(projection.relabel(Labels{3}), doctest::Contains("belongs to several"), radapt::error);
  CHECK_THROWS_AS(LabelProjection(4, {{0}, {}}), radapt::error);
  CHECK_THROWS_WITH_AS(LabelProjection(4, {{0, 1, 0}}), doctest::Contains("0 twice"), radapt::error);
  CHECK_THROWS_AS(LabelProjection(4, {{-1}}), radapt::error);
  // A NaN stays visible on either side of the maximum.
  CHECK(std::isnan(projection(std::vector<float>{missing, 0, 0, 1})[0]));
  CHECK(std::isnan(projection(std::vector<float>{1, 0, 0, missing})[0]));
}

TEST_CASE("laws of projection: all columns change nothing; it commutes with what keeps the order of logits") {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Drawn drawn = draw(30, 6, seed);
    CHECK(LabelProjection::subset(6, Labels{0, 1, 2, 3, 4, 5})(drawn.logits) == drawn.logits);
    const LabelProjection projection(6, {{5, 0}, {1, 2, 3}});
    std::vector<float> scaled = drawn.logits;
    for (float& l : scaled) { l = 4 * l - 8; }  // exact for halves of small integers
    CHECK(predict(projection(scaled), 2) == predict(projection(drawn.logits), 2));
  }
}
