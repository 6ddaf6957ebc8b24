#pragma once
/// What a loss is, and what the contrastive ones ask of the similarity matrix: who matches whom, and how the targets
/// are spread.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/plan.hpp"

namespace radapt {

/// What a loss reads: the features of both towers.
struct needs_both_towers {};
/// What a loss reads: the logits of a head on the image features.
struct needs_head {};

namespace loss {

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
template <class L>
concept fills_targets = requires(const L& l, std::span<const std::int32_t> groups, ContrastiveTargets<float>& in_float,
                                 ContrastiveTargets<double>& in_double) {
  requires std::is_convertible_v<decltype(L::uses_logit_scale), bool>;
  l.targets(groups, in_float);
  l.targets(groups, in_double);
};
template <class L>
concept has_smoothing = requires(const L& l) {
  requires std::is_convertible_v<decltype(l.smoothing), double>;
};
template <class L, class Needs>
inline constexpr bool has_what_it_needs = true;
template <class L>
inline constexpr bool has_what_it_needs<L, needs_both_towers> = fills_targets<L>;
template <class L>
inline constexpr bool has_what_it_needs<L, needs_head> = has_smoothing<L>;
}  // namespace detail

}  // namespace loss

/// What is minimised: a type with a name and options, which says what it reads. On the features of both towers it fills
/// ContrastiveTargets; on the logits of a head it has a label smoothing.
template <class L>
concept loss_policy = std::is_default_constructible_v<L> && requires {
  requires std::is_convertible_v<decltype(L::name), std::string_view>;
  requires loss::detail::has_what_it_needs<L, typename L::needs>;
};

}  // namespace radapt
