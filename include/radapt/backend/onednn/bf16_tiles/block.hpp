#pragma once
/// The product that all others are made of: up to 32 rows by 32 columns of sums.
#include "radapt/backend/onednn/bf16_tiles/tile_registers.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// `Rows` rows of multiply_block on vectors of AVX512-BF16, from row `first` on. Their 2 Rows sums of sixteen stay in
/// registers: per pair of the inner extent two vectors of b are loaded, and `Rows` pairs of a spread over a vector.
template <Index Rows, bool Cold>
RADAPT_AVX512 void multiply_on_vectors(const SumBlock& c, const LeftTiles& a, Index first, const bf16* b, Index steps,
                                       bool add) {
  const auto row_of_sums = [&](Index r) {
    const Index row = first + r;
    return c.data + row / tile_rows * c.below + row % tile_rows * c.stride;
  };
  __m512 left[Rows], right[Rows];
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    left[r] = add ? _mm512_loadu_ps(row_of_sums(r)) : _mm512_setzero_ps();
    right[r] = add ? _mm512_loadu_ps(row_of_sums(r) + c.right) : _mm512_setzero_ps();
  }
  const auto row_bytes = static_cast<Index>(a.row_bytes);
  const char* rows = reinterpret_cast<const char*>(a.data) + first * row_bytes;
  for (Index k = 0; k < steps; ++k) {
    if constexpr (Cold) { ask_for_step_behind(b); }
    for (Index pair = 0; pair < tile_depth / 2; ++pair) {
      const __m512bh b_left = (__m512bh)_mm512_loadu_ps(b + pair * tile_depth);
      const __m512bh b_right = (__m512bh)_mm512_loadu_ps(b + tile_elements + pair * tile_depth);
      RADAPT_UNROLLED
      for (Index r = 0; r < Rows; ++r) {
        float both;  // two bf16
        __builtin_memcpy(&both, rows + r * row_bytes + pair * 4, sizeof both);
        const __m512bh spread = (__m512bh)_mm512_set1_ps(both);
        left[r] = _mm512_dpbf16_ps(left[r], spread, b_left);
        right[r] = _mm512_dpbf16_ps(right[r], spread, b_right);
      }
    }
    rows += a.step * static_cast<Index>(sizeof(bf16));
    b += 2 * tile_elements;
  }
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    _mm512_storeu_ps(row_of_sums(r), left[r]);
    _mm512_storeu_ps(row_of_sums(r) + c.right, right[r]);
  }
}

/// c = or += a b over `steps` of 32, with b [steps][2] pair tiles: at least the upper `rows` of 32. `Cold`: the tiles
/// of b are in no cache, and those of the next block follow.
template <bool Cold = false>
RADAPT_AVX512 void multiply_block(const SumBlock& c, const LeftTiles& a, Index rows, const bf16* b, Index steps,
                                  bool add) {
  if (has_tile_registers()) {
    return rows > tile_rows ? multiply_on_registers<2, Cold>(c, a, b, steps, add)
                            : multiply_on_registers<1, Cold>(c, a, b, steps, add);
  }
  multiply_on_vectors<11, Cold>(c, a, 0, b, steps, add);
  if (rows > 11) { multiply_on_vectors<11, false>(c, a, 11, b, steps, add); }
  if (rows > 22) { multiply_on_vectors<10, false>(c, a, 22, b, steps, add); }
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
