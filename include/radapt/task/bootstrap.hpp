#pragma once
/// How far a metric may be off because the test set is a sample: percentile bootstrap intervals (Efron, 1979).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/random.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/task/late_progress.hpp"

namespace radapt::task {

/// How a bootstrap is run.
struct BootstrapOptions {
  Index resamples = 1000;  ///< at least 2; the ends of a 95 % interval want 1000
  double coverage = 0.95;  ///< share of the resamples inside the interval, above 0 and below 1
  std::uint64_t seed = 0;  ///< equal seeds give equal intervals
};

/// A metric on the data as it is, and the interval in which it lies for `coverage` of the resamples.
struct Interval {
  double estimate = 0.0, low = 0.0, high = 0.0;
};

namespace detail {
/// Quantile q of ascending values: linear between the two nearest, at position q (n - 1) from 0, as numpy's default.
inline double quantile(const std::vector<double>& ascending, double q) {
  const double position = q * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<Index>(position);
  const Index above = std::min(below + 1, ascending.size() - 1);
  const double share = position - static_cast<double>(below);
  return ascending[below] + share * (ascending[above] - ascending[below]);
}
}  // namespace detail

/// The percentile interval of `statistic`, a function of the positions of samples (std::span<const Index>) that returns
/// a double: once for 0 .. samples - 1, and for each resample, `samples` positions drawn with replacement. Resample r
/// uses stream r of the seed, so that more resamples keep the first ones. Errors: no samples or 2^32 and more, fewer
/// than 2 resamples, a coverage that is not above 0 and below 1, a statistic that is not finite.
template <class Statistic>
Interval bootstrap(Index samples, Statistic&& statistic, const BootstrapOptions& options = {}) {
  const char* const what = "bootstrap";
  if (samples == 0 || samples > std::numeric_limits<std::uint32_t>::max()) {
    fail({.what = what, .expected = "1 to 2^32 - 1 samples", .got = std::to_string(samples), .hint = {}});
  }
  if (options.resamples < 2 || !(options.coverage > 0.0 && options.coverage < 1.0)) {
    fail({.what = what,
          .expected = "at least 2 resamples and a coverage above 0 and below 1",
          .got = std::to_string(options.resamples) + " and " + std::to_string(options.coverage),
          .hint = {}});
  }
  std::vector<Index> positions(samples);
  for (Index i = 0; i < samples; ++i) { positions[i] = i; }
  const auto value = [&] {
    const double v = static_cast<double>(statistic(std::span<const Index>(positions)));
    if (!std::isfinite(v)) {
      fail({.what = what, .expected = "a finite statistic for every resample", .got = std::to_string(v), .hint = {}});
    }
    return v;
  };
  Interval interval;
  interval.estimate = value();
  LateProgress progress("bootstrap", options.resamples);
  std::vector<double> values(options.resamples);
  for (Index r = 0; r < options.resamples; ++r) {
    Random random(options.seed, r);
    for (Index& position : positions) { position = random.below(static_cast<std::uint32_t>(samples)); }
    values[r] = value();
    progress.advance();
  }
  std::sort(values.begin(), values.end());
  interval.low = detail::quantile(values, (1.0 - options.coverage) / 2.0);
  interval.high = detail::quantile(values, (1.0 + options.coverage) / 2.0);
  return interval;
}

/// The percentile interval of the mean of `values` (N), such as the `hits` of a classifier. Errors: as bootstrap.
inline Interval bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {}) {
  return bootstrap(
      values.size(),
      [values](std::span<const Index> positions) {
        double sum = 0.0;
        for (const Index i : positions) { sum += values[i]; }
        return sum / static_cast<double>(positions.size());
      },
      options);
}

}  // namespace radapt::task
