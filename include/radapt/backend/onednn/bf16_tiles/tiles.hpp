#pragma once
/// Tiles of matrices in memory, in the two forms that a product of bf16 takes them in: those of Intel AMX, which serve
/// AVX512-BF16 as well.
///
/// A tile is 1 KiB: 16 rows of 64 bytes. One product takes a *row tile* of the left factor, 16 rows of 32 elements, and
/// a *pair tile* of the right factor, 32 rows of 16 elements in which the two rows 2p and 2p + 1 lie element by element
/// side by side, and adds to 16 x 16 floats. Sums over pairs are the hardware's: it rounds to nearest, and takes
/// subnormal numbers for zero.
#include "radapt/backend/onednn/avx512/result.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

using namespace avx512;

/// Whether products may be multiplied here: the processor multiplies pairs of bf16, on tiles or on vectors.
inline bool available() { return avx512::available<bf16>(); }

inline constexpr Index tile_depth = 32;
inline constexpr Index tile_elements = tile_rows * tile_depth;  // of bf16
inline constexpr int tile_row_bytes = 64;
inline constexpr Index line_bytes = 64;            ///< of a cache
inline constexpr Index row_block = 2 * tile_rows;  ///< rows of a left factor that are multiplied at a time

/// The row tile of a matrix x whose rows are `stride` apart: `rows` of at most 16, `columns` of at most 32 are there,
/// and the rest is 0.
template <class T>
RADAPT_AVX512 void take_row_tile(bf16* tile, const T* x, Index stride, Index rows, Index columns) {
  if constexpr (std::is_same_v<T, bf16>) {
    if (rows >= tile_rows && columns >= tile_depth) {
      for (Index r = 0; r < tile_rows; ++r) {
        _mm512_storeu_si512(tile + r * tile_depth, _mm512_loadu_si512(x + r * stride));
      }
      return;
    }
  }
  for (Index r = 0; r < tile_rows; ++r) {
    const Index n = r < rows ? columns : 0;
    const T* const row = n == 0 ? x : x + r * stride;
    const __m256i low = load_as_bf16(row, n), high = load_as_bf16(n > 16 ? row + 16 : row, n > 16 ? n - 16 : 0);
    _mm512_storeu_si512(tile + r * tile_depth, _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
  }
}

/// The pair tile of x: `rows` of at most 32, `columns` of at most 16 are there.
template <class T>
RADAPT_AVX512 void take_pair_tile(bf16* tile, const T* x, Index stride, Index rows, Index columns) {
  for (Index p = 0; p < tile_depth / 2; ++p) {
    const Index r = 2 * p, even = r < rows ? columns : 0, odd = r + 1 < rows ? columns : 0;
    const __m512i a = _mm512_cvtepu16_epi32(load_as_bf16(even == 0 ? x : x + r * stride, even));
    const __m512i b = _mm512_cvtepu16_epi32(load_as_bf16(odd == 0 ? x : x + (r + 1) * stride, odd));
    _mm512_storeu_si512(tile + p * tile_depth, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
  }
}

/// Turns the 16 x 16 pairs of a tile: of the row tile of x it makes the pair tile of x^T, and of the pair tile of x the
/// row tile of x^T.
RADAPT_AVX512 inline void turn_tile(bf16* tile) {
  __m512i pairs[16];
  for (int i = 0; i < 16; ++i) { pairs[i] = _mm512_loadu_si512(tile + static_cast<Index>(i) * tile_depth); }
  turn(pairs);
  for (int i = 0; i < 16; ++i) { _mm512_storeu_si512(tile + static_cast<Index>(i) * tile_depth, pairs[i]); }
}

/// Row tiles of up to 32 rows of a left factor: row r of step k of a sum is at data + k * step, r * row_bytes behind.
struct LeftTiles {
  const bf16* data;
  Index step;     ///< elements
  int row_bytes;  ///< between rows
  const bf16* lower() const { return data + tile_rows * static_cast<Index>(row_bytes) / sizeof(bf16); }
};
/// Left tiles that lie one behind the other: [steps][2].
inline LeftTiles packed_left(const bf16* data) { return {data, 2 * tile_elements, tile_row_bytes}; }

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
