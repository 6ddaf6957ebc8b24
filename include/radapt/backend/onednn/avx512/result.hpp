#pragma once
/// Where a product of our own keeps its sums, and what it does with them when they are finished.
#include <algorithm>
#include <optional>

#include "radapt/backend/onednn/avx512/vector_math.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::avx512 {

inline constexpr Index tile_rows = 16, tile_columns = 16;
inline constexpr Index tile_sums = tile_rows * tile_columns;  // floats

/// Where the 32 x 32 sums of a block lie.
struct SumBlock {
  float* data;
  Index stride;        ///< floats between rows of a tile
  Index right, below;  ///< floats to the tile beside, and to the one below
};
inline SumBlock sums_of_matrix(float* data, Index stride) { return {data, stride, tile_columns, tile_rows * stride}; }

/// Four tiles one behind the other, 1,024 floats: upper left, upper right, lower left, lower right.
inline SumBlock sums_of_tiles(float* data) { return {data, tile_columns, tile_sums, 2 * tile_sums}; }

/// What becomes of the sums s (rows, columns) of a product: y = h = s + bias, y = residual + h, or y = act(h), where h
/// is rounded to what is stored; or y += factor s.
template <class Y>
struct Result {
  Y* y;
  Index stride;                 ///< elements of y, and of residual, from row to row
  const float* bias = nullptr;  ///< (columns) or null
  const Y* residual = nullptr;  ///< (rows, columns) or null
  std::optional<Activation> activation{};
  Y* h = nullptr;  ///< (rows, columns), rows like those of y; or null
  bool add = false;
  float factor = 1.0F;
};

/// Sixteen floats of a row, and the sixteen beside them.
struct Halves {
  __m512 left, right;
};

/// x[0 .. n - 1] as floats; n >= 32 is 32, and other lanes are 0.
template <class T>
RADAPT_AVX512_PART Halves load_halves(const T* x, Index n) {
  return {load_as_floats(x, n), n > 16 ? load_as_floats(x + 16, n - 16) : _mm512_setzero_ps()};
}

/// y[0 .. n - 1] = the first lanes of v; 32 of bf16 are one store, of a whole line of the cache where rows begin with
/// one.
template <class T>
RADAPT_AVX512_PART void store_halves(T* y, Halves v, Index n) {
  if constexpr (std::is_same_v<T, bf16>) {
    if (n >= 32) { return _mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(v.right, v.left)); }
  }
  store_floats(y, v.left, n);
  if (n > 16) { store_floats(y + 16, v.right, n - 16); }
}

/// A block of sums that is done and waits to be written: `rows` of it, the columns from `column` on.
template <class Y>
struct Finish {
  const Result<Y>* result = nullptr;
  const float* sums = nullptr;  ///< as sums_of_tiles has them
  Index first_row = 0, rows = 0, column = 0, columns = 0;

  /// Writes rows `begin` to `end` of it.
  RADAPT_AVX512_PART void write(Index begin, Index end) const {
    end = std::min(end, rows);
    if (begin >= end) { return; }
    if (columns - column >= 2 * tile_columns) {
      write_columns(begin, end, std::integral_constant<Index, 2 * tile_columns>{});
    } else {
      write_columns(begin, end, columns - column);
    }
  }

 private:
  /// `n` columns of them; a constant where it is all of a block, which takes no masks.
  template <class Count>
  RADAPT_AVX512_PART void write_columns(Index begin, Index end, Count n) const {
    const Result<Y>& to = *result;
    const Halves none{_mm512_setzero_ps(), _mm512_setzero_ps()};
    const Halves bias = to.bias == nullptr ? none : load_halves(to.bias + column, n);
    Index at = (first_row + begin) * to.stride + column;
    for (Index r = begin; r < end; ++r, at += to.stride) {
      const float* const from = sums + r / tile_rows * 2 * tile_sums + r % tile_rows * tile_columns;
      Halves v{_mm512_loadu_ps(from), _mm512_loadu_ps(from + tile_sums)};
      if (to.add) {
        const __m512 factor = _mm512_set1_ps(to.factor);
        const Halves y = load_halves(to.y + at, n);
        v = {_mm512_fmadd_ps(v.left, factor, y.left), _mm512_fmadd_ps(v.right, factor, y.right)};
      } else {
        v = {_mm512_add_ps(v.left, bias.left), _mm512_add_ps(v.right, bias.right)};
        if (to.activation || to.residual != nullptr) { v = {rounded_to<Y>(v.left), rounded_to<Y>(v.right)}; }
        if (to.activation) {
          if (to.h != nullptr) { store_halves(to.h + at, v, n); }
          v = {activated(*to.activation, v.left), activated(*to.activation, v.right)};
        }
        if (to.residual != nullptr) {
          const Halves residual = load_halves(to.residual + at, n);
          v = {_mm512_add_ps(v.left, residual.left), _mm512_add_ps(v.right, residual.right)};
        }
      }
      store_halves(to.y + at, v, n);
    }
  }
};

}  // namespace radapt::detail::avx512
RADAPT_AVX512_END
#endif
