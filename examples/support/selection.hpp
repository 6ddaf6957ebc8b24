#pragma once
/// Choosing a learning rate and alpha on a validation set, by rules that are fixed before anything is measured.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "radapt/core/error.hpp"

#include "study_data.hpp"

namespace example {

/// The position of the best validation accuracy; of equal ones the smallest rate, which stays closest to the base.
/// Error: nothing was tried.
inline std::size_t best_rate(const std::vector<TriedRate>& tried) {
  if (tried.empty()) {
    radapt::fail({.what = "choosing a learning rate", .expected = "at least one to try", .got = "none", .hint = ""});
  }
  std::size_t best = 0;
  for (std::size_t i = 1; i < tried.size(); ++i) {
    const bool better = tried[i].validation > tried[best].validation;
    const bool equal = tried[i].validation == tried[best].validation;
    if (better || (equal && tried[i].lr < tried[best].lr)) { best = i; }
  }
  return best;
}

/// The standard error of an accuracy in percent that was measured on `images` images.
inline double standard_error(double accuracy, std::size_t images) {
  const double p = accuracy / 100;
  return images == 0 ? 0 : 100 * std::sqrt(p * (1 - p) / static_cast<double>(images));
}

/// The one-standard-error rule (Breiman et al., 1984): the smallest alpha whose validation accuracy is within one
/// standard error of the best. A validation set of the training distribution cannot see a shift, so among alphas that
/// it cannot tell apart the one closest to zero-shot is taken. `curve` has ascending alphas. Error: it is empty.
inline double chosen_alpha(const std::vector<CurvePoint>& curve, std::size_t validation_images) {
  if (curve.empty()) {
    radapt::fail({.what = "choosing alpha", .expected = "at least one to choose from", .got = "none", .hint = ""});
  }
  double best = curve.front().validation;
  for (const CurvePoint& point : curve) { best = std::max(best, point.validation); }
  const double enough = best - standard_error(best, validation_images);
  for (const CurvePoint& point : curve) {
    if (point.validation >= enough) { return point.alpha; }
  }
  return curve.back().alpha;
}

}  // namespace example
