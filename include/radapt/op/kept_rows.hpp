#pragma once
/// Which rows of a batch an operation touches: all, or those whose adapter was not dropped.
#include <cstdint>

#include "radapt/core/context.hpp"

namespace radapt::op {

/// A mask over sequences, positions or the batch, read as a mask over rows. A null mask keeps every row.
struct KeptRows {
  const std::uint8_t* mask = nullptr;  ///< 1 keeps; (sequences), (longest sequence) or (1) entries by granularity
  DropGranularity granularity = DropGranularity::per_sample;
  Sequences sequences{};
  bool inverted = false;  ///< the rows that the mask drops are those that count as kept, see dropped_rows

  /// Whether rows count as kept whose entry in the mask, which is not null, is that one.
  constexpr bool keeps(Index entry) const { return (mask[entry] != 0) != inverted; }
  /// Whether that can be said of every row without looking at the mask.
  constexpr bool keeps_all() const { return mask == nullptr && !inverted; }
};

/// The rows that `kept` leaves out: none where it has no mask.
constexpr KeptRows dropped_rows(KeptRows kept) {
  kept.inverted = !kept.inverted;
  return kept;
}

/// Number of entries in a mask of that granularity.
constexpr Index mask_entries(DropGranularity granularity, const Sequences& s) {
  if (granularity == DropGranularity::per_batch) { return 1; }
  return granularity == DropGranularity::per_sample ? s.count : s.longest();
}

namespace detail {
/// Joins ranges of rows that touch, and hands each joined range on.
template <class F>
class RunJoiner {
 public:
  explicit RunJoiner(F f) : f_(f) {}
  void add(Index begin, Index end) {
    if (begin == end) { return; }
    if (begin != end_) {
      flush();
      begin_ = begin;
    }
    end_ = end;
  }
  void flush() {
    if (begin_ != end_) { f_(begin_, end_); }
    begin_ = end_;
  }

 private:
  F f_;
  Index begin_ = 0, end_ = 0;
};
}  // namespace detail

/// Calls f(begin, end) for every maximal run of kept rows, in ascending order. `rows` is the number of rows of the
/// batch.
template <class F>
void for_each_kept_run(const KeptRows& kept, Index rows, F&& f) {
  if (kept.mask == nullptr) {
    if (rows != 0 && kept.keeps_all()) { f(Index{0}, rows); }
    return;
  }
  const Sequences& s = kept.sequences;
  if (kept.granularity == DropGranularity::per_batch) {
    if (kept.keeps(0) && rows != 0) { f(Index{0}, rows); }
    return;
  }
  detail::RunJoiner joiner{[&](Index begin, Index end) { f(begin, end); }};
  for (Index i = 0; i < s.count; ++i) {
    const Index first = s.begin(i);
    if (kept.granularity == DropGranularity::per_sample) {
      if (kept.keeps(i)) { joiner.add(first, first + s.length(i)); }
    } else {
      for (Index t = 0; t < s.length(i); ++t) {
        if (kept.keeps(t)) { joiner.add(first + t, first + t + 1); }
      }
    }
  }
  joiner.flush();
}

}  // namespace radapt::op
