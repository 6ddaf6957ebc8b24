#pragma once
/// The first factor of products: read where it lies, or copied a piece of 32 rows at a time.
#include <unistd.h>

#include <numeric>

#include "radapt/backend/onednn/bf16_tiles/block.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// Whether the lines of as many rows, `stride` bytes apart, have room beside each other in a first cache of so many
/// bytes and ways.
constexpr bool rows_share_cache(Index rows, Index stride, long bytes, long ways) {
  if (bytes <= 0 || ways <= 0) { return true; }  // nothing is known of it
  const Index sets = std::max(Index{1}, static_cast<Index>(bytes) / (static_cast<Index>(ways) * line_bytes));
  const Index different = sets / std::gcd(stride / line_bytes, sets);
  return (rows + different - 1) / different <= static_cast<Index>(ways);
}

/// Whether the rows of a block, `stride` bytes apart, may be multiplied where they lie. Vectors read a line of each of
/// eleven rows sixteen times: where all of them fall into one set of eight ways, as 4 KB apart, none stays there
/// (products 4096 deep on Zen 4: 1.11 times by copying). Tile registers read them once.
inline bool read_in_place(Index stride) {
  if (has_tile_registers()) { return true; }
#ifdef _SC_LEVEL1_DCACHE_ASSOC
  static const long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE), ways = sysconf(_SC_LEVEL1_DCACHE_ASSOC);
#else
  constexpr long bytes = 0, ways = 0;  // the system does not tell
#endif
  return rows_share_cache(rows_on_vectors, stride, bytes, ways);
}

/// A left factor (rows, inner); rows of x lie `stride` elements apart.
template <class T>
struct LeftFactor {
  const T* x;
  Index rows, inner, stride;
  bool turned = false;  ///< x is (inner, rows): the factor is x^T

  /// Whether its rows are rows of bf16.
  bool has_rows() const { return std::is_same_v<T, bf16> && !turned; }
  /// Whether a full block of rows is read where it lies.
  bool lies_well() const {
    return has_rows() && inner % tile_depth == 0 && read_in_place(stride * static_cast<Index>(sizeof(T)));
  }
};

/// The 32 rows from `first` on where they lie, from element `from` on.
template <class T>
LeftTiles tiles_in_place(const LeftFactor<T>& a, Index first, Index from) {
  if constexpr (std::is_same_v<T, bf16>) {
    return {a.x + first * a.stride + from, tile_depth, static_cast<int>(a.stride * sizeof(bf16))};
  } else {
    return {};
  }
}

/// `steps` of 32 elements of the rows from `first` on, at most 32, as row tiles: [steps][2].
template <class T>
RADAPT_AVX512 void take_left_piece(bf16* tiles, const LeftFactor<T>& a, Index first, Index from, Index steps) {
  for (Index k = from; k < from + steps * tile_depth; k += tile_depth) {
    const Index depth = k < a.inner ? std::min(tile_depth, a.inner - k) : 0;
    for (Index r = first; r < first + row_block; r += tile_rows, tiles += tile_elements) {
      const Index rows = r < a.rows && depth > 0 ? std::min(tile_rows, a.rows - r) : 0;
      if (a.turned) {
        take_pair_tile(tiles, rows == 0 ? a.x : a.x + k * a.stride + r, a.stride, rows == 0 ? 0 : depth, rows);
        turn_tile(tiles);
      } else {
        take_row_tile(tiles, rows == 0 ? a.x : a.x + r * a.stride + k, a.stride, rows, depth);
      }
    }
  }
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
