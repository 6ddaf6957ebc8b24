#pragma once
/// Exponentials and activations of sixteen floats at a time.
#include "radapt/backend/onednn/avx512/registers.hpp"
#include "radapt/backend/onednn/elementary.hpp"
#ifdef RADAPT_HAS_AVX512
#include "radapt/op/activation.hpp"

RADAPT_AVX512_BEGIN
namespace radapt::detail::avx512 {

/// 2^x for -126 <= x <= 126, and what it is there beyond; a NaN stays one. To 1.7e-7 of it, and to 0.5e-7 |x| of it for
/// the rounding of x: a probability exp(u) = 2^(u log2(e)) is off by no more than 2e-7 in all.
RADAPT_AVX512_PART __m512 exp2_of(__m512 x) {
  // Of operands that are not ordered these take the second. A subnormal result would cost a hundred times as much.
  x = _mm512_max_ps(_mm512_set1_ps(-126.0F), _mm512_min_ps(_mm512_set1_ps(126.0F), x));
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT), r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(exp2_coefficients[0]);
  for (int i = 1; i < 6; ++i) { p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(exp2_coefficients[i])); }
  return _mm512_scalef_ps(p, n);
}

/// 1 / x to 2 units in the last place, for normal numbers whose inverses are: a division takes three times as long.
RADAPT_AVX512_PART __m512 inverse_of(__m512 x) {
  const __m512 near = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(near, _mm512_fnmadd_ps(x, near, _mm512_set1_ps(2.0F)));
}

/// 1 / (1 + exp(-slope x)).
RADAPT_AVX512_PART __m512 logistic_of(__m512 x, float slope) {
  const __m512 e = exp2_of(_mm512_mul_ps(x, _mm512_set1_ps(-slope * log2_of_e)));
  return inverse_of(_mm512_add_ps(_mm512_set1_ps(1.0F), e));
}

/// Of the normal distribution: what lies beyond |x|, and exp(-x^2 / 2).
struct NormalTail {
  __m512 beyond, exponential;
};
/// By Abramowitz and Stegun 7.1.26, to 8e-8.
RADAPT_AVX512_PART NormalTail normal_tail(__m512 x) {
  const __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678F));
  const __m512 t = inverse_of(_mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911F), _mm512_set1_ps(1.0F)));
  __m512 p = _mm512_set1_ps(1.061405429F / 2);
  for (const float c : {-1.453152027F / 2, 1.421413741F / 2, -0.284496736F / 2, 0.254829592F / 2}) {
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(c));
  }
  const __m512 square = _mm512_min_ps(_mm512_set1_ps(80.0F), _mm512_mul_ps(z, z));  // no subnormal numbers below
  const __m512 exponential = exp2_of(_mm512_mul_ps(square, _mm512_set1_ps(-log2_of_e)));
  return {_mm512_mul_ps(_mm512_mul_ps(p, t), exponential), exponential};
}

/// 2 sqrt(2 / pi) (x + 0.044715 x^3): 1 + tanh(u) is 2 / (1 + exp(-2 u)).
RADAPT_AVX512_PART __m512 twice_argument_of_tanh(__m512 x) {
  const __m512 cube = _mm512_mul_ps(_mm512_mul_ps(x, x), x);
  return _mm512_mul_ps(_mm512_fmadd_ps(cube, _mm512_set1_ps(0.044715F), x), _mm512_set1_ps(1.59576912F));
}

RADAPT_AVX512_PART __m512 activated(Activation kind, __m512 x) {
  switch (kind) {
    case Activation::quick_gelu:
      return _mm512_mul_ps(x, logistic_of(x, 1.702F));
    case Activation::gelu: {
      const __m512 beyond = _mm512_mul_ps(_mm512_abs_ps(x), normal_tail(x).beyond);
      return _mm512_sub_ps(_mm512_max_ps(_mm512_setzero_ps(), x), beyond);
    }
    case Activation::gelu_tanh:
      return _mm512_mul_ps(x, logistic_of(twice_argument_of_tanh(x), 1.0F));
    case Activation::relu:
      return _mm512_max_ps(_mm512_setzero_ps(), x);
  }
  return x;
}

/// s (1 + slope x (1 - s)): the derivative of x s, where that of s is slope s (1 - s).
RADAPT_AVX512_PART __m512 slope_of_gated(__m512 x, __m512 s, __m512 slope) {
  const __m512 one = _mm512_set1_ps(1.0F);
  return _mm512_mul_ps(s, _mm512_fmadd_ps(_mm512_mul_ps(slope, x), _mm512_sub_ps(one, s), one));
}

/// act'(x).
RADAPT_AVX512_PART __m512 slope_of_activation(Activation kind, __m512 x) {
  const __m512 one = _mm512_set1_ps(1.0F);
  switch (kind) {
    case Activation::quick_gelu: {
      constexpr float slope = 1.702F;
      return slope_of_gated(x, logistic_of(x, slope), _mm512_set1_ps(slope));
    }
    case Activation::gelu: {
      const NormalTail tail = normal_tail(x);
      const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
      const __m512 below = _mm512_mask_mov_ps(_mm512_sub_ps(one, tail.beyond), negative, tail.beyond);
      return _mm512_fmadd_ps(_mm512_mul_ps(x, _mm512_set1_ps(0.39894228F)), tail.exponential, below);
    }
    case Activation::gelu_tanh: {
      const __m512 inner = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(0.134145F), one);
      return slope_of_gated(x, logistic_of(twice_argument_of_tanh(x), 1.0F),
                            _mm512_mul_ps(inner, _mm512_set1_ps(1.59576912F)));
    }
    case Activation::relu: {
      return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), one);
    }
  }
  return one;
}

}  // namespace radapt::detail::avx512
RADAPT_AVX512_END
#endif
