#pragma once
/// How often predictions are right: top-1, top-k, per class and per group, from logits or from predicted classes.
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt::task {

namespace detail {

/// Fails unless there is at least one label and as many of `others`.
inline void check_pairs(const char* what, Index labels, Index others, const char* others_are) {
  if (labels == 0 || labels != others) {
    fail({.what = what,
          .expected = "at least one label and as many " + std::string(others_are),
          .got = std::to_string(labels) + " labels and " + std::to_string(others) + " " + others_are,
          .hint = {}});
  }
}

/// Fails unless every label is in 0 .. bound - 1.
inline void check_labels(const char* what, std::span<const std::int32_t> labels, Index bound, const char* they_are) {
  for (Index i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || static_cast<Index>(labels[i]) >= bound) {
      fail({.what = std::string(what) + ", sample " + std::to_string(i),
            .expected = std::string(they_are) + " from 0 to " + std::to_string(bound == 0 ? 0 : bound - 1),
            .got = std::to_string(labels[i]),
            .hint = {}});
    }
  }
}

/// Fails unless `logits` are `rows` rows of `classes` numbers, none of them NaN. Infinities are allowed: a masked class
/// is minus infinity.
inline void check_logits(const char* what, std::span<const float> logits, Index rows, Index classes) {
  if (classes == 0 || rows == 0 || logits.size() != rows * classes) {
    fail({.what = what,
          .expected = "logits (samples, classes), at least one of each: " + std::to_string(rows) + " x " +
                      std::to_string(classes) + " numbers",
          .got = std::to_string(logits.size()),
          .hint = {}});
  }
  for (Index i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      fail({.what = std::string(what) + ", sample " + std::to_string(i / classes) + ", class " +
                    std::to_string(i % classes),
            .expected = "a number",
            .got = "NaN",
            .hint = "Check the weights and the pixels for values that are not finite"});
    }
  }
}

}  // namespace detail

/// The class with the largest logit of each row of `logits` (N, classes); of equal ones the first, as torch.argmax on
/// the CPU and clip_compat.md 5.2. Errors: no rows or classes, sizes that do not fit, a NaN.
inline std::vector<std::int32_t> predict(std::span<const float> logits, Index classes) {
  const Index rows = classes == 0 ? 0 : logits.size() / classes;
  detail::check_logits("predict", logits, rows, classes);
  std::vector<std::int32_t> predicted(rows);
  for (Index i = 0; i < rows; ++i) {
    const float* const row = logits.data() + i * classes;
    Index best = 0;
    for (Index c = 1; c < classes; ++c) { best = row[c] > row[best] ? c : best; }
    predicted[i] = static_cast<std::int32_t>(best);
  }
  return predicted;
}

/// Whether each of N predictions is right, 1 or 0: what confidence intervals are made from (bootstrap_mean).
/// Errors: no labels, other numbers of them.
inline std::vector<double> hits(std::span<const std::int32_t> predicted, std::span<const std::int32_t> labels) {
  detail::check_pairs("hits", labels.size(), predicted.size(), "predictions");
  std::vector<double> right(labels.size());
  for (Index i = 0; i < labels.size(); ++i) { right[i] = predicted[i] == labels[i] ? 1.0 : 0.0; }
  return right;
}

/// Share of N predictions that equal their label, 0 to 1. Errors: no labels, other numbers of them.
inline double accuracy(std::span<const std::int32_t> predicted, std::span<const std::int32_t> labels) {
  detail::check_pairs("accuracy", labels.size(), predicted.size(), "predictions");
  Index right = 0;
  for (Index i = 0; i < labels.size(); ++i) { right += predicted[i] == labels[i] ? 1U : 0U; }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

/// Share of the rows of `logits` (N, classes) whose label (N) is among the k largest, 0 to 1; of equal logits the lower
/// class ranks first (clip_compat.md 5.2), so that k = 1 is the accuracy of `predict`. Errors: sizes that do not fit, a
/// label outside the classes, k outside 1 .. classes, a NaN.
inline double top_k_accuracy(std::span<const float> logits, Index classes, std::span<const std::int32_t> labels,
                             Index k) {
  const char* const what = "top_k_accuracy";
  detail::check_logits(what, logits, labels.size(), classes);
  detail::check_labels(what, labels, classes, "a label");
  if (k == 0 || k > classes) {
    fail({.what = what, .expected = "k from 1 to " + std::to_string(classes), .got = std::to_string(k), .hint = {}});
  }
  Index right = 0;
  for (Index i = 0; i < labels.size(); ++i) {
    const float* const row = logits.data() + i * classes;
    const auto label = static_cast<Index>(labels[i]);
    Index before = 0;
    for (Index c = 0; c < classes; ++c) {
      before += row[c] > row[label] || (row[c] == row[label] && c < label) ? 1 : 0;
    }
    right += before < k ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

/// Accuracy inside each group of samples: places of a camera trap, regions, backgrounds.
struct GroupAccuracy {
  std::vector<Index> size;       ///< samples in each group
  std::vector<double> accuracy;  ///< of each group, 0 to 1; NaN for a group without samples
  double average = 0.0;          ///< over all samples: a group counts by its size
  double mean = 0.0;             ///< over the groups that have samples, each counting the same
  double worst = 0.0;            ///< the least of the groups that have samples
  Index worst_group = 0;         ///< the first group that has it

  /// sum_g share_g accuracy_g with given shares instead of those of these samples, as Waterbirds is reported with the
  /// shares of its training set (Sagawa et al., ICLR 2020). Errors: another number of shares, a share below 0, shares
  /// that do not sum to one within 1e-6 (room for shares given in single precision), a share of a group without
  /// samples.
  double weighted(std::span<const double> shares) const {
    double sum = 0.0, result = 0.0;
    bool valid = shares.size() == accuracy.size();
    for (Index g = 0; valid && g < shares.size(); ++g) {
      valid = shares[g] >= 0.0 && (shares[g] == 0.0 || size[g] > 0);
      sum += shares[g];
      result += shares[g] == 0.0 ? 0.0 : shares[g] * accuracy[g];
    }
    if (!valid || !(std::abs(sum - 1.0) <= 1e-6)) {
      fail({.what = "GroupAccuracy::weighted",
            .expected = "a share for each of " + std::to_string(accuracy.size()) +
                        " groups, 0 where there are no samples, with sum 1",
            .got = std::to_string(shares.size()) + " shares with sum " + std::to_string(sum),
            .hint = {}});
    }
    return result;
  }
};

/// Accuracy of N predictions inside each of `group_count` groups; `groups` (N) says where a sample belongs (methods.md
/// 0.5: Waterbirds has the group 2 y + place). Errors: no labels, other numbers, a group outside 0 .. group_count - 1.
inline GroupAccuracy group_accuracy(std::span<const std::int32_t> predicted, std::span<const std::int32_t> labels,
                                    std::span<const std::int32_t> groups, Index group_count) {
  const char* const what = "group_accuracy";
  detail::check_pairs(what, labels.size(), predicted.size(), "predictions");
  detail::check_pairs(what, labels.size(), groups.size(), "groups");
  detail::check_labels(what, groups, group_count, "a group");
  GroupAccuracy result;
  result.size.resize(group_count);
  std::vector<Index> right(group_count);
  Index all_right = 0, used = 0;
  for (Index i = 0; i < labels.size(); ++i) {
    const auto g = static_cast<Index>(groups[i]);
    const Index hit = predicted[i] == labels[i] ? 1 : 0;
    ++result.size[g];
    right[g] += hit;
    all_right += hit;
  }
  result.average = static_cast<double>(all_right) / static_cast<double>(labels.size());
  result.worst = std::numeric_limits<double>::infinity();
  for (Index g = 0; g < group_count; ++g) {
    if (result.size[g] == 0) {
      result.accuracy.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    result.accuracy.push_back(static_cast<double>(right[g]) / static_cast<double>(result.size[g]));
    result.mean += result.accuracy[g];
    ++used;
    if (result.accuracy[g] < result.worst) {
      result.worst = result.accuracy[g];
      result.worst_group = g;
    }
  }
  result.mean /= static_cast<double>(used);
  return result;
}

/// 2 B N / (B + N): the harmonic mean of the accuracies on base and novel classes (methods.md 0.5), 0 when both are 0.
/// Errors: an accuracy outside 0 to 1.
inline double harmonic_mean(double base, double novel) {
  if (!(base >= 0.0 && base <= 1.0 && novel >= 0.0 && novel <= 1.0)) {
    fail({.what = "harmonic_mean",
          .expected = "accuracies from 0 to 1",
          .got = std::to_string(base) + " and " + std::to_string(novel),
          .hint = {}});
  }
  return base + novel == 0.0 ? 0.0 : 2.0 * base * novel / (base + novel);
}

}  // namespace radapt::task
