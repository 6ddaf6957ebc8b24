#pragma once
/// AVX-512: functions that are compiled for it whatever a program is compiled for, and sixteen floats at a time of rows
/// of float or bf16.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__CUDACC__)
#define RADAPT_HAS_AVX512 1
#include <immintrin.h>

#include <dnnl.h>

#include <type_traits>

#include "radapt/core/element.hpp"
#include "radapt/core/shape.hpp"

// In front of a function that is called where `available<T>()` is true for the elements that it stores.
#define RADAPT_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,avx2,prfchw")))
// The same, as a part of its caller: of loops that keep numbers in registers.
#define RADAPT_AVX512_PART RADAPT_AVX512 __attribute__((always_inline)) inline
// Around such functions: g++ 12 warns of what its own intrinsics leave undefined, and of their masks without
// optimisation.
#ifdef __clang__
#define RADAPT_AVX512_BEGIN
#define RADAPT_AVX512_END
#define RADAPT_UNROLLED _Pragma("unroll")
#else
#define RADAPT_AVX512_BEGIN                                                            \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wuninitialized\"") \
      _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")                      \
          _Pragma("GCC diagnostic ignored \"-Wsign-conversion\"")
#define RADAPT_AVX512_END _Pragma("GCC diagnostic pop")
#define RADAPT_UNROLLED _Pragma("GCC unroll 16")
#endif

RADAPT_AVX512_BEGIN
namespace radapt::detail::avx512 {

/// Whether the processor has all of what a value of dnnl_cpu_isa_t names, and oneDNN has not been told to leave it
/// (ONEDNN_MAX_CPU_ISA). oneDNN asks the system what a process may use.
inline bool has(dnnl_cpu_isa_t wanted) {
  const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa()), needed = static_cast<unsigned>(wanted);
  return (isa & needed) == needed;
}

/// Whether functions that store T (float; or bf16, which the processor must round to) may be called.
template <class T>
bool available() {
  static const bool answer = has(std::is_same_v<T, float> ? dnnl_cpu_isa_avx512_core : dnnl_cpu_isa_avx512_core_bf16);
  return answer;
}

constexpr Index rounded_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

/// The mask of the first n of sixteen lanes; of more than sixteen it is all.
constexpr __mmask16 first_lanes(Index n) { return static_cast<__mmask16>(n >= 16 ? 0xffffU : (1U << n) - 1); }

/// x[0 .. n - 1] as bf16, rounded to nearest, ties to even; n >= 16 is 16, and other lanes are 0.
template <class T>
RADAPT_AVX512_PART __m256i load_as_bf16(const T* x, Index n) {
  if constexpr (std::is_same_v<T, bf16>) {
    if (n >= 16) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)); }
    return _mm256_maskz_loadu_epi16(first_lanes(n), x);
  } else {
    return (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(first_lanes(n), x));
  }
}
/// x[0 .. n - 1] as floats; n >= 16 is 16, and other lanes are 0.
template <class T>
RADAPT_AVX512_PART __m512 load_as_floats(const T* x, Index n) {
  if constexpr (std::is_same_v<T, float>) {
    if (n >= 16) { return _mm512_loadu_ps(x); }
    return _mm512_maskz_loadu_ps(first_lanes(n), x);
  } else {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_as_bf16(x, n)), 16));
  }
}
/// y[0 .. n - 1] = the first lanes of v. A store with a mask takes several times as long on some processors.
template <class T>
RADAPT_AVX512_PART void store_floats(T* y, __m512 v, Index n) {
  if constexpr (std::is_same_v<T, float>) {
    if (n >= 16) { return _mm512_storeu_ps(y, v); }
    _mm512_mask_storeu_ps(y, first_lanes(n), v);
  } else {
    const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(v);
    if (n >= 16) { return _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), rounded); }
    _mm256_mask_storeu_epi16(y, first_lanes(n), rounded);
  }
}

/// v as elements of T are stored.
template <class T>
RADAPT_AVX512_PART __m512 rounded_to(__m512 v) {
  if constexpr (std::is_same_v<T, bf16>) {
    const __m256i bits = (__m256i)_mm512_cvtneps_pbh(v);
    v = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  return v;
}

/// Turns a matrix of 16 x 16 elements of four bytes, a row each.
RADAPT_AVX512_PART void turn(__m512i (&a)[16]) {
  // With masks that keep everything: g++ warns of what its header leaves undefined for the others.
  constexpr __mmask16 all = 0xffff;
  constexpr __mmask8 all_pairs = 0xff;
  __m512i b[16];
  RADAPT_UNROLLED
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_maskz_unpacklo_epi32(all, a[i], a[i + 1]);
    b[i + 1] = _mm512_maskz_unpackhi_epi32(all, a[i], a[i + 1]);
  }
  RADAPT_UNROLLED
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_maskz_unpacklo_epi64(all_pairs, b[i], b[i + 2]);
    a[i + 1] = _mm512_maskz_unpackhi_epi64(all_pairs, b[i], b[i + 2]);
    a[i + 2] = _mm512_maskz_unpacklo_epi64(all_pairs, b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_maskz_unpackhi_epi64(all_pairs, b[i + 1], b[i + 3]);
  }
  // Now lane l of a[4 g + j] is column 4 l + j of the rows 4 g .. 4 g + 3.
  RADAPT_UNROLLED
  for (int j = 0; j < 4; ++j) {
    const __m512i low = _mm512_maskz_shuffle_i32x4(all, a[j], a[4 + j], 0x88),
                  high = _mm512_maskz_shuffle_i32x4(all, a[8 + j], a[12 + j], 0x88);
    const __m512i low1 = _mm512_maskz_shuffle_i32x4(all, a[j], a[4 + j], 0xdd),
                  high1 = _mm512_maskz_shuffle_i32x4(all, a[8 + j], a[12 + j], 0xdd);
    b[j] = _mm512_maskz_shuffle_i32x4(all, low, high, 0x88);
    b[8 + j] = _mm512_maskz_shuffle_i32x4(all, low, high, 0xdd);
    b[4 + j] = _mm512_maskz_shuffle_i32x4(all, low1, high1, 0x88);
    b[12 + j] = _mm512_maskz_shuffle_i32x4(all, low1, high1, 0xdd);
  }
  RADAPT_UNROLLED
  for (int i = 0; i < 16; ++i) { a[i] = b[i]; }
}

}  // namespace radapt::detail::avx512
RADAPT_AVX512_END
#endif
