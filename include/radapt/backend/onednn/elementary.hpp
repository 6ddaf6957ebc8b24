#pragma once
/// Choices, exponentials and square roots that loops over floats may hold and still run in vector registers, on any
/// processor. The standard library's keep a loop out of them.
#include <bit>
#include <cmath>
#include <cstdint>
#ifdef __SSE__
#include <immintrin.h>
#endif

#include "radapt/core/shape.hpp"

// In front of a loop whose turns do not depend on each other, but for a sum or a maximum.
#ifdef _OPENMP
#define RADAPT_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define RADAPT_VECTOR_LOOP RADAPT_PRAGMA(omp simd)
#define RADAPT_VECTOR_SUM(...) RADAPT_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define RADAPT_VECTOR_MAX(variable) RADAPT_PRAGMA(omp simd reduction(max : variable))
#else
#define RADAPT_VECTOR_LOOP
#define RADAPT_VECTOR_SUM(...)
#define RADAPT_VECTOR_MAX(variable)
#endif

namespace radapt::detail {

/// 2^r = (((((c0 r + c1) r + c2) r + c3) r + c4) r + c5): of the polynomials that are 1 at 0 the best for |r| <= 1/2,
/// off by 9.2e-8 of it at most.
inline constexpr float exp2_coefficients[] = {0.0013264726F, 0.009671515F, 0.05550734F, 0.24022242F, 0.693147F, 1.0F};
inline constexpr float log2_of_e = 1.44269504F;

}  // namespace radapt::detail

namespace radapt::detail::cpu {

/// `first ? a : b` as a mask of bits: GCC keeps a loop with a condition out of vector registers.
[[gnu::always_inline]] inline float choose(bool first, float a, float b) {
  const std::uint32_t mask = 0U - static_cast<std::uint32_t>(first);
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(a) & mask) | (std::bit_cast<std::uint32_t>(b) & ~mask));
}

/// e^x to 2.2e-7 of it: infinity where it is beyond the largest float, 0 for x < -86.6, where it is about to leave the
/// normal numbers; a NaN stays one.
[[gnu::always_inline]] inline float exp_of(float x) {
  constexpr float least = -86.6F, most = 89.0F;
  const float bounded = choose(x > least, choose(x < most, x, most), least), y = bounded * log2_of_e;
  // The unit in the last place of 1.5 2^23 is 1: behind its bits stands the whole number n that is nearest to y.
  constexpr float shift = 12582912.0F;
  const std::uint32_t n = std::bit_cast<std::uint32_t>(y + shift) - std::bit_cast<std::uint32_t>(shift);
  // x - n log(2) in two parts, of which the first, 355/512, leaves a product with n and the difference exact.
  const auto whole = static_cast<float>(static_cast<std::int32_t>(n));
  const float r = ((bounded - whole * 0.693359375F) + whole * 2.12194440e-4F) * log2_of_e;
  constexpr auto& c = exp2_coefficients;
  const float p =
      ((((c[0] * r + c[1]) * r + c[2]) * r + c[3]) * r + c[4]) * r + c[5];  // a loop would not be unrolled first
  // 2 p 2^(n - 1), since n may be 128.
  const float scaled = 2.0F * (p * std::bit_cast<float>((n + 126U) << 23));
  return choose(x == x, choose(x < least, 0.0F, scaled), x);
}

/// y = exp(x - shift); y may be x.
inline void exp_of_difference(float* y, const float* x, float shift, Index n) {
  RADAPT_VECTOR_LOOP
  for (Index i = 0; i < n; ++i) { y[i] = exp_of(x[i] - shift); }
}

/// y = the square root of x; y may be x.
inline void square_roots(float* y, const float* x, Index n) {
  Index i = 0;
#ifdef __AVX__
  for (; i + 8 <= n; i += 8) { _mm256_storeu_ps(y + i, _mm256_sqrt_ps(_mm256_loadu_ps(x + i))); }
#endif
#ifdef __SSE__
  for (; i + 4 <= n; i += 4) { _mm_storeu_ps(y + i, _mm_sqrt_ps(_mm_loadu_ps(x + i))); }
#endif
  for (; i < n; ++i) { y[i] = std::sqrt(x[i]); }
}

}  // namespace radapt::detail::cpu
