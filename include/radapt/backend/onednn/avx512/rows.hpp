#pragma once
/// Passes over rows of float or bf16, sixteen elements at a time, whatever a program is compiled for; bf16 is rounded
/// by the processor's own instruction. They are bound by memory; on bf16 the same loops in C++ take three times as
/// long, in rounding.
#include "radapt/backend/onednn/avx512/vector_math.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::avx512 {

/// The largest of the first `n` floats of a row; 16 may be read at a time.
RADAPT_AVX512 inline float largest_of(const float* x, Index n) {
  __m512 most = _mm512_set1_ps(-__builtin_inff()), others = most;
  Index i = 0;
  for (; i + 32 <= n; i += 32) {
    most = _mm512_max_ps(most, _mm512_loadu_ps(x + i));
    others = _mm512_max_ps(others, _mm512_loadu_ps(x + i + 16));
  }
  for (; i < n; i += 16) { most = _mm512_mask_max_ps(most, first_lanes(n - i), most, _mm512_loadu_ps(x + i)); }
  return _mm512_reduce_max_ps(_mm512_max_ps(most, others));
}

/// Of the exponentials in a row of a softmax.
struct ExponentialSum {
  float largest;  ///< scale times the largest score, that was taken from all
  float sum;      ///< of exp(scale s - largest)
  float logarithm() const { return largest + __builtin_logf(sum); }  ///< of the sum of exp(scale s)
};

template <class T>
RADAPT_AVX512 float dot_of(const T* a, const T* b, Index n) {
  __m512 sum = _mm512_setzero_ps();
  for (Index i = 0; i < n; i += 16) {
    sum = _mm512_fmadd_ps(load_as_floats(a + i, n - i), load_as_floats(b + i, n - i), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

/// Sums of a row are taken by four vectors in turn, each of which waits for its own last addition alone.
inline constexpr Index sums_in_turn = 4;
RADAPT_AVX512_PART float total_of(const __m512 (&sums)[sums_in_turn]) {
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

struct RowStatistics {
  float mean, rstd;
};

/// y = (x - mean) rstd weight + bias.
template <class T>
RADAPT_AVX512 RowStatistics normalise_row(T* y, const T* x, const float* weight, const float* bias, Index width,
                                          float eps) {
  constexpr Index turn = 16 * sums_in_turn;
  __m512 sums[sums_in_turn] = {}, squares[sums_in_turn] = {};
  for (Index first = 0; first < width; first += turn) {
    RADAPT_UNROLLED
    for (Index j = 0; j < sums_in_turn; ++j) {
      const Index i = first + 16 * j;
      if (i < width) { sums[j] = _mm512_add_ps(sums[j], load_as_floats(x + i, width - i)); }
    }
  }
  const float mean = total_of(sums) / static_cast<float>(width);
  const __m512 centre = _mm512_set1_ps(mean);
  for (Index first = 0; first < width; first += turn) {
    RADAPT_UNROLLED
    for (Index j = 0; j < sums_in_turn; ++j) {
      const Index i = first + 16 * j;
      if (i >= width) { break; }
      const __m512 d = _mm512_maskz_sub_ps(first_lanes(width - i), load_as_floats(x + i, width - i), centre);
      squares[j] = _mm512_fmadd_ps(d, d, squares[j]);
    }
  }
  const float rstd = 1.0F / __builtin_sqrtf(total_of(squares) / static_cast<float>(width) + eps);
  const __m512 scale = _mm512_set1_ps(rstd);
  for (Index i = 0; i < width; i += 16) {
    const Index n = width - i;
    const __m512 xhat = _mm512_mul_ps(_mm512_sub_ps(load_as_floats(x + i, n), centre), scale);
    store_floats(y + i, _mm512_fmadd_ps(xhat, load_as_floats(weight + i, n), load_as_floats(bias + i, n)), n);
  }
  return {mean, rstd};
}

/// dx = rstd (g - mean(g) - xhat mean(g xhat)), g = dy weight.
template <class T>
RADAPT_AVX512 void normalise_row_backward(T* dx, const T* dy, const T* x, const float* weight, Index width,
                                          RowStatistics s) {
  const __m512 centre = _mm512_set1_ps(s.mean), rstd = _mm512_set1_ps(s.rstd);
  __m512 sum = _mm512_setzero_ps(), along = _mm512_setzero_ps();
  for (Index i = 0; i < width; i += 16) {
    const Index n = width - i;
    const __m512 g = _mm512_mul_ps(load_as_floats(dy + i, n), load_as_floats(weight + i, n));
    sum = _mm512_add_ps(sum, g);
    along = _mm512_fmadd_ps(g, _mm512_sub_ps(load_as_floats(x + i, n), centre), along);
  }
  const float share = 1.0F / static_cast<float>(width);
  const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) * share);
  const __m512 slope = _mm512_set1_ps(_mm512_reduce_add_ps(along) * share * s.rstd * s.rstd);
  for (Index i = 0; i < width; i += 16) {
    const Index n = width - i;
    const __m512 g = _mm512_fmsub_ps(load_as_floats(dy + i, n), load_as_floats(weight + i, n), mean);
    const __m512 d = _mm512_sub_ps(load_as_floats(x + i, n), centre);
    store_floats(dx + i, _mm512_mul_ps(rstd, _mm512_fnmadd_ps(d, slope, g)), n);
  }
}

/// y += x.
template <class T>
RADAPT_AVX512 void add(T* y, const T* x, Index size) {
  for (Index i = 0; i < size; i += 16) {
    const Index n = size - i;
    store_floats(y + i, _mm512_add_ps(load_as_floats(y + i, n), load_as_floats(x + i, n)), n);
  }
}

/// y = act(x); y may be x.
template <class T>
RADAPT_AVX512 void activate(Activation kind, T* y, const T* x, Index size) {
  for (Index i = 0; i < size; i += 16) {
    store_floats(y + i, activated(kind, load_as_floats(x + i, size - i)), size - i);
  }
}

/// dx = dy act'(x); dx may be dy.
template <class T>
RADAPT_AVX512 void activate_backward(Activation kind, T* dx, const T* dy, const T* x, Index size) {
  for (Index i = 0; i < size; i += 16) {
    const Index n = size - i;
    store_floats(dx + i, _mm512_mul_ps(load_as_floats(dy + i, n), slope_of_activation(kind, load_as_floats(x + i, n))),
                 n);
  }
}

}  // namespace radapt::detail::avx512
RADAPT_AVX512_END
#endif
