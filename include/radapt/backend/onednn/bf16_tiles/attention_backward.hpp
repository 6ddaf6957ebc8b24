#pragma once
/// The gradient of attention on tiles, for bf16: see attention.hpp.
#include "radapt/backend/onednn/bf16_tiles/attention.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// Positions whose probabilities exist at a time.
inline constexpr Index position_block = 128;

/// What a task of the backward pass works in, for sequences of `length`.
struct BackwardRoom {
  bf16 *keys_turned, *values_turned, *keys;  // right factors of s = q k^T, dp = dy v^T, dq = ds k
  bf16 *queries, *gradients;                 // left factors, 32 rows
  bf16 *queries_right, *gradients_right;     // right factors of dk = ds^T q, dv = p^T dy, a block of positions
  bf16 *probabilities, *slopes, *turned;     // left factors, a block of positions each; 32 keys of one, turned
  float *scores, *gradient_scores, *dq, *dk, *dv;
  Pieces pieces;

  BackwardRoom(char* data, Index length, Index width) : pieces(data) {
    const Index t = rounded_up(length, row_block), d = rounded_up(width, tile_depth);
    const Index block = std::min(position_block, t);
    for (bf16** factor : {&keys_turned, &values_turned, &keys}) { *factor = pieces.take<bf16>(t * d); }
    for (bf16** factor : {&queries, &gradients}) { *factor = pieces.take<bf16>(row_block * d); }
    for (bf16** factor : {&queries_right, &gradients_right}) { *factor = pieces.take<bf16>(block * d); }
    for (bf16** factor : {&probabilities, &slopes}) { *factor = pieces.take<bf16>(block * t); }
    turned = pieces.take<bf16>(row_block * block);
    for (float** sums : {&scores, &gradient_scores}) { *sums = pieces.take<float>(row_block * t); }
    dq = pieces.take<float>(row_block * d);
    for (float** sums : {&dk, &dv}) { *sums = pieces.take<float>(t * d); }
  }
};

/// p = exp(scale s - log_sum) and ds = p (dp - along), rounded, of `seen` keys, and 0 up to the end of the step that
/// `keys` are in.
RADAPT_AVX512 inline void take_slopes(bf16* p, bf16* ds, const float* s, const float* dp, Index seen, Index keys,
                                      float scale, float log_sum, float along) {
  const __m512 factor = _mm512_set1_ps(scale * log2_of_e), shift = _mm512_set1_ps(log_sum * log2_of_e);
  for (Index i = 0; i < keys; i += tile_depth, p += 2 * tile_elements, ds += 2 * tile_elements) {
    for (Index half = 0; half < tile_depth; half += 16) {
      const Index at = i + half;
      if (at >= seen) {
        for (bf16* const row : {p, ds}) { clear_half_step(row + half); }
        continue;
      }
      const auto lanes = first_lanes(seen - at);
      const __m512 exponent = _mm512_fmsub_ps(_mm512_loadu_ps(s + at), factor, shift);
      const __m512 e = _mm512_maskz_mov_ps(lanes, exp2_of(exponent));
      store_floats(p + half, e, 16);
      const __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(dp + at), _mm512_set1_ps(along));
      store_floats(ds + half, _mm512_maskz_mul_ps(lanes, e, difference), 16);
    }
  }
}

RADAPT_AVX512 inline void clear_row(bf16* row, Index keys) {
  for (Index i = 0; i < keys; i += tile_depth, row += 2 * tile_elements) {
    _mm512_storeu_si512(row, _mm512_setzero_si512());
  }
}

/// c (keys, width) = or += x^T b, with x the left factors of 32 of the `positions` each, `x_block` apart, and b a right
/// factor of them.
RADAPT_AVX512 inline void add_turned_product(float* c, Index width, const bf16* x, Index x_block, Index positions,
                                             const bf16* b, Index keys, bf16* turned, bool add) {
  const Index blocks = (positions + row_block - 1) / row_block;
  for (Index key = 0; key < keys; key += row_block) {
    for (Index i = 0; i < blocks; ++i) {
      for (Index half = 0; half < row_block; half += tile_rows) {
        bf16* const tile = turned + (2 * i + half / tile_rows) * tile_elements;
        const bf16* const from = x + i * x_block + key / tile_depth * 2 * tile_elements + half;
        take_pair_tile(tile, from, tile_depth, tile_depth, tile_rows);
        turn_tile(tile);
      }
    }
    multiply_row_block(c + key * width, width, turned, std::min(row_block, keys - key), b, width, positions, blocks,
                       add);
  }
}

/// One head of one sequence.
RADAPT_AVX512 inline void attend_backward(const op::attention_backward<bf16>& o, Index sequence, Index head,
                                          char* memory) {
  const TileRegisters registers;
  const Index width = o.y.columns, d = width / o.heads, first = o.sequences.begin(sequence);
  const Index length = o.sequences.length(sequence);
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(d));
  const Index qkv_place = first * 3 * width + head * d, y_place = first * width + head * d;
  const bf16* const qkv = o.qkv.data + qkv_place;
  const HeadMatrix q{qkv, 3 * width, length, d}, k{qkv + width, 3 * width, length, d};
  const HeadMatrix v{qkv + 2 * width, 3 * width, length, d}, dy{o.dy.data + y_place, width, length, d};
  const BackwardRoom room(memory, length, d);
  const Index t = q.padded_rows(), padded_width = q.padded_columns(), steps = padded_width / tile_depth;
  if (head + 1 < o.heads) {
    const HeadMatrix y{o.y.data + y_place, width, length, d};
    for (const HeadMatrix& x : {q, k, v, dy, y}) { ask_for_next_head(x); }
  }
  take_turned(room.keys_turned, k);
  take_turned(room.values_turned, v);
  take_right(room.keys, k);
  // The last block sees every key, causal or not: it comes first and writes dK and dV, the others add to them.
  const Index blocks = (length + position_block - 1) / position_block;
  for (Index b = blocks; b-- > 0;) {
    const Index begin = b * position_block, end = std::min(length, begin + position_block);
    const Index keys = o.causal ? end : length, x_block = row_block * rounded_up(keys, tile_depth);
    const Index positions = end - begin, parts = (positions + row_block - 1) / row_block;
    for (Index part = 0; part < parts; ++part) {
      const Index at = begin + part * row_block, rows = std::min(row_block, end - at);
      take_left(room.queries, q, at);
      take_left(room.gradients, dy, at);
      multiply_row_block(room.scores, t, room.queries, rows, room.keys_turned, keys, d, steps);
      multiply_row_block(room.gradient_scores, t, room.gradients, rows, room.values_turned, keys, d, steps);
      bf16 *const p = room.probabilities + part * x_block, *const ds = room.slopes + part * x_block;
      for (Index r = 0; r < rows; ++r) {
        const Index place = y_place + (at + r) * width;
        const float along = dot_of(o.dy.data + place, o.y.data + place, d);
        const float log_sum = o.log_sum_exp.data[(first + at + r) * o.heads + head];
        take_slopes(row_of_left(p, r, 0), row_of_left(ds, r, 0), room.scores + r * t, room.gradient_scores + r * t,
                    o.causal ? at + r + 1 : length, keys, scale, log_sum, along);
      }
      for (Index r = rows; r < row_block; ++r) {  // of sums over positions, which end with zeros
        for (bf16* const left : {p, ds}) { clear_row(row_of_left(left, r, 0), keys); }
      }
      multiply_row_block(room.dq, padded_width, ds, rows, room.keys, d, keys, t / tile_depth);
      put_rows(o.dqkv.data + qkv_place + at * 3 * width, 3 * width, room.dq, padded_width, rows, d, scale);
    }
    const HeadMatrix q_block{q.data + begin * q.stride, q.stride, positions, d};
    const HeadMatrix dy_block{dy.data + begin * dy.stride, dy.stride, positions, d};
    take_right(room.queries_right, q_block);
    take_right(room.gradients_right, dy_block);
    const bool add = b + 1 < blocks;
    add_turned_product(room.dv, padded_width, room.probabilities, x_block, positions, room.gradients_right, keys,
                       room.turned, add);
    add_turned_product(room.dk, padded_width, room.slopes, x_block, positions, room.queries_right, keys, room.turned,
                       add);
  }
  bf16* const dk = o.dqkv.data + qkv_place + width;
  put_rows(dk, 3 * width, room.dk, padded_width, length, d, scale);
  put_rows(dk + width, 3 * width, room.dv, padded_width, length, d, 1.0F);
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
