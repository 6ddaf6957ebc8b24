#pragma once
/// The two ends at which data enters a tower: patches of an image, tokens of a caption.
#include <cstdint>

#include "radapt/core/element.hpp"
#include "radapt/core/sequences.hpp"
#include "radapt/core/view.hpp"

namespace radapt::op {

/// Cuts images into patches: row (n, y, x) of `patches` holds channel, row, column of that patch, the order of a
/// convolution's weight. (N, 3, size, size) -> (N g g, 3 patch patch), g = size / patch.
template <class T>
struct extract_patches {
  static constexpr auto name = "extract_patches";
  using element = T;
  Matrix<T> patches;                    // (N g g, 3 patch patch)
  Matrix<const parameter_t<T>> pixels;  // (N, 3 size size)
  Index size = 0, patch = 0;
};

/// Row 0 of every sequence is the class embedding, row 1 + i the i-th embedded patch; position embeddings are added.
template <class T>
struct assemble_tokens_forward {
  static constexpr auto name = "assemble_tokens_forward";
  using element = T;
  Matrix<T> y;                                   // (N (1 + g g), width)
  Matrix<const T> patches;                       // (N g g, width)
  Vector<const parameter_t<T>> class_embedding;  // (width)
  Matrix<const parameter_t<T>> positions;        // (1 + g g, width)
  Sequences sequences{};
};

/// dpatches = rows 1.. of dy; dclass_embedding += rows 0; dpositions += sum over sequences. Any of them may be null.
template <class T>
struct assemble_tokens_backward {
  static constexpr auto name = "assemble_tokens_backward";
  using element = T;
  Matrix<T> dpatches;                       // (N g g, width) or null
  Vector<parameter_t<T>> dclass_embedding;  // (width) or null
  Matrix<parameter_t<T>> dpositions;        // (1 + g g, width) or null
  Matrix<const T> dy;                       // (N (1 + g g), width)
  Sequences sequences{};
};

/// y_t = table[id_t] + positions[t]. Ids are in 0 .. vocabulary-1, checked where they enter the library.
template <class T>
struct embed_tokens_forward {
  static constexpr auto name = "embed_tokens_forward";
  using element = T;
  Matrix<T> y;                             // (rows, width)
  const std::int32_t* ids;                 // (rows)
  Matrix<const parameter_t<T>> table;      // (vocabulary, width)
  Matrix<const parameter_t<T>> positions;  // (context, width)
  Sequences sequences{};
};

/// dtable[id_t] += dy_t, in the order of the rows; dpositions[t] += dy_t. Either may be null.
template <class T>
struct embed_tokens_backward {
  static constexpr auto name = "embed_tokens_backward";
  using element = T;
  Matrix<parameter_t<T>> dtable;      // (vocabulary, width) or null
  Matrix<parameter_t<T>> dpositions;  // (context, width) or null
  Matrix<const T> dy;                 // (rows, width)
  const std::int32_t* ids;            // (rows)
  Sequences sequences{};
};

}  // namespace radapt::op
