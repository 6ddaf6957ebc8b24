#pragma once
/// One row out of each sequence.
#include "radapt/core/sequences.hpp"
#include "radapt/core/view.hpp"

namespace radapt {

namespace op {

/// The row of sequence i that pooling reads.
constexpr Index pooled_row(const Sequences& s, Pooling pooling, Index i) {
  return s.begin(i) + pooled_position(s, pooling, i);
}

/// Whether the sequences have no rows of their own but all begin at row 0, by a uniform length of 0: what is pooled
/// then are the rows that `pooled` names, wherever they are, each once at most.
constexpr bool pools_single_rows(const Sequences& s) { return s.offsets == nullptr && s.uniform_length == 0; }

/// y_i = x[pooled row of sequence i].
template <class T>
struct pool_forward {
  static constexpr auto name = "pool_forward";
  using element = T;
  Matrix<T> y;        // (sequences, width)
  Matrix<const T> x;  // (rows, width)
  Pooling pooling = Pooling::first;
  Sequences sequences{};
};

/// dx = dy at the pooled rows, 0 elsewhere; with `adds` dx += dy at the pooled rows, and the others stay.
template <class T>
struct pool_backward {
  static constexpr auto name = "pool_backward";
  using element = T;
  Matrix<T> dx;        // (rows, width)
  Matrix<const T> dy;  // (sequences, width)
  Pooling pooling = Pooling::first;
  Sequences sequences{};
  bool adds = false;
};

}  // namespace op
}  // namespace radapt
