#pragma once
/// Exponentials and activations of sixteen floats at a time, for results that are rounded to bf16.
#include "radapt/backend/onednn/amx/tiles.hpp"
#ifdef RADAPT_HAS_AMX
#include "radapt/op/activation.hpp"

RADAPT_AMX_BEGIN
namespace radapt::detail::amx {

/// exp(x) to 2 units in the last place for -87.3 <= x <= 87, and what it is there beyond; a NaN stays one.
RADAPT_AMX_PART __m512 exp_of(__m512 x) {
  // Of operands that are not ordered these take the second. A subnormal result would cost a hundred times as much.
  x = _mm512_max_ps(_mm512_set1_ps(-87.3F), _mm512_min_ps(_mm512_set1_ps(87.0F), x));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);  // ln 2 in two parts, the first exact times n
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
  // Taylor's polynomial: |r| <= ln(2) / 2, and the next term is below 2.3e-8.
  __m512 p = _mm512_set1_ps(1.0F / 720.0F);
  for (const float c : {1.0F / 120.0F, 1.0F / 24.0F, 1.0F / 6.0F, 0.5F, 1.0F, 1.0F}) {
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  }
  return _mm512_scalef_ps(p, n);
}

/// 1 / x to 2 units in the last place, for normal numbers whose inverses are: a division takes three times as long.
RADAPT_AMX_PART __m512 inverse_of(__m512 x) {
  const __m512 near = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(near, _mm512_fnmadd_ps(x, near, _mm512_set1_ps(2.0F)));
}

/// x / (1 + exp(-u)).
RADAPT_AMX_PART __m512 gated(__m512 x, __m512 u) {
  const __m512 e = exp_of(_mm512_sub_ps(_mm512_setzero_ps(), u));
  return _mm512_mul_ps(x, inverse_of(_mm512_add_ps(_mm512_set1_ps(1.0F), e)));
}

/// x Phi(x), the exact GELU: with erfc by Abramowitz and Stegun 7.1.26, to 1.5e-7 |x|.
RADAPT_AMX_PART __m512 gelu_of(__m512 x) {
  const __m512 magnitude = _mm512_abs_ps(x), z = _mm512_mul_ps(magnitude, _mm512_set1_ps(0.70710678F));
  const __m512 t = inverse_of(_mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911F), _mm512_set1_ps(1.0F)));
  __m512 p = _mm512_set1_ps(1.061405429F);
  for (const float c : {-1.453152027F, 1.421413741F, -0.284496736F, 0.254829592F}) {
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(c));
  }
  const __m512 square = _mm512_min_ps(_mm512_set1_ps(80.0F), _mm512_mul_ps(z, z));  // no subnormal numbers below
  const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, t), exp_of(_mm512_sub_ps(_mm512_setzero_ps(), square)));
  const __m512 half =
      _mm512_mul_ps(_mm512_set1_ps(0.5F), _mm512_mul_ps(magnitude, tail));  // |x| / 2 erfc(|x| / sqrt 2)
  return _mm512_sub_ps(_mm512_max_ps(_mm512_setzero_ps(), x), half);
}

RADAPT_AMX_PART __m512 activated(Activation kind, __m512 x) {
  switch (kind) {
    case Activation::quick_gelu:
      return gated(x, _mm512_mul_ps(x, _mm512_set1_ps(1.702F)));
    case Activation::gelu:
      return gelu_of(x);
    case Activation::gelu_tanh: {  // 1 + tanh(u) = 2 / (1 + exp(-2 u))
      const __m512 cube = _mm512_mul_ps(_mm512_mul_ps(x, x), x);
      const __m512 u = _mm512_fmadd_ps(cube, _mm512_set1_ps(0.044715F), x);
      return gated(x, _mm512_mul_ps(u, _mm512_set1_ps(1.59576912F)));  // 2 sqrt(2 / pi)
    }
    case Activation::relu:
      return _mm512_max_ps(_mm512_setzero_ps(), x);
  }
  return x;
}

}  // namespace radapt::detail::amx
RADAPT_AMX_END
#endif
