#pragma once
/// What the contrastive losses ask of the similarity matrix: who matches whom, and how the targets are spread.
#include <cstdint>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/plan.hpp"

namespace radapt::loss {

/// Targets of one batch for op::contrastive_loss; S is the statistic type. Filled by a loss's `targets`, sized once.
template <class S>
struct ContrastiveTargets {
  std::vector<std::int32_t> labels;  // (B) pairs of equal label are positives of each other
  std::vector<S> positive;           // (B) target of each positive of a row
  std::vector<S> negative;           // (B) target of each negative of a row
  double margin = 0.0;               // cosine added to negatives
  double scale = 1.0;                // 1 / tau, where the model's own logit_scale is not used

  explicit ContrastiveTargets(Index batch = 0) : labels(batch), positive(batch), negative(batch) {}
  Index size() const { return labels.size(); }
};

namespace detail {
inline void check_fraction(const char* loss, const char* option, double value, double upper) {
  if (!(value >= 0.0 && value <= upper)) {
    fail({.what = std::string(loss) + ": option " + option,
          .expected = "a number from 0 to " + std::to_string(upper),
          .got = std::to_string(value),
          .hint = "See methods.md 1.8 for the published values"});
  }
}
}  // namespace detail

}  // namespace radapt::loss
