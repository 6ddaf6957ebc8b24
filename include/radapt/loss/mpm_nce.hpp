#pragma once
/// Multi-positive margin NCE, the loss of R-Adapter (methods.md 1.8).
#include <cmath>
#include <span>

#include "radapt/loss/targets.hpp"

namespace radapt::loss {

/// Cross entropy with soft targets, mean over rows and both directions, where pairs that do not match get a margin.
///
/// L = mean of `-sum_j t_ij log softmax_j((<f_i, g_j> + margin [i, j no pair]) / tau)`, where t_ij = (1 - smoothing) /
/// positives on pairs of equal group label and smoothing / negatives elsewhere. A row whose batch holds no negative
/// puts its whole target on the positives. tau is fixed: the model's logit_scale is not used.
struct MpmNce {
  using needs = needs_both_towers;
  static constexpr auto name = "mpm_nce";
  static constexpr bool uses_logit_scale = false;

  double tau = 0.01;        ///< temperature, > 0
  double margin = 0.05;     ///< delta: cosine added to negatives, >= 0
  double smoothing = 0.02;  ///< eps: share of the target that goes to negatives, 0 .. 1

  /// `groups`: class id for classification, image id for retrieval; (B). Without groups (empty) every pair is its own,
  /// the smoothing is the usual uniform one and there is no margin, as in the released code.
  template <class S>
  void targets(std::span<const std::int32_t> groups, ContrastiveTargets<S>& t) const {
    check();
    const Index batch = t.size();
    t.scale = 1.0 / tau;
    t.margin = groups.empty() ? 0.0 : margin;
    for (Index i = 0; i < batch; ++i) { t.labels[i] = groups.empty() ? static_cast<std::int32_t>(i) : groups[i]; }
    for (Index i = 0; i < batch; ++i) {
      Index positives = 0;
      for (Index j = 0; j < batch; ++j) { positives += t.labels[j] == t.labels[i] ? 1u : 0u; }
      const double negatives = static_cast<double>(batch - positives);
      double on = (1.0 - smoothing) / static_cast<double>(positives);
      double off = positives == batch ? 0.0 : smoothing / negatives;
      if (positives == batch) { on = 1.0 / static_cast<double>(positives); }
      if (groups.empty()) {
        off = smoothing / static_cast<double>(batch);
        on = 1.0 - smoothing + off;
      }
      t.positive[i] = static_cast<S>(on);
      t.negative[i] = static_cast<S>(off);
    }
  }

 private:
  void check() const {
    detail::check_fraction("mpm_nce", "smoothing", smoothing, 1.0);
    detail::check_fraction("mpm_nce", "margin", margin, 2.0);
    if (!(tau > 0.0 && std::isfinite(tau))) {
      fail({.what = "mpm_nce: option tau",
            .expected = "a finite temperature above 0",
            .got = std::to_string(tau),
            .hint = "The published value is 0.01"});
    }
  }
};

}  // namespace radapt::loss
