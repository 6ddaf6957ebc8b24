#pragma once
/// Index arithmetic of rows, for kernels and for the host: which sequence a row is part of, and whether it is kept.
#include "radapt/core/sequences.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt::detail::gpu {

/// The sequence that owns `row`: the last one that begins at or before it and is not empty.
constexpr Index sequence_of(const Sequences& s, Index row) {
  if (s.offsets == nullptr) { return row / s.uniform_length; }
  Index low = 0, high = s.count;  // offsets[low] <= row < offsets[high]
  while (high - low > 1) {
    const Index middle = low + (high - low) / 2;
    (s.offsets[middle] <= row ? low : high) = middle;
  }
  return low;
}

/// Whether `row` of the batch is kept.
constexpr bool keeps_row(const op::KeptRows& kept, Index row) {
  if (kept.mask == nullptr) { return kept.keeps_all(); }
  if (kept.granularity == DropGranularity::per_batch) { return kept.keeps(0); }
  const Index i = sequence_of(kept.sequences, row);
  return kept.keeps(kept.granularity == DropGranularity::per_sample ? i : row - kept.sequences.begin(i));
}

}  // namespace radapt::detail::gpu
