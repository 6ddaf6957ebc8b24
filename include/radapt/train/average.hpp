#pragma once
/// Moving averages of the trained parameters: exponential, and CLIPood's Beta-weighted one (methods.md 1.6, 7.15).
#include <cmath>
#include <cstdint>

namespace radapt {

/// How the average follows the parameters: average = m average + (1 - m) parameters after every step.
struct Average {
  enum class Kind { none, exponential, beta };
  enum class Target {
    factors,  ///< every tensor by itself, as the released code does
    product,  ///< the product of an adapter's factors: the average of what the adapter does
  };
  Kind kind = Kind::exponential;
  double momentum = 0.999;  ///< exponential: weight of the old value, 0 <= m < 1
  double beta = 0.5;        ///< Beta(beta, beta) density over the run, for Kind::beta
  Target target = Target::factors;

  /// Weight of the old value in the update after step `step` of `total`, steps counted from 1. The Beta average gives
  /// iterate t of 0..total the density at (t + 1/2) / (total + 1); iterate 0 is the initial value.
  double momentum_at(std::uint64_t step, std::uint64_t total) const {
    if (kind == Kind::exponential) { return momentum; }
    double before = 0.0;
    for (std::uint64_t t = 0; t < step; ++t) { before += beta_weight(t, total); }
    return before / (before + beta_weight(step, total));
  }

  /// The density that Kind::beta gives iterate t of 0..total.
  double beta_weight(std::uint64_t t, std::uint64_t total) const {
    const double x = (static_cast<double>(t) + 0.5) / (static_cast<double>(total) + 1.0);
    const double constant = std::lgamma(2 * beta) - 2 * std::lgamma(beta);
    return std::exp(constant + (beta - 1) * (std::log(x) + std::log1p(-x)));
  }
};

/// Average::momentum_at for ascending steps, with the weights of all steps before added up only once.
class AscendingMomentum {
 public:
  double at(const Average& average, std::uint64_t step, std::uint64_t total) {
    if (average.kind == Average::Kind::exponential) { return average.momentum; }
    if (step < added_) {
      added_ = 0;
      before_ = 0.0;
    }
    for (; added_ < step; ++added_) { before_ += average.beta_weight(added_, total); }
    return before_ / (before_ + average.beta_weight(step, total));
  }

 private:
  std::uint64_t added_ = 0;  ///< steps whose weights are in before_
  double before_ = 0.0;
};

}  // namespace radapt
