#pragma once
/// Attention on tiles, for bf16: one task per head of a sequence, with the scores of a block of positions in a cache.
///
/// Scores and sums are float; probabilities and their gradients are rounded to bf16 before they are multiplied, those
/// of the forward pass before they are divided by their sum. Every part of an output is written by one task in one
/// order.
#include "radapt/backend/onednn/avx512/pieces.hpp"
#include "radapt/backend/onednn/avx512/rows.hpp"
#include "radapt/backend/onednn/bf16_tiles/block.hpp"
#ifdef RADAPT_HAS_AVX512
#include "radapt/op/attention.hpp"

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// One head's columns of a sequence: rows `stride` apart.
struct HeadMatrix {
  const bf16* data;
  Index stride, rows, columns;
  Index padded_rows() const { return rounded_up(rows, row_block); }
  Index padded_columns() const { return rounded_up(columns, tile_depth); }
};

/// x^T as the right factor of a product that sums over columns of x: [32 rows of x][32 columns][2].
RADAPT_AVX512 inline void take_turned(bf16* tiles, const HeadMatrix& x) {
  for (Index r = 0; r < x.padded_rows(); r += row_block) {
    for (Index c = 0; c < x.padded_columns(); c += tile_depth) {
      for (Index half = 0; half < row_block; half += tile_rows, tiles += tile_elements) {
        const Index first = std::min(r + half, x.rows), rows = std::min(tile_rows, x.rows - first);
        take_row_tile(tiles, x.data + (rows == 0 ? 0 : first * x.stride + c), x.stride, rows,
                      std::min(tile_depth, x.columns - c));
        turn_tile(tiles);
      }
    }
  }
}

/// x as the right factor of a product that sums over rows of x: [32 columns of x][32 rows][2].
RADAPT_AVX512 inline void take_right(bf16* tiles, const HeadMatrix& x) {
  for (Index c = 0; c < x.padded_columns(); c += tile_depth) {
    for (Index r = 0; r < x.padded_rows(); r += row_block) {
      for (Index half = 0; half < tile_depth; half += tile_columns, tiles += tile_elements) {
        const Index first = std::min(c + half, x.columns), columns = std::min(tile_columns, x.columns - first);
        take_pair_tile(tiles, x.data + (columns == 0 ? 0 : r * x.stride + first), x.stride,
                       columns == 0 ? 0 : std::min(tile_depth, x.rows - r), columns);
      }
    }
  }
}

/// The 32 rows of x from `first` on as a left factor: [32 columns][2].
RADAPT_AVX512 inline void take_left(bf16* tiles, const HeadMatrix& x, Index first) {
  for (Index c = 0; c < x.padded_columns(); c += tile_depth) {
    for (Index half = 0; half < row_block; half += tile_rows, tiles += tile_elements) {
      const Index begin = std::min(first + half, x.rows), rows = std::min(tile_rows, x.rows - begin);
      take_row_tile(tiles, x.data + (rows == 0 ? 0 : begin * x.stride + c), x.stride, rows,
                    std::min(tile_depth, x.columns - c));
    }
  }
}

/// Where row r, columns [c, c + 32), of a left factor of 32 rows lies.
inline bf16* row_of_left(bf16* tiles, Index r, Index c) {
  return tiles + c / tile_depth * 2 * tile_elements + r / tile_rows * tile_elements + r % tile_rows * tile_depth;
}

/// c (rows of up to 32, columns) = or += a b, with sums of `inner` products, panel by panel of 32 columns, each of
/// `steps_of_panel` in b; rows of c lie `stride` apart, and all 32, of whole panels, are there to be written.
RADAPT_AVX512 inline void multiply_row_block(float* c, Index stride, const bf16* a, Index rows, const bf16* b,
                                             Index columns, Index inner, Index steps_of_panel, bool add = false) {
  constexpr Index panel = 2 * tile_columns;
  for (Index column = 0; column < columns; column += panel, b += steps_of_panel * 2 * tile_elements) {
    multiply_block(sums_of_matrix(c + column, stride), packed_left(a), b,
                   {rows, std::min(panel, columns - column), inner}, add);
  }
}

/// Writes `rows` rows of c times a factor, rounded.
RADAPT_AVX512 inline void put_rows(bf16* y, Index y_stride, const float* c, Index stride, Index rows, Index columns,
                                   float factor) {
  for (Index r = 0; r < rows; ++r) {
    for (Index i = 0; i < columns; i += 16) {
      store_floats(y + r * y_stride + i, _mm512_mul_ps(_mm512_loadu_ps(c + r * stride + i), _mm512_set1_ps(factor)),
                   columns - i);
    }
  }
}

/// Asks for the columns behind those of x, which are the next head's, while this one is computed: they lie in pieces of
/// two cache lines, which the processor does not foresee.
RADAPT_AVX512 inline void ask_for_next_head(const HeadMatrix& x) {
  for (Index r = 0; r < x.rows; ++r) {
    const bf16* const row = x.data + r * x.stride + x.columns;
    for (Index c = 0; c < x.columns; c += tile_depth) {
      _mm_prefetch(reinterpret_cast<const char*>(row + c), _MM_HINT_T1);
    }
  }
}

/// What a task of the forward pass works in, for sequences of `length`.
struct ForwardRoom {
  bf16 *keys, *values, *queries, *probabilities;
  float *scores, *sums;
  Pieces pieces;

  ForwardRoom(char* data, Index length, Index width) : pieces(data) {
    const Index t = rounded_up(length, row_block), d = rounded_up(width, tile_depth);
    keys = pieces.take<bf16>(t * d);
    values = pieces.take<bf16>(t * d);
    queries = pieces.take<bf16>(row_block * d);
    probabilities = pieces.take<bf16>(row_block * t);
    scores = pieces.take<float>(row_block * t);
    sums = pieces.take<float>(row_block * d);
  }
};

/// x[0 .. 15] = 0.
RADAPT_AVX512_PART void clear_half_step(bf16* x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(x), _mm256_setzero_si256());
}

/// p = exp(scale (s - max s)), rounded, of `seen` scores, and 0 up to the end of the step that `keys` are in.
RADAPT_AVX512 inline ExponentialSum take_exponentials(bf16* p, const float* s, Index seen, Index keys, float scale) {
  const float largest = largest_of(s, seen);
  const __m512 shift = _mm512_set1_ps(largest), factor = _mm512_set1_ps(scale * log2_of_e);
  __m512 sum = _mm512_setzero_ps();
  for (Index i = 0; i < keys; i += tile_depth, p += 2 * tile_elements) {
    for (Index half = 0; half < tile_depth; half += 16) {
      const Index at = i + half;
      if (at >= seen) {
        clear_half_step(p + half);
        continue;
      }
      const __m512 e = _mm512_maskz_mov_ps(
          first_lanes(seen - at), exp2_of(_mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(s + at), shift), factor)));
      sum = _mm512_add_ps(sum, e);
      store_floats(p + half, e, 16);
    }
  }
  return {scale * largest, _mm512_reduce_add_ps(sum)};
}

/// One head of one sequence.
RADAPT_AVX512 inline void attend(const op::attention_forward<bf16>& o, Index sequence, Index head, char* memory) {
  const TileRegisters registers;
  const Index width = o.y.columns, d = width / o.heads, first = o.sequences.begin(sequence);
  const Index length = o.sequences.length(sequence);
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(d));
  const bf16* const qkv = o.qkv.data + first * 3 * width + head * d;
  const HeadMatrix q{qkv, 3 * width, length, d}, k{qkv + width, 3 * width, length, d};
  const HeadMatrix v{qkv + 2 * width, 3 * width, length, d};
  const ForwardRoom room(memory, length, d);
  const Index t = q.padded_rows(), steps = q.padded_columns() / tile_depth;
  if (head + 1 < o.heads) {
    for (const HeadMatrix& x : {q, k, v}) { ask_for_next_head(x); }
  }
  take_turned(room.keys, k);
  take_right(room.values, v);
  for (Index begin = 0; begin < length; begin += row_block) {
    const Index rows = std::min(row_block, length - begin), keys = o.causal ? begin + rows : length;
    take_left(room.queries, q, begin);
    multiply_row_block(room.scores, t, room.queries, rows, room.keys, keys, d, steps);
    float shares[row_block];
    for (Index r = 0; r < rows; ++r) {  // what is left in other rows may be multiplied and is never read
      const Index seen = o.causal ? begin + r + 1 : length;
      const ExponentialSum e =
          take_exponentials(row_of_left(room.probabilities, r, 0), room.scores + r * t, seen, keys, scale);
      shares[r] = 1.0F / e.sum;
      if (o.log_sum_exp.data != nullptr) { o.log_sum_exp.data[(first + begin + r) * o.heads + head] = e.logarithm(); }
    }
    multiply_row_block(room.sums, v.padded_columns(), room.probabilities, rows, room.values, d, keys, t / tile_depth);
    for (Index r = 0; r < rows; ++r) {
      put_rows(o.y.data + (first + begin + r) * width + head * d, width, room.sums + r * v.padded_columns(), 0, 1, d,
               shares[r]);
    }
  }
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
