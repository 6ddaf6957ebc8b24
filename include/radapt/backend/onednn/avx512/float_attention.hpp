#pragma once
/// Attention in float: one task per head of a sequence, with the scores of a block of positions in the second cache.
///
/// Probabilities are divided by their sum after they are multiplied. Every part of an output is written by one task in
/// one order.
#include "radapt/backend/onednn/avx512/float_product.hpp"
#include "radapt/backend/onednn/avx512/pieces.hpp"
#include "radapt/backend/onednn/avx512/rows.hpp"
#ifdef RADAPT_HAS_AVX512
#include "radapt/op/attention.hpp"

RADAPT_AVX512_BEGIN
namespace radapt::detail::avx512 {

/// Positions whose scores exist at a time. In backward each block adds to the gradients of all keys.
inline constexpr Index forward_positions = 24, backward_positions = 64;

/// One head's columns of a sequence: rows `stride` apart.
struct HeadFloats {
  const float* data;
  Index stride, rows, columns;
  const float* row(Index r) const { return data + r * stride; }
};

/// x^T with `stride` floats from row to row; columns beyond the rows of x, up to a multiple of 16, are 0.
RADAPT_AVX512 inline void take_turned(float* turned, Index stride, const HeadFloats& x) {
  for (Index r = 0; r < x.rows; r += 16) {
    for (Index c = 0; c < x.columns; c += 16) {
      const Index rows = std::min<Index>(16, x.rows - r), columns = std::min<Index>(16, x.columns - c);
      __m512i block[16];
      RADAPT_UNROLLED
      for (Index i = 0; i < 16; ++i) {
        const bool there = i < rows;
        const float* const from = there ? x.row(r + i) + c : x.data;
        block[i] = _mm512_castps_si512(_mm512_maskz_loadu_ps(there ? first_lanes(columns) : 0, from));
      }
      turn(block);
      RADAPT_UNROLLED
      for (Index i = 0; i < 16; ++i) {
        if (i < columns) { _mm512_storeu_si512(turned + (c + i) * stride + r, block[i]); }
      }
    }
  }
}

/// x with its rows one behind the other, `stride` floats from row to row.
RADAPT_AVX512 inline void take_rows(float* rows, Index stride, const HeadFloats& x) {
  for (Index r = 0; r < x.rows; ++r) {
    for (Index c = 0; c < x.columns; c += 16) {
      store_floats(rows + r * stride + c, load_as_floats(x.row(r) + c, x.columns - c), x.columns - c);
    }
  }
}

/// What a task of the forward pass works in, for sequences of `length`.
struct FloatForwardRoom {
  float *keys, *values, *scores;
  Pieces pieces;

  FloatForwardRoom(char* data, Index length, Index width) : pieces(data) {
    const Index t = rounded_up(length, 16), d = rounded_up(width, 16);
    keys = pieces.take<float>(width * t);
    values = pieces.take<float>(length * d);
    scores = pieces.take<float>(forward_positions * t);
  }
};

/// s becomes exp(scale (s - max s)) for the first `seen` scores of a row, and 0 up to `keys`, a multiple of 16.
RADAPT_AVX512 inline ExponentialSum take_exponentials(float* s, Index seen, Index keys, float scale) {
  const float largest = largest_of(s, seen);
  const __m512 shift = _mm512_set1_ps(largest), factor = _mm512_set1_ps(scale * log2_of_e);
  __m512 sum = _mm512_setzero_ps();
  for (Index i = 0; i < keys; i += 16) {
    const auto lanes = first_lanes(i < seen ? seen - i : 0);
    const __m512 exponent = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(s + i), shift), factor);
    const __m512 e = _mm512_maskz_mov_ps(lanes, exp2_of(exponent));
    sum = _mm512_add_ps(sum, e);
    _mm512_storeu_ps(s + i, e);
  }
  return {scale * largest, _mm512_reduce_add_ps(sum)};
}

/// One head of one sequence.
RADAPT_AVX512 inline void attend(const op::attention_forward<float>& o, Index sequence, Index head, char* memory) {
  const Index width = o.y.columns, d = width / o.heads, first = o.sequences.begin(sequence);
  const Index length = o.sequences.length(sequence);
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(d));
  const float* const qkv = o.qkv.data + first * 3 * width + head * d;
  const HeadFloats q{qkv, 3 * width, length, d}, k{qkv + width, 3 * width, length, d};
  const HeadFloats v{qkv + 2 * width, 3 * width, length, d};
  const FloatForwardRoom room(memory, length, d);
  const Index t = rounded_up(length, 16), padded_width = rounded_up(d, 16);
  take_turned(room.keys, t, k);
  take_rows(room.values, padded_width, v);
  for (Index begin = 0; begin < length; begin += forward_positions) {
    const Index rows = std::min(forward_positions, length - begin);
    const Index present = o.causal ? begin + rows : length, keys = rounded_up(present, 16);
    multiply({room.scores, t}, {q.row(begin), q.stride}, {room.keys, t}, rows, keys, d);
    float shares[forward_positions];
    for (Index r = 0; r < rows; ++r) {
      const Index seen = o.causal ? begin + r + 1 : length;
      const ExponentialSum e = take_exponentials(room.scores + r * t, seen, keys, scale);
      shares[r] = 1.0F / e.sum;
      if (o.log_sum_exp.data != nullptr) { o.log_sum_exp.data[(first + begin + r) * o.heads + head] = e.logarithm(); }
    }
    float* const y = o.y.data + (first + begin) * width + head * d;
    multiply({y, width}, {room.scores, t}, {room.values, padded_width}, rows, d, present);
    for (Index r = 0; r < rows; ++r) {
      const __m512 share = _mm512_set1_ps(shares[r]);
      for (Index c = 0; c < d; c += 16) {
        float* const part = y + r * width + c;
        store_floats(part, _mm512_mul_ps(load_as_floats(part, d - c), share), d - c);
      }
    }
  }
}

/// What a task of the backward pass works in, for sequences of `length`.
struct FloatBackwardRoom {
  float *keys_turned, *values_turned, *keys, *probabilities, *slopes;
  Pieces pieces;

  FloatBackwardRoom(char* data, Index length, Index width) : pieces(data) {
    const Index t = rounded_up(length, 16), d = rounded_up(width, 16), block = std::min(backward_positions, length);
    for (float** turned : {&keys_turned, &values_turned}) { *turned = pieces.take<float>(width * t); }
    keys = pieces.take<float>(length * d);
    for (float** scores : {&probabilities, &slopes}) { *scores = pieces.take<float>(block * t); }
  }
};

/// s becomes p = exp(scale s - log_sum), and dp becomes ds = p (dp - along), for the first `seen` keys; both become 0
/// up to `keys`, a multiple of 16.
RADAPT_AVX512 inline void take_slopes(float* s, float* dp, Index seen, Index keys, float scale, float log_sum,
                                      float along) {
  const __m512 factor = _mm512_set1_ps(scale * log2_of_e), shift = _mm512_set1_ps(log_sum * log2_of_e);
  for (Index i = 0; i < keys; i += 16) {
    const auto lanes = first_lanes(i < seen ? seen - i : 0);
    const __m512 exponent = _mm512_fmsub_ps(_mm512_loadu_ps(s + i), factor, shift);
    const __m512 p = _mm512_maskz_mov_ps(lanes, exp2_of(exponent));
    const __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(dp + i), _mm512_set1_ps(along));
    _mm512_storeu_ps(s + i, p);
    _mm512_storeu_ps(dp + i, _mm512_maskz_mul_ps(lanes, p, difference));
  }
}

/// One head of one sequence.
RADAPT_AVX512 inline void attend_backward(const op::attention_backward<float>& o, Index sequence, Index head,
                                          char* memory) {
  const Index width = o.y.columns, d = width / o.heads, first = o.sequences.begin(sequence);
  const Index length = o.sequences.length(sequence);
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(d));
  const Index qkv_place = first * 3 * width + head * d, y_place = first * width + head * d;
  const float* const qkv = o.qkv.data + qkv_place;
  float* const dqkv = o.dqkv.data + qkv_place;
  const HeadFloats q{qkv, 3 * width, length, d}, k{qkv + width, 3 * width, length, d};
  const HeadFloats v{qkv + 2 * width, 3 * width, length, d}, dy{o.dy.data + y_place, width, length, d};
  const FloatBackwardRoom room(memory, length, d);
  const Index t = rounded_up(length, 16), padded_width = rounded_up(d, 16);
  take_turned(room.keys_turned, t, k);
  take_turned(room.values_turned, t, v);
  take_rows(room.keys, padded_width, k);
  // The last block sees every key, causal or not: it comes first and writes dK and dV, the others add to them.
  const Index blocks = (length + backward_positions - 1) / backward_positions;
  for (Index b = blocks; b-- > 0;) {
    const Index begin = b * backward_positions, rows = std::min(backward_positions, length - begin);
    const Index present = o.causal ? begin + rows : length, keys = rounded_up(present, 16);
    const bool add = b + 1 < blocks;
    const FloatRows<float> p{room.probabilities, t}, ds{room.slopes, t};
    multiply(p, {q.row(begin), q.stride}, {room.keys_turned, t}, rows, keys, d);
    multiply(ds, {dy.row(begin), dy.stride}, {room.values_turned, t}, rows, keys, d);
    for (Index r = 0; r < rows; ++r) {
      const Index place = y_place + (begin + r) * width, seen = o.causal ? begin + r + 1 : length;
      const float along = dot_of(o.dy.data + place, o.y.data + place, d);
      const float log_sum = o.log_sum_exp.data[(first + begin + r) * o.heads + head];
      take_slopes(p.data + r * t, ds.data + r * t, seen, keys, scale, log_sum, along);
    }
    const FloatRows<float> dq{dqkv + begin * 3 * width, 3 * width}, dk{dqkv + width, 3 * width};
    const FloatRows<float> dv{dqkv + 2 * width, 3 * width};
    multiply(dq, {ds.data, t}, {room.keys, padded_width}, rows, d, present, {scale});
    multiply(dk, {ds.data, 1, t}, {q.row(begin), q.stride}, present, d, rows, {scale, add});
    multiply(dv, {p.data, 1, t}, {dy.row(begin), dy.stride}, present, d, rows, {1.0F, add});
  }
}

}  // namespace radapt::detail::avx512
RADAPT_AVX512_END
#endif
