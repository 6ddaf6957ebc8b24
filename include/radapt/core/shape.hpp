#pragma once
/// Static extents: of a parameter (`Shape`) and of one row of an activation (`Tokens`, `Samples`).
#include <cstddef>
#include <type_traits>

namespace radapt {

/// Extents, positions and counts of everything.
using Index = std::size_t;
using index = Index;

/// An extent that only the program's data knows, such as the number of classes of a head. It may stand first in a
/// Shape.
inline constexpr Index dynamic = static_cast<Index>(-1);

/// Extents of a parameter tensor, row-major as in checkpoints. `Shape<>` is a scalar.
template <Index... D>
struct Shape {
  static constexpr Index rank = sizeof...(D);
  /// The extents in order; one zero stands in for a scalar, since an array may not be empty.
  static constexpr Index extents[rank == 0 ? 1 : rank] = {D...};

  /// Number of elements when a dynamic leading extent is `leading`.
  static constexpr Index size(Index leading = 1) {
    Index n = 1;
    for (Index i = 0; i < rank; ++i) { n *= extents[i] == dynamic ? leading : extents[i]; }
    return n;
  }
  /// Extent `i` when a dynamic leading extent is `leading`.
  [[gnu::always_inline]] static constexpr Index extent(Index i, Index leading = 1) {
    return extents[i] == dynamic ? leading : extents[i];
  }
  static constexpr bool has_dynamic = rank > 0 && extents[0] == dynamic;
  /// Leading extent, 1 for a scalar: a tensor of rank > 2 is seen as a matrix by its kernels.
  [[gnu::always_inline]] static constexpr Index matrix_rows(Index leading = 1) {
    return rank < 2 ? 1 : extent(0, leading);
  }
  [[gnu::always_inline]] static constexpr Index matrix_columns(Index leading = 1) {
    return size(leading) / matrix_rows(leading);
  }
};

/// How many tokens and how many sequences a batch has: what turns a per-row extent into a number of elements.
struct Extent {
  Index tokens = 0;
  Index sequences = 0;
};

/// An activation with one row per token: (tokens, Width).
template <Index Width>
struct Tokens {
  static constexpr Index width = Width;
  static constexpr bool per_token = true;
  template <Index W>
  using with = Tokens<W>;
  [[gnu::always_inline]] static constexpr Index rows(Extent e) { return e.tokens; }
};

/// An activation with one row per sequence (an image, a caption): (sequences, Width). `dynamic` is a number of classes.
template <Index Width>
struct Samples {
  static constexpr Index width = Width;
  static constexpr bool per_token = false;
  template <Index W>
  using with = Samples<W>;
  [[gnu::always_inline]] static constexpr Index rows(Extent e) { return e.sequences; }
};

}  // namespace radapt
