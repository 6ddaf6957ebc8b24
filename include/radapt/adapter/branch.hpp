#pragma once
/// What the branches of all adapters share: the coefficient, the draw of the mask, the rows it keeps.
#include <cstdint>

#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/draw_mask.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt::detail {

/// Base of a layer that adds an adapter's branch to its output. Whole branches are dropped at random while training
/// (methods.md 1.5), and scaled by alpha in evaluation.
struct AdapterBranch : layer_defaults {
  using Mask = Tokens<1>;  // bytes; enough for every granularity, since no batch has more sequences than tokens
  static constexpr Index mask_bytes(Extent e) { return bytes_of<std::uint8_t, Mask>(e); }

  /// The coefficient of the branch on kept rows: 1/(1-p) while adapters are dropped, alpha in evaluation.
  static double factor(const Phase& phase) {
    return phase.training ? 1.0 / (1.0 - phase.adapter_drop) : phase.adapter_alpha;
  }

  /// Draws the mask of the next site into `mask`, or keeps every row when nothing is dropped. Pooled rows are dropped
  /// with the rows that they were picked from.
  template <class T>
  static op::KeptRows draw(auto& c, std::uint8_t* mask) {
    const std::uint32_t site = c.phase.next_site++;
    if (!c.phase.training || c.phase.adapter_drop <= 0.0) { return {}; }
    const std::uint8_t* const given = c.phase.given_masks == nullptr ? nullptr : c.phase.given_masks[site];
    const auto entries_from = [&](Index first, Index entries, std::uint8_t* to) {
      run(c, op::draw_mask<T>{.mask = to,
                              .entries = entries,
                              .first = first,
                              .draws = c.phase.draws_of(site),
                              .given = given == nullptr ? nullptr : given + first});
    };
    if (by_position_before_pooling(c)) {
      for (Index i = 0; i < c.sequences.count; ++i) { entries_from(c.pooled_from->position(i), 1, mask + i); }
    } else {
      const bool by_sample = c.phase.granularity == DropGranularity::per_sample;
      entries_from(by_sample ? c.phase.first_sequence : 0, op::mask_entries(c.phase.granularity, c.sequences), mask);
    }
    return drawn(c, mask);
  }
  /// The rows that forward kept.
  static op::KeptRows drawn(const auto& c, const std::uint8_t* mask) {
    if (!c.phase.training || c.phase.adapter_drop <= 0.0) { return {}; }
    return {.mask = mask,
            .granularity = by_position_before_pooling(c) ? DropGranularity::per_sample : c.phase.granularity,
            .sequences = c.sequences};
  }

 private:
  /// Whether each row has a draw of its own, that of its position in the sequence it was picked from.
  static bool by_position_before_pooling(const auto& c) {
    return c.pooled_from != nullptr && c.phase.granularity == DropGranularity::per_token_position;
  }
};

}  // namespace radapt::detail
