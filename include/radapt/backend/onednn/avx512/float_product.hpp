#pragma once
/// Small products in float whose factors lie in a core's caches, as those of one head of attention do.
#include "radapt/backend/onednn/avx512/registers.hpp"
#ifdef RADAPT_HAS_AVX512
#include <algorithm>

RADAPT_AVX512_BEGIN
namespace radapt::detail::avx512 {

/// A left factor: element (r, k) is data[r * row_step + k * inner_step].
struct LeftFloats {
  const float* data;
  Index row_step, inner_step = 1;
};
/// A right factor (inner, columns) or a result (rows, columns), row-major.
template <class T>
struct FloatRows {
  T* data;
  Index stride;
};

/// c = factor a b, or c += factor a b.
struct Scaling {
  float factor = 1.0F;
  bool add = false;
};

/// `Rows` rows by `Vectors` times sixteen columns, of which the last vector has `last`. The sums stay in registers: for
/// each element of the inner extent `Vectors` vectors of b are loaded, and `Rows` elements of a spread over a vector.
template <Index Rows, Index Vectors>
RADAPT_AVX512 void multiply_in_registers(FloatRows<float> c, const LeftFloats& a, FloatRows<const float> b, Index inner,
                                         __mmask16 last, const Scaling& scaling) {
  __m512 sums[Rows][Vectors];
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    RADAPT_UNROLLED
    for (Index v = 0; v < Vectors; ++v) { sums[r][v] = _mm512_setzero_ps(); }
  }
  const float *x = a.data, *y = b.data;
  for (Index k = 0; k < inner; ++k, x += a.inner_step, y += b.stride) {
    __m512 right[Vectors];
    RADAPT_UNROLLED
    for (Index v = 0; v < Vectors; ++v) {
      right[v] = v + 1 == Vectors ? _mm512_maskz_loadu_ps(last, y + 16 * v) : _mm512_loadu_ps(y + 16 * v);
    }
    RADAPT_UNROLLED
    for (Index r = 0; r < Rows; ++r) {
      const __m512 left = _mm512_set1_ps(x[r * a.row_step]);
      RADAPT_UNROLLED
      for (Index v = 0; v < Vectors; ++v) { sums[r][v] = _mm512_fmadd_ps(left, right[v], sums[r][v]); }
    }
  }
  const __m512 factor = _mm512_set1_ps(scaling.factor);
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    RADAPT_UNROLLED
    for (Index v = 0; v < Vectors; ++v) {
      float* const to = c.data + r * c.stride + 16 * v;
      const __mmask16 lanes = v + 1 == Vectors ? last : first_lanes(16);
      __m512 sum = _mm512_mul_ps(sums[r][v], factor);
      if (scaling.add) { sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes, to)); }
      if (lanes == first_lanes(16)) {
        _mm512_storeu_ps(to, sum);
      } else {
        _mm512_mask_storeu_ps(to, lanes, sum);
      }
    }
  }
}

template <Index Vectors>
RADAPT_AVX512 void multiply_columns(FloatRows<float> c, LeftFloats a, FloatRows<const float> b, Index rows, Index inner,
                                    __mmask16 last, const Scaling& scaling) {
  const auto step = [&](Index n) {
    c.data += n * c.stride;
    a.data += n * a.row_step;
    rows -= n;
  };
  while (rows >= 6) {
    multiply_in_registers<6, Vectors>(c, a, b, inner, last, scaling);
    step(6);
  }
  while (rows >= 2) {
    multiply_in_registers<2, Vectors>(c, a, b, inner, last, scaling);
    step(2);
  }
  if (rows == 1) { multiply_in_registers<1, Vectors>(c, a, b, inner, last, scaling); }
}

/// c (rows, columns) of a (rows, inner) and b (inner, columns), each element added up in ascending order of `inner`.
RADAPT_AVX512 inline void multiply(FloatRows<float> c, const LeftFloats& a, FloatRows<const float> b, Index rows,
                                   Index columns, Index inner, const Scaling& scaling = {}) {
  for (Index column = 0; column < columns;) {
    const Index left = columns - column, vectors = std::min<Index>((left + 15) / 16, 4);
    const FloatRows<float> here{c.data + column, c.stride};
    const FloatRows<const float> right{b.data + column, b.stride};
    const auto lanes = [&](Index n) { return first_lanes(std::min<Index>(left - 16 * (n - 1), 16)); };
    if (vectors == 4) {
      multiply_columns<4>(here, a, right, rows, inner, lanes(4), scaling);
      column += 64;
    } else if (vectors >= 2) {
      multiply_columns<2>(here, a, right, rows, inner, lanes(2), scaling);
      column += 32;
    } else {
      multiply_columns<1>(here, a, right, rows, inner, lanes(1), scaling);
      column += 16;
    }
  }
}

}  // namespace radapt::detail::avx512
RADAPT_AVX512_END
#endif
