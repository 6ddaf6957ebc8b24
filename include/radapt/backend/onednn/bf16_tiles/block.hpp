#pragma once
/// The product that all others are made of: up to 32 rows by 32 columns of sums.
#include "radapt/backend/onednn/bf16_tiles/tile_registers.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// Rows that vectors multiply at a time; three times of them make a block.
inline constexpr Index rows_on_vectors = 11;

/// Lines of the cache: of each of `rows`, `stride` bytes apart, as many from `data` on.
struct Lines {
  const char* data = nullptr;
  Index stride = 0, rows = 0, lines = 0;

  /// Those of at most `count` rows from `first` on.
  Lines part(Index first, Index count) const {
    return {data + first * stride, stride, std::min(count, rows - std::min(first, rows)), lines};
  }
  const char* line(Index row, Index i) const { return data + row * stride + i * line_bytes; }
};

/// What is asked for while a block is multiplied: it is in no near cache, and a block takes long to multiply.
struct Ahead {
  Lines next;                   ///< rows of the left factor that are multiplied next
  Lines residual;               ///< what is added to this block's sums, and
  Lines y;                      ///< where they will be written
  const bf16* right = nullptr;  ///< the panel of the right factor that is multiplied next, if it is in no cache

  /// A share of each, in step `k` of the rows from `first` on, which are multiplied in one of `passes`: many at a time
  /// would keep the block waiting.
  RADAPT_AVX512_PART void ask_in_step(Index k, Index first, Index passes) const {
    const Index pass = first / rows_on_vectors;
    const auto begin = [&](Index all, Index p) { return all * p / passes; };
    if (k < next.lines) {
      for (Index r = begin(next.rows, pass); r < begin(next.rows, pass + 1); ++r) {
        _mm_prefetch(next.line(r, k), _MM_HINT_T1);
      }
    }
    if (right != nullptr) {
      const char* const step = reinterpret_cast<const char*>(right + k * 2 * tile_elements);
      for (Index line = begin(2 * tile_rows, pass); line < begin(2 * tile_rows, pass + 1); ++line) {
        _mm_prefetch(step + line * line_bytes, _MM_HINT_T1);
      }
    }
    if (k >= rows_on_vectors) { return; }
    const Index row = first + k;
    if (row < residual.rows) {
      for (Index i = 0; i < residual.lines; ++i) { _mm_prefetch(residual.line(row, i), _MM_HINT_T0); }
    }
    if (row < y.rows) {
      for (Index i = 0; i < y.lines; ++i) { __builtin_prefetch(y.line(row, i), 1, 3); }
    }
  }
};

/// Of a block of sums, the part that is wanted: up to 32 rows and columns, each the sum of `inner` products.
struct BlockSize {
  Index rows, columns, inner;

  Index steps() const { return (inner + tile_depth - 1) / tile_depth; }
  /// Pairs of the last step; of the others there are 16.
  Index last_pairs() const { return (inner - (steps() - 1) * tile_depth + 1) / 2; }
};

/// `Rows` rows of a block on vectors of AVX512-BF16, from row `first` on. Their 2 Rows sums of sixteen stay in
/// registers: per pair of the inner extent two vectors of b are loaded, and `Rows` pairs of a spread over a vector.
/// Without `Both` only the left sixteen columns.
template <Index Rows, bool Both>
RADAPT_AVX512 void multiply_rows_on_vectors(const SumBlock& c, const LeftTiles& a, Index first, const bf16* b,
                                            const BlockSize& size, bool add, const Ahead* ahead) {
  const auto row_of_sums = [&](Index r) {
    const Index row = first + r;
    return c.data + row / tile_rows * c.below + row % tile_rows * c.stride;
  };
  __m512 left[Rows], right[Rows];
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    left[r] = add ? _mm512_loadu_ps(row_of_sums(r)) : _mm512_setzero_ps();
    if constexpr (Both) { right[r] = add ? _mm512_loadu_ps(row_of_sums(r) + c.right) : _mm512_setzero_ps(); }
  }
  const auto row_bytes = static_cast<Index>(a.row_bytes);
  const char* rows = reinterpret_cast<const char*>(a.data) + first * row_bytes;
  const Index steps = size.steps(), passes = (size.rows + rows_on_vectors - 1) / rows_on_vectors;
  for (Index k = 0; k < steps; ++k) {
    if (ahead != nullptr) { ahead->ask_in_step(k, first, passes); }
    const Index pairs = k + 1 < steps ? tile_depth / 2 : size.last_pairs();
    for (Index pair = 0; pair < pairs; ++pair) {
      const __m512bh b_left = (__m512bh)_mm512_loadu_ps(b + pair * tile_depth);
      [[maybe_unused]] const __m512bh b_right = (__m512bh)_mm512_loadu_ps(b + tile_elements + pair * tile_depth);
      RADAPT_UNROLLED
      for (Index r = 0; r < Rows; ++r) {
        float both;  // two bf16
        __builtin_memcpy(&both, rows + r * row_bytes + pair * 4, sizeof both);
        const __m512bh spread = (__m512bh)_mm512_set1_ps(both);
        left[r] = _mm512_dpbf16_ps(left[r], spread, b_left);
        if constexpr (Both) { right[r] = _mm512_dpbf16_ps(right[r], spread, b_right); }
      }
    }
    rows += a.step * static_cast<Index>(sizeof(bf16));
    b += 2 * tile_elements;
  }
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    _mm512_storeu_ps(row_of_sums(r), left[r]);
    if constexpr (Both) { _mm512_storeu_ps(row_of_sums(r) + c.right, right[r]); }
  }
}

/// The rows from `first` on, at most eleven: as many as are wanted, or a few more.
template <bool Both>
RADAPT_AVX512 void multiply_pass(const SumBlock& c, const LeftTiles& a, Index first, const bf16* b,
                                 const BlockSize& size, bool add, const Ahead* ahead) {
  const Index rows = size.rows - first;
  if (rows > 10) { return multiply_rows_on_vectors<rows_on_vectors, Both>(c, a, first, b, size, add, ahead); }
  if (rows > 7) { return multiply_rows_on_vectors<10, Both>(c, a, first, b, size, add, ahead); }
  if (rows > 4) { return multiply_rows_on_vectors<7, Both>(c, a, first, b, size, add, ahead); }
  multiply_rows_on_vectors<4, Both>(c, a, first, b, size, add, ahead);
}

/// The product on vectors, eleven rows at a time; `ahead` may be null.
RADAPT_AVX512 inline void multiply_on_vectors(const SumBlock& c, const LeftTiles& a, const bf16* b,
                                              const BlockSize& size, bool add, const Ahead* ahead) {
  for (Index first = 0; first < size.rows; first += rows_on_vectors) {
    if (size.columns > tile_columns) {
      multiply_pass<true>(c, a, first, b, size, add, ahead);
    } else {
      multiply_pass<false>(c, a, first, b, size, add, ahead);
    }
  }
}

/// The product on tile registers, in which `beside(k)` runs after step k. `Streams`: b is in the second cache.
template <bool Streams, class Beside>
RADAPT_AMX void multiply_on_registers(const SumBlock& c, const LeftTiles& a, const bf16* b, const BlockSize& size,
                                      bool add, const Beside& beside) {
  if (size.rows > tile_rows) { return multiply_on_registers<2, Streams>(c, a, b, size.steps(), add, beside); }
  multiply_on_registers<1, Streams>(c, a, b, size.steps(), add, beside);
}

/// c = or += a b, with b [steps][2] pair tiles, where sums end with zeros of a or b: at least what is wanted of it.
RADAPT_AVX512 inline void multiply_block(const SumBlock& c, const LeftTiles& a, const bf16* b, const BlockSize& size,
                                         bool add) {
  if (has_tile_registers()) {
    return multiply_on_registers<false>(c, a, b, size, add, [](Index) {});
  }
  multiply_on_vectors(c, a, b, size, add, nullptr);
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
