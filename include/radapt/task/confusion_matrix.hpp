#pragma once
/// Which classes are taken for which, and what follows from it: per-class recall, precision, F1 and IoU.
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "radapt/task/accuracy.hpp"

namespace radapt::task {

/// Which classes an average over classes is taken over. A class that no label names has no recall.
enum class AveragedClasses {
  labelled,               ///< those of at least one label: WILDS' macro-F1 of iWildCam, and balanced accuracy
  labelled_or_predicted,  ///< those of at least one label or prediction: scikit-learn's f1_score, mean IoU
};

/// Counts (classes, classes): row = label, column = prediction. Samples are added one by one or all at once, so that a
/// pass over images needs no more memory than this.
class ConfusionMatrix {
 public:
  /// Errors: no class, or more than 16384 (the counts would take more than 2 GiB).
  explicit ConfusionMatrix(Index classes) : classes_(classes) {
    if (classes == 0 || classes > 16384) {
      fail({.what = "ConfusionMatrix", .expected = "1 to 16384 classes", .got = std::to_string(classes), .hint = {}});
    }
    counts_.resize(classes * classes);
  }

  /// Adds samples: labels (N) and predictions (N). A label equal to `ignored` is passed over, whatever was predicted.
  /// Errors: other numbers of them, a label or prediction outside the classes.
  void add(std::span<const std::int32_t> predicted, std::span<const std::int32_t> labels, std::int32_t ignored = -1) {
    if (predicted.size() != labels.size()) {
      detail::check_pairs("ConfusionMatrix::add", labels.size(), predicted.size(), "predictions");
    }
    for (Index i = 0; i < labels.size(); ++i) {
      if (labels[i] == ignored) { continue; }
      // A negative number becomes one beyond all classes.
      const auto label = static_cast<Index>(labels[i]), taken_for = static_cast<Index>(predicted[i]);
      if (label >= classes_ || taken_for >= classes_) {
        detail::check_labels("ConfusionMatrix::add", labels.subspan(i, 1), classes_, "a label");
        detail::check_labels("ConfusionMatrix::add", predicted.subspan(i, 1), classes_, "a predicted class");
      }
      ++counts_[label * classes_ + taken_for];
      ++total_;
    }
  }
  /// Adds the counts of another matrix. Error: another number of classes.
  void add(const ConfusionMatrix& other) {
    if (other.classes_ != classes_) {
      fail({.what = "ConfusionMatrix::add",
            .expected = std::to_string(classes_) + " classes",
            .got = std::to_string(other.classes_),
            .hint = {}});
    }
    for (Index i = 0; i < counts_.size(); ++i) { counts_[i] += other.counts_[i]; }
    total_ += other.total_;
  }

  Index classes() const { return classes_; }
  /// Samples added, without the ignored ones.
  Index total() const { return total_; }
  /// Samples of class `label` that were taken for class `predicted`.
  Index count(Index label, Index predicted) const { return counts_[label * classes_ + predicted]; }
  /// All counts, row by row.
  std::span<const Index> counts() const { return counts_; }
  /// Samples of a class, and predictions of it.
  Index labelled(Index c) const {
    Index n = 0;
    for (Index p = 0; p < classes_; ++p) { n += count(c, p); }
    return n;
  }
  Index predicted(Index c) const {
    Index n = 0;
    for (Index l = 0; l < classes_; ++l) { n += count(l, c); }
    return n;
  }

  /// Share of all samples on the diagonal, 0 to 1; of pixels this is the pixel accuracy. Error: no samples.
  double accuracy() const {
    require_samples();
    Index right = 0;
    for (Index c = 0; c < classes_; ++c) { right += count(c, c); }
    return ratio(right, total_);
  }
  /// Share of the samples of class c that were found, NaN without samples.
  double recall(Index c) const { return ratio(count(c, c), labelled(c)); }
  /// Share of the predictions of class c that are right, NaN without predictions.
  double precision(Index c) const { return ratio(count(c, c), predicted(c)); }
  /// 2 TP / (labelled + predicted): the harmonic mean of precision and recall, 0 where no prediction is right, NaN
  /// where there is neither a label nor a prediction.
  double f1(Index c) const { return ratio(2 * count(c, c), labelled(c) + predicted(c)); }
  /// Intersection over union TP / (labelled + predicted - TP), NaN where there is neither a label nor a prediction.
  double iou(Index c) const { return ratio(count(c, c), labelled(c) + predicted(c) - count(c, c)); }

  /// Mean recall over the labelled classes: balanced accuracy, CLIP_benchmark's mean_per_class_recall. Error: no
  /// samples.
  double mean_per_class_accuracy() const {
    return mean(AveragedClasses::labelled, [this](Index c) { return recall(c); });
  }
  /// Mean F1 over classes (methods.md 0.5: iWildCam). Error: no samples.
  double macro_f1(AveragedClasses over = AveragedClasses::labelled) const {
    return mean(over, [this](Index c) { return f1(c); });
  }
  /// Mean IoU over classes; over those with a label or a prediction unless said otherwise. Error: no samples.
  double mean_iou(AveragedClasses over = AveragedClasses::labelled_or_predicted) const {
    return mean(over, [this](Index c) { return iou(c); });
  }

 private:
  static double ratio(Index part, Index whole) {
    return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                      : static_cast<double>(part) / static_cast<double>(whole);
  }
  void require_samples() const {
    if (total_ == 0) {
      fail({.what = "ConfusionMatrix", .expected = "at least one sample", .got = "none", .hint = {}});
    }
  }
  template <class Value>
  double mean(AveragedClasses over, Value&& value) const {
    require_samples();
    double sum = 0.0;
    Index used = 0;
    for (Index c = 0; c < classes_; ++c) {
      if (labelled(c) == 0 && (over == AveragedClasses::labelled || predicted(c) == 0)) { continue; }
      sum += value(c);
      ++used;
    }
    return sum / static_cast<double>(used);
  }

  Index classes_, total_ = 0;
  std::vector<Index> counts_;
};

}  // namespace radapt::task
