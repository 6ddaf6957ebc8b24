#pragma once
/// Adam and AdamW in double for the few numbers that an ensemble learns: shares, radii.
#include <cmath>
#include <vector>

#include "radapt/core/shape.hpp"

namespace radapt {

/// Options of the optimiser; the defaults are PyTorch's. With a weight decay of 0 AdamW is Adam.
struct AdamOptions {
  double lr = 1e-2;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
};

namespace detail {

/// AdamW as PyTorch defines it: p -= lr decay p, then p -= lr m_hat / (sqrt(v_hat) + eps).
class Adam {
 public:
  Adam(Index size, const AdamOptions& options) : options_(options), first_(size), second_(size) {}

  void step(std::vector<double>& parameters, const std::vector<double>& gradients) {
    const AdamOptions& o = options_;
    beta1_power_ *= o.beta1;
    beta2_power_ *= o.beta2;
    for (Index i = 0; i < first_.size(); ++i) {
      const double g = gradients[i];
      first_[i] = o.beta1 * first_[i] + (1 - o.beta1) * g;
      second_[i] = o.beta2 * second_[i] + (1 - o.beta2) * g * g;
      const double m = first_[i] / (1 - beta1_power_), v = second_[i] / (1 - beta2_power_);
      parameters[i] -= o.lr * o.weight_decay * parameters[i];
      parameters[i] -= o.lr * m / (std::sqrt(v) + o.eps);
    }
  }

 private:
  AdamOptions options_;
  std::vector<double> first_, second_;
  double beta1_power_ = 1, beta2_power_ = 1;
};

}  // namespace detail
}  // namespace radapt
