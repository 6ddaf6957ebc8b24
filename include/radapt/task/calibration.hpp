#pragma once
/// Whether a model is as sure as it is right: reliability bins and the expected calibration error of Guo et al. (ICML
/// 2017).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/task/accuracy.hpp"

namespace radapt::task {

/// Largest probability of each row of `logits` (N, classes): 1 / sum_c exp(scale (l_c - max l)), in double. `scale` is
/// an inverse temperature; use exp(logit_scale) where logits are cosines. Errors: sizes that do not fit, NaN, a scale
/// that is not positive and finite, a row whose largest logit is infinite.
inline std::vector<double> confidences(std::span<const float> logits, Index classes, double scale = 1.0) {
  const Index rows = classes == 0 ? 0 : logits.size() / classes;
  detail::check_logits("confidences", logits, rows, classes);
  if (!(scale > 0.0 && std::isfinite(scale))) {
    fail({.what = "confidences", .expected = "a positive scale", .got = std::to_string(scale), .hint = {}});
  }
  std::vector<double> result(rows);
  for (Index i = 0; i < rows; ++i) {
    const auto row = logits.subspan(i * classes, classes);
    const float largest = *std::max_element(row.begin(), row.end());
    if (!std::isfinite(largest)) {
      fail({.what = "confidences, sample " + std::to_string(i),
            .expected = "a finite largest logit",
            .got = std::to_string(largest),
            .hint = {}});
    }
    double sum = 0.0;
    for (const float l : row) { sum += std::exp(scale * (static_cast<double>(l) - static_cast<double>(largest))); }
    result[i] = 1.0 / sum;
  }
  return result;
}

/// The samples whose confidence lies in (lower, upper]; the first bin holds confidence 0 as well.
struct ReliabilityBin {
  double lower = 0.0, upper = 0.0;
  Index count = 0;          ///< samples: the confidence histogram
  double accuracy = 0.0;    ///< of them; 0 where there are none
  double confidence = 0.0;  ///< mean of them; 0 where there are none
};

/// What `calibration` measures.
struct Calibration {
  std::vector<ReliabilityBin> bins;
  double accuracy = 0.0;        ///< of all samples
  double confidence = 0.0;      ///< mean of all samples
  double expected_error = 0.0;  ///< ECE = sum_m (n_m / n) |accuracy_m - confidence_m|
  double maximum_error = 0.0;   ///< MCE: the largest |accuracy_m - confidence_m| of a bin with samples
};

/// Sorts N samples into `bins` intervals of equal width ((m-1)/M, m/M] by their confidence, as Guo et al. do (they use
/// M = 15). `confidence` (N) is in 0 to 1; `predicted` and `labels` (N) say which samples are right. Errors: no
/// samples, other numbers of them, a confidence outside 0 to 1, no bin.
inline Calibration calibration(std::span<const double> confidence, std::span<const std::int32_t> predicted,
                               std::span<const std::int32_t> labels, Index bins = 15) {
  const char* const what = "calibration";
  detail::check_pairs(what, labels.size(), predicted.size(), "predictions");
  detail::check_pairs(what, labels.size(), confidence.size(), "confidences");
  if (bins == 0) { fail({.what = what, .expected = "at least one bin", .got = "none", .hint = {}}); }
  Calibration result;
  result.bins.resize(bins);
  const auto width = static_cast<double>(bins), samples = static_cast<double>(labels.size());
  for (Index m = 0; m < bins; ++m) {
    result.bins[m].lower = static_cast<double>(m) / width;
    result.bins[m].upper = static_cast<double>(m + 1) / width;
  }
  for (Index i = 0; i < labels.size(); ++i) {
    const double c = confidence[i];
    if (!(c >= 0.0 && c <= 1.0)) {
      fail({.what = std::string(what) + ", sample " + std::to_string(i),
            .expected = "a confidence from 0 to 1",
            .got = std::to_string(c),
            .hint = {}});
    }
    // The product may round across a bound; the bounds themselves decide.
    Index m = std::min(static_cast<Index>(c * width), bins - 1);
    while (m > 0 && c <= result.bins[m].lower) { --m; }
    while (c > result.bins[m].upper) { ++m; }
    ReliabilityBin& bin = result.bins[m];
    const double right = predicted[i] == labels[i] ? 1.0 : 0.0;
    ++bin.count;
    bin.accuracy += right;
    bin.confidence += c;
    result.accuracy += right;
    result.confidence += c;
  }
  for (ReliabilityBin& bin : result.bins) {
    if (bin.count == 0) { continue; }
    const auto n = static_cast<double>(bin.count);
    bin.accuracy /= n;
    bin.confidence /= n;
    const double gap = std::abs(bin.accuracy - bin.confidence);
    result.expected_error += n / samples * gap;
    result.maximum_error = std::max(result.maximum_error, gap);
  }
  result.accuracy /= samples;
  result.confidence /= samples;
  return result;
}

}  // namespace radapt::task
