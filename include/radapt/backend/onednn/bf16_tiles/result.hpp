#pragma once
/// What a product does with its sums when they are finished.
#include <optional>

#include "radapt/backend/onednn/avx512/vector_math.hpp"
#include "radapt/backend/onednn/bf16_tiles/tiles.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

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

/// Writes the sums of one block: `rows` of them, the columns from `column` on.
template <class Y>
RADAPT_AVX512 void finish_panel(const Result<Y>& result, const float* sums, Index first_row, Index rows, Index column,
                                Index columns) {
  const Index n = columns - column;
  const Halves bias =
      result.bias == nullptr ? Halves{_mm512_setzero_ps(), _mm512_setzero_ps()} : load_halves(result.bias + column, n);
  const __m512 factor = _mm512_set1_ps(result.factor);
  for (Index r = 0; r < rows; ++r) {
    const float* const from = sums + r / tile_rows * 2 * tile_sums + r % tile_rows * tile_columns;
    const Index at = (first_row + r) * result.stride + column;
    Halves v{_mm512_loadu_ps(from), _mm512_loadu_ps(from + tile_sums)};
    if (result.add) {
      const Halves y = load_halves(result.y + at, n);
      v = {_mm512_fmadd_ps(v.left, factor, y.left), _mm512_fmadd_ps(v.right, factor, y.right)};
    } else {
      v = {_mm512_add_ps(v.left, bias.left), _mm512_add_ps(v.right, bias.right)};
      if (result.activation || result.residual != nullptr) { v = {rounded_to<Y>(v.left), rounded_to<Y>(v.right)}; }
      if (result.activation) {
        if (result.h != nullptr) { store_halves(result.h + at, v, n); }
        v = {activated(*result.activation, v.left), activated(*result.activation, v.right)};
      }
      if (result.residual != nullptr) {
        const Halves residual = load_halves(result.residual + at, n);
        v = {_mm512_add_ps(v.left, residual.left), _mm512_add_ps(v.right, residual.right)};
      }
    }
    store_halves(result.y + at, v, n);
  }
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
