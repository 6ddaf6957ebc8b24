#pragma once
/// The temperature at which a model is as confident as it is right (methods.md 3.2).
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "radapt/ensemble/output.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

/// Options of fit_temperature.
struct TemperatureOptions {
  double lowest = 1e-2,
         highest = 1e2;     ///< where the temperature is looked for; the released search begins in 0.1 .. 10
  double tolerance = 1e-6;  ///< of the confidence; the released search stops at 1e-3
  ProgressOptions progress{};
};

/// What fit_temperature returns.
struct FittedTemperature {
  double temperature = 1;
  double accuracy = 0;    ///< of the logits, top 1
  double confidence = 0;  ///< mean of the largest probability at that temperature
  bool matched = false;  ///< whether the two agree within the tolerance; if not, the temperature is an end of the range
};

/// Mean over rows of the largest probability. It falls as the temperature rises.
template <score_table X>
double mean_confidence(const X& logits, double temperature) {
  const auto table = view_of(logits);
  double sum = 0;
  for (Index i = 0; i < table.rows; ++i) {
    const auto* z = table.data + i * table.columns;
    const double top = static_cast<double>(z[detail::largest(z, table.columns)]);
    double total = 0;
    for (Index c = 0; c < table.columns; ++c) { total += std::exp((static_cast<double>(z[c]) - top) / temperature); }
    sum += 1.0 / total;
  }
  return sum / static_cast<double>(table.rows);
}

/// The temperature T for which the mean of the largest softmax(logits / T) is the accuracy, by bisection.
///
/// Mean confidence falls strictly with T unless all logits of every row are equal, so there is one answer or none: an
/// accuracy that no temperature in the range reaches (of 1, or below 1 / classes) gives the nearer end and
/// `matched = false`: there softmax is a step, or says nothing, and 1 is the better temperature. Logits are (rows,
/// classes), labels (rows). Fit on held-out in-distribution data: the released VRF code fits on the data that it then
/// reports. Project labels first where a projection is used.
template <score_table X>
FittedTemperature fit_temperature(const X& logits, const std::vector<std::int32_t>& labels,
                                  const TemperatureOptions& options = {}) {
  const auto table = view_of(logits);
  const std::string what = "fit_temperature";
  detail::check_rows(what, table);
  detail::check_labels(what, table, labels);
  detail::check_temperature(what, options.lowest);
  detail::check_temperature(what, options.highest);
  if (!(options.lowest < options.highest) || !(options.tolerance > 0.0)) {
    fail({.what = what,
          .expected = "lowest below highest, and a tolerance above 0",
          .got = std::to_string(options.lowest) + ", " + std::to_string(options.highest) + ", " +
                 std::to_string(options.tolerance),
          .hint = ""});
  }
  Index right = 0;
  for (Index i = 0; i < table.rows; ++i) {
    right += static_cast<std::int32_t>(detail::largest(table.data + i * table.columns, table.columns)) == labels[i];
  }
  FittedTemperature fit{.accuracy = static_cast<double>(right) / static_cast<double>(table.rows)};

  // Confidence is above 0 and below 1 at every temperature, however near it comes.
  const bool reachable = fit.accuracy > 0.0 && fit.accuracy < 1.0;

  Progress progress("temperature", 0, options.progress);
  const auto look = [&](double temperature) {
    fit.temperature = temperature;
    fit.confidence = mean_confidence(table, temperature);
    fit.matched = reachable && std::abs(fit.confidence - fit.accuracy) <= options.tolerance;
    progress.advance(1, "T " + std::to_string(temperature) + ", confidence " + std::to_string(fit.confidence));
    return fit.confidence;
  };
  double low = options.lowest, high = options.highest;
  if (look(low) < fit.accuracy || fit.matched) { return fit; }
  if (look(high) > fit.accuracy || fit.matched) { return fit; }
  // Halves the range of ln T; 200 halvings are beyond the last bit, so the loop ends for any tolerance.
  for (int i = 0; i < 200 && !fit.matched; ++i) {
    const double middle = std::sqrt(low * high);
    (look(middle) > fit.accuracy ? low : high) = middle;
  }
  return fit;
}

}  // namespace radapt
