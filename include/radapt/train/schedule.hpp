#pragma once
/// The learning rate of WiSE-FT, FLYP and R-Adapter: linear warm-up, then a cosine (methods.md 0.4).
#include <cmath>
#include <cstdint>

namespace radapt {

/// lr(step) = base (step+1)/warmup below the warm-up, else base (1 + cos(pi (step-warmup)/(total-warmup)))/2 + minimum.
/// `minimum` is added, so that the peak is base + minimum. A run may end inside its warm-up; it really happens on small
/// few-shot sets (methods.md 1.10). Behind `total` the rate stays what it comes to, `minimum`.
struct WarmupCosine {
  double base = 5e-4;
  std::uint64_t warmup = 500;  ///< steps
  std::uint64_t total = 0;     ///< steps of the whole run
  double minimum = 1e-6;

  /// Rate of `step`, counted from 0.
  double operator()(std::uint64_t step) const {
    if (step < warmup) { return base * static_cast<double>(step + 1) / static_cast<double>(warmup); }
    if (total <= warmup) { return base + minimum; }  // the formula's 0/0 at total == warmup
    if (step >= total) { return minimum; }
    const double at = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
    return 0.5 * (1.0 + std::cos(3.14159265358979323846 * at)) * base + minimum;
  }
};

}  // namespace radapt
