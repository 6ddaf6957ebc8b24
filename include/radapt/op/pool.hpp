#pragma once
/// One row out of each sequence.
#include "radapt/core/sequences.hpp"
#include "radapt/core/view.hpp"

namespace radapt {

/// Which row of a sequence stands for it. A text tower whose captions are packed up to end-of-text pools the last row,
/// which is what argmax and eos pooling read in a padded caption. Sequences::pooled overrides both.
enum class Pooling { first, last };

namespace op {

/// Position inside sequence i that pooling reads.
constexpr Index pooled_row(const Sequences& s, Pooling pooling, Index i) {
  if (s.pooled != nullptr) { return s.begin(i) + s.pooled[i]; }
  return pooling == Pooling::first ? s.begin(i) : s.begin(i) + s.length(i) - 1;
}

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

/// dx = dy at the pooled rows, 0 elsewhere.
template <class T>
struct pool_backward {
  static constexpr auto name = "pool_backward";
  using element = T;
  Matrix<T> dx;        // (rows, width)
  Matrix<const T> dy;  // (sequences, width)
  Pooling pooling = Pooling::first;
  Sequences sequences{};
};

}  // namespace op
}  // namespace radapt
