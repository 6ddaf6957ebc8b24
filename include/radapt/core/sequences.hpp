#pragma once
/// How the rows of a batch form sequences: all of one length, or packed one behind the other at their own lengths.
#include "radapt/core/shape.hpp"

namespace radapt {

/// Sequence i owns the rows begin(i) .. begin(i) + length(i). Non-owning: `offsets` and `pooled` belong to the caller.
///
/// Captions are packed at their own length (start to end-of-text), which is exact: the text tower is causal and pools
/// at end-of-text, so nothing behind that token is ever read (clip_compat.md 1.2).
struct Sequences {
  Index count = 0;
  Index uniform_length = 0;        ///< length of every sequence when `offsets` is null
  const Index* offsets = nullptr;  ///< (count + 1) first rows, ascending from 0; null for uniform sequences
  const Index* pooled = nullptr;   ///< (count) position inside each sequence that pooling reads; null: first or last

  constexpr Index begin(Index i) const { return offsets == nullptr ? i * uniform_length : offsets[i]; }
  constexpr Index length(Index i) const { return offsets == nullptr ? uniform_length : offsets[i + 1] - offsets[i]; }
  constexpr Index rows() const { return offsets == nullptr ? count * uniform_length : offsets[count]; }
  constexpr Index longest() const {
    if (offsets == nullptr) { return uniform_length; }
    Index most = 0;
    for (Index i = 0; i < count; ++i) { most = length(i) > most ? length(i) : most; }
    return most;
  }
  constexpr Extent extent() const { return {rows(), count}; }
};

/// Which row of a sequence stands for it. A text tower whose captions are packed up to end-of-text pools the last row,
/// which is what argmax and eos pooling read in a padded caption. Sequences::pooled overrides both.
enum class Pooling { first, last };

/// Position inside sequence i that pooling reads.
constexpr Index pooled_position(const Sequences& s, Pooling pooling, Index i) {
  if (s.pooled != nullptr) { return s.pooled[i]; }
  return pooling == Pooling::first ? 0 : s.length(i) - 1;
}

/// What sequences of one row each were picked from: see OnPooled.
struct PooledFrom {
  Sequences sequences;
  Pooling pooling = Pooling::first;
  /// Where the row of sequence i stood in it.
  constexpr Index position(Index i) const { return pooled_position(sequences, pooling, i); }
};

}  // namespace radapt
