#pragma once
/// Accuracy under shift beyond what accuracy on the model's own distribution predicts (Taori et al., NeurIPS 2020).
#include <cmath>
#include <span>
#include <string>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt::task {

/// In which coordinates accuracies lie on a line.
enum class AccuracyScale {
  linear,  ///< the accuracies themselves
  logit,   ///< log(a / (1 - a)), which Taori et al. fit in: the accuracies of standard models lie on a line over a wide
           ///< range. Undefined at 0 and 1.
};

/// What the accuracy under shift is expected to be, given the accuracy without: a straight line in the chosen scale.
struct BaselineLine {
  AccuracyScale scale = AccuracyScale::logit;
  double slope = 1.0, intercept = 0.0;
  double r_squared = 1.0;  ///< share of the variance that the line explains; 1 for two models

  /// Accuracy under shift that the baseline has at accuracy `in_distribution`, both 0 to 1 (in the linear scale the
  /// line may leave that range, and the value is not cut off). Error: an accuracy outside 0 to 1, or at an end in the
  /// logit scale.
  double operator()(double in_distribution) const {
    const double y = intercept + slope * to(scale, in_distribution);
    return scale == AccuracyScale::linear ? y : 1.0 / (1.0 + std::exp(-y));
  }

  /// The line through the accuracies of baseline models by least squares in the chosen scale: model i has
  /// in_distribution[i] and under_shift[i]. Errors: fewer than two models, all with the same accuracy, values as above.
  static BaselineLine fit(std::span<const double> in_distribution, std::span<const double> under_shift,
                          AccuracyScale scale = AccuracyScale::logit) {
    const Index models = in_distribution.size();
    if (models < 2 || under_shift.size() != models) {
      fail({.what = "fitting a baseline",
            .expected = "both accuracies of at least two models",
            .got = std::to_string(models) + " and " + std::to_string(under_shift.size()),
            .hint = {}});
    }
    const auto n = static_cast<double>(models);
    double x_mean = 0.0, y_mean = 0.0;
    for (Index i = 0; i < models; ++i) {
      x_mean += to(scale, in_distribution[i]) / n;
      y_mean += to(scale, under_shift[i]) / n;
    }
    double xx = 0.0, xy = 0.0, yy = 0.0;
    bool differ = false;
    for (Index i = 0; i < models; ++i) {
      const double x = to(scale, in_distribution[i]) - x_mean, y = to(scale, under_shift[i]) - y_mean;
      xx += x * x;
      xy += x * y;
      yy += y * y;
      differ = differ || in_distribution[i] != in_distribution[0];
    }
    if (!differ) {
      fail({.what = "fitting a baseline",
            .expected = "models that differ in accuracy",
            .got = std::to_string(models) + " with the same",
            .hint = {}});
    }
    BaselineLine line{.scale = scale, .slope = xy / xx, .intercept = 0.0, .r_squared = 1.0};
    line.intercept = y_mean - line.slope * x_mean;
    if (yy > 0.0) { line.r_squared = xy * xy / (xx * yy); }
    return line;
  }

 private:
  static double to(AccuracyScale scale, double accuracy) {
    const bool open = scale == AccuracyScale::logit;
    if (!(accuracy >= 0.0 && accuracy <= 1.0) || (open && (accuracy == 0.0 || accuracy == 1.0))) {
      fail({.what = "effective robustness",
            .expected = open ? "an accuracy above 0 and below 1" : "an accuracy from 0 to 1",
            .got = std::to_string(accuracy),
            .hint = open ? "The logit scale has no place for 0 and 1; the linear scale has" : ""});
    }
    return open ? std::log(accuracy / (1.0 - accuracy)) : accuracy;
  }
};

/// rho = under_shift - baseline(in_distribution), in accuracy (-1 to 1), whatever the scale of the fit: what a model
/// has beyond the baseline of its own accuracy. Errors: as BaselineLine.
inline double effective_robustness(const BaselineLine& baseline, double in_distribution, double under_shift) {
  return under_shift - baseline(in_distribution);
}

}  // namespace radapt::task
