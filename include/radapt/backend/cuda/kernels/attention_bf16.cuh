#pragma once
/// CUDA kernels of op/attention.hpp on bf16, on the tensor cores: probabilities and their gradients are rounded to be
/// factors of the next product; sums, softmax and its statistics are f32.
///
/// A block of four warps works on a tile of 64 rows, of which each warp owns 16. These rows stay in registers as left
/// factors. The other rows of the sequence pass by in shared memory, 64 at a time. What a product of two tiles gives is
/// laid out as a left factor is, so probabilities go from one product to the next without leaving the registers
/// (FlashAttention-2, arXiv 2307.08691). Every sum has one order, which depends on the sizes alone.
#include <limits>

#include "radapt/backend/cuda/kernels/attention_bf16_products.cuh"

namespace radapt {

namespace detail::gpu {

namespace attention_bf16 {

/// Blocks that share a multiprocessor: 128, 168 or 255 registers for a thread.
template <unsigned Width>
inline constexpr unsigned blocks_of = Width <= 32   ? 4
                                      : Width <= 64 ? 3
                                                    : 2;
/// In the kernel of dq, which has one sum less.
template <unsigned Width>
inline constexpr unsigned blocks_of_queries = Width <= 64 ? 4 : 2;

/// Scores are kept in units that 2^x undoes: one instruction, where e^x takes several.
inline constexpr float log2_of_e = 1.44269504F, log_of_2 = 0.693147181F;
__device__ inline float score_scale(Index head_width) { return log2_of_e / sqrtf(static_cast<float>(head_width)); }

/// Behind the last key that the warp's queries see; a warp behind the end of the sequence sees none.
__device__ inline unsigned end_for_warp(const VisibleKeys& visible, unsigned warp_first) {
  return warp_first < visible.length ? visible.end(warp_first + side) : 0;
}

/// Over the four lanes of a row, which get it all.
__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(whole_warp, x, 1);
  return x + __shfl_xor_sync(whole_warp, x, 2);
}
__device__ inline float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(whole_warp, x, 1));
  return fmaxf(x, __shfl_xor_sync(whole_warp, x, 2));
}

/// y of a tile of queries, keys passing by.
///
/// Flops: 4 T^2 d for a head of d columns and a sequence of T, half of that when causal. Bytes: 6 T d read and 2 T d
/// written, if the k and v of a head stay in the cache that all blocks share: T / 2 flops a byte. From that cache 4 T d
/// for each tile of 64 queries: 64 flops a byte. Ceiling on an H200: device memory (4.8 TB/s) up to T = 150 or so, then
/// the cache (some 5.5 TB/s, 350 Tflop/s). Shared memory would do 470 Tflop/s: a product of 16 x 16 by 16 x 16 reads
/// 512 bytes.
template <unsigned Width>
__global__ void __launch_bounds__(threads, blocks_of<Width>)
    forward_kernel(op::attention_forward<bf16> o, unsigned tiles) {
  constexpr unsigned pieces = Width / side, groups = tile_rows / side;
  alignas(16) __shared__ std::uint32_t k[tile_words<Width>];
  alignas(16) __shared__ std::uint32_t v[tile_words<Width>];
  const AttentionTile tile = attention_tile(o.sequences, o.heads, tiles, tile_rows);
  if (tile.first >= tile.length) { return; }
  const Lane lane = Lane::of_this_thread();
  const unsigned warp_first = tile.first + threadIdx.x / warp_size * side;
  const float scale = score_scale(o.y.columns / o.heads);

  load_tile<Width>(k, tile.rows_of(o.qkv, o.heads, 3, 0), tile.first);
  __syncthreads();
  Left q[pieces];
  take_left<Width>(q, k);
  const auto keys = tile.rows_of(o.qkv, o.heads, 3, 1), values = tile.rows_of(o.qkv, o.heads, 3, 2);
  Sum y[pieces] = {};
  constexpr float least = -std::numeric_limits<float>::infinity();
  float most[2] = {least, least}, sum[2] = {};  // of a row so far; the lane's part of the sum of exponentials
  const VisibleKeys visible{tile.length, o.causal};
  const unsigned end = visible.end(tile.first + tile_rows), warp_end = end_for_warp(visible, warp_first);
  for (unsigned first = 0; first < end; first += tile_rows) {
    __syncthreads();  // the tiles before these have been read
    load_tile<Width>(k, keys, first);
    load_tile<Width>(v, values, first);
    __syncthreads();
    if (first >= warp_end) { continue; }
    Sum s[groups] = {};
    RADAPT_UNROLL
    for (unsigned n = 0; n < groups; ++n) {
      if (first + n * side >= warp_end) { continue; }
      RADAPT_UNROLL
      for (unsigned i = 0; i < pieces; ++i) {
        accumulate_transposed<Width>(s[n], q[i], k + n * side * row_words<Width> + i * side / 2);
      }
    }
    RADAPT_UNROLL
    for (unsigned h = 0; h < 2; ++h) {
      float largest = most[h];
      RADAPT_UNROLL
      for (unsigned i = 0; i < 4 * groups; ++i) {
        const unsigned n = i / 2 % 2, e = i % 2;
        float& x = s[i / 4].x[n][2 * h + e];
        const bool seen = visible(warp_first + lane.row(h), first + i / 4 * side + lane.column(n) + e);
        x = seen ? x * scale : least;
        largest = fmaxf(largest, x);
      }
      // Finite: every row sees key 0, which is in the first tile.
      largest = row_max(largest);
      const float shrink = exp2f(most[h] - largest);
      most[h] = largest;
      sum[h] *= shrink;
      RADAPT_UNROLL
      for (unsigned i = 0; i < 4 * groups; ++i) {
        float& x = s[i / 4].x[i / 2 % 2][2 * h + i % 2];
        x = exp2f(x - largest);
        sum[h] += x;
      }
      RADAPT_UNROLL
      for (unsigned i = 0; i < 4 * pieces; ++i) { y[i / 4].x[i / 2 % 2][2 * h + i % 2] *= shrink; }
    }
    __syncwarp();  // lanes have seen different keys, and what follows takes whole warps
    RADAPT_UNROLL
    for (unsigned n = 0; n < groups; ++n) {
      if (first + n * side >= warp_end) { continue; }
      const Left p = left_of(s[n]);
      RADAPT_UNROLL
      for (unsigned i = 0; i < pieces; ++i) {
        accumulate<Width>(y[i], p, v + n * side * row_words<Width> + i * side / 2);
      }
    }
  }

  float factor[2];
  RADAPT_UNROLL
  for (unsigned h = 0; h < 2; ++h) {
    const float whole = row_sum(sum[h]);
    factor[h] = 1 / whole;
    const unsigned row = warp_first + lane.row(h);
    if (o.log_sum_exp.data != nullptr && lane.t == 0 && row < tile.length) {
      o.log_sum_exp.data[(tile.begin + row) * o.heads + tile.head] = most[h] * log_of_2 + logf(whole);
    }
  }
  store_rows<Width>(tile.rows_of(o.y, o.heads), warp_first, y, factor);
}

/// p = 2^(s scale - log_sum) and ds = p (dp - d) of one score, in the places of s and dp.
__device__ inline void differentiate_score(bool seen, float& s, float& dp, float scale, float log_sum, float d) {
  s = seen ? exp2f(s * scale - log_sum) : 0.0F;
  dp = s * (dp - d);
}

/// dk and dv of a tile of keys, queries passing by; `d` holds <dy, y> of (rows, heads).
///
/// Flops: 8 T^2 d, half when causal. Bytes: 8 T d read (q, k, v, dy) and 4 T d written: 2 T / 3 flops a byte; from the
/// shared cache 4 T d for each tile, 128 flops a byte. Ceiling: device memory up to T = 150 or so, then shared memory.
template <unsigned Width>
__global__ void __launch_bounds__(threads, blocks_of<Width>)
    backward_key_value_kernel(op::attention_backward<bf16> o, const float* d, unsigned tiles) {
  constexpr unsigned pieces = Width / side;
  alignas(16) __shared__ std::uint32_t q[tile_words<Width>];
  alignas(16) __shared__ std::uint32_t dy[tile_words<Width>];
  __shared__ float log_sums[tile_rows], products[tile_rows];
  const AttentionTile tile = attention_tile(o.sequences, o.heads, tiles, tile_rows);
  if (tile.first >= tile.length) { return; }
  const Lane lane = Lane::of_this_thread();
  const unsigned warp_first = tile.first + threadIdx.x / warp_size * side;
  const Index head_width = o.y.columns / o.heads;
  const float scale = score_scale(head_width);

  load_tile<Width>(q, tile.rows_of(o.qkv, o.heads, 3, 1), tile.first);
  load_tile<Width>(dy, tile.rows_of(o.qkv, o.heads, 3, 2), tile.first);
  __syncthreads();
  Left k[pieces], v[pieces];
  take_left<Width>(k, q);
  take_left<Width>(v, dy);
  const auto queries = tile.rows_of(o.qkv, o.heads, 3, 0), gradients = tile.rows_of(o.dy, o.heads);
  Sum dk[pieces] = {}, dv[pieces] = {};
  const VisibleKeys visible{tile.length, o.causal};
  for (unsigned first = o.causal ? tile.first : 0; first < tile.length; first += tile_rows) {
    __syncthreads();  // the tiles before these have been read
    load_tile<Width>(q, queries, first);
    load_tile<Width>(dy, gradients, first);
    if (threadIdx.x < tile_rows) {
      const unsigned query = first + threadIdx.x;
      const Index at = (tile.begin + query) * o.heads + tile.head;
      log_sums[threadIdx.x] = query < tile.length ? o.log_sum_exp.data[at] * log2_of_e : 0.0F;
      products[threadIdx.x] = query < tile.length ? d[at] : 0.0F;
    }
    __syncthreads();
    if (warp_first >= tile.length) { continue; }
    RADAPT_KEEP_LOOP
    for (unsigned group = 0; group < tile_rows && first + group < tile.length; group += side) {
      if (o.causal && first + group + side <= warp_first) { continue; }  // no query of the group sees a key
      const std::uint32_t* const q_rows = q + group * row_words<Width>;
      const std::uint32_t* const dy_rows = dy + group * row_words<Width>;
      Sum s = {}, dp = {};
      RADAPT_UNROLL
      for (unsigned i = 0; i < pieces; ++i) {
        accumulate_transposed<Width>(s, k[i], q_rows + i * side / 2);
        accumulate_transposed<Width>(dp, v[i], dy_rows + i * side / 2);
      }
      RADAPT_UNROLL
      for (unsigned i = 0; i < 8; ++i) {
        const unsigned n = i / 4, h = i / 2 % 2, column = group + lane.column(n) + i % 2;
        differentiate_score(visible(first + column, warp_first + lane.row(h)), s.x[n][i % 4], dp.x[n][i % 4], scale,
                            log_sums[column], products[column]);
      }
      if constexpr (Width < 128) { __syncwarp(); }  // there it would be one register too many
      const Left p = left_of(s), ds = left_of(dp);
      RADAPT_UNROLL
      for (unsigned i = 0; i < pieces; ++i) {
        accumulate<Width>(dv[i], p, dy_rows + i * side / 2);
        accumulate<Width>(dk[i], ds, q_rows + i * side / 2);
      }
    }
  }
  const float of_score = 1 / sqrtf(static_cast<float>(head_width));
  store_rows<Width>(tile.rows_of(o.dqkv, o.heads, 3, 1), warp_first, dk, {of_score, of_score});
  store_rows<Width>(tile.rows_of(o.dqkv, o.heads, 3, 2), warp_first, dv, {1.0F, 1.0F});
}

/// dq of a tile of queries, keys passing by.
///
/// Flops: 6 T^2 d, half when causal. Bytes: 8 T d read and 2 T d written: 0.6 T flops a byte; from the shared cache
/// 4 T d for each tile, 96 flops a byte. Ceiling: as above.
template <unsigned Width>
__global__ void __launch_bounds__(threads, blocks_of_queries<Width>)
    backward_query_kernel(op::attention_backward<bf16> o, const float* d, unsigned tiles) {
  constexpr unsigned pieces = Width / side;
  alignas(16) __shared__ std::uint32_t k[tile_words<Width>];
  alignas(16) __shared__ std::uint32_t v[tile_words<Width>];
  const AttentionTile tile = attention_tile(o.sequences, o.heads, tiles, tile_rows);
  if (tile.first >= tile.length) { return; }
  const Lane lane = Lane::of_this_thread();
  const unsigned warp_first = tile.first + threadIdx.x / warp_size * side;
  const Index head_width = o.y.columns / o.heads;
  const float scale = score_scale(head_width);

  load_tile<Width>(k, tile.rows_of(o.qkv, o.heads, 3, 0), tile.first);
  load_tile<Width>(v, tile.rows_of(o.dy, o.heads), tile.first);
  __syncthreads();
  Left q[pieces], dy[pieces];
  take_left<Width>(q, k);
  take_left<Width>(dy, v);
  const auto keys = tile.rows_of(o.qkv, o.heads, 3, 1), values = tile.rows_of(o.qkv, o.heads, 3, 2);
  Sum dq[pieces] = {};
  float log_sums[2], products[2];
  RADAPT_UNROLL
  for (unsigned h = 0; h < 2; ++h) {
    const unsigned query = warp_first + lane.row(h);
    const Index at = (tile.begin + query) * o.heads + tile.head;
    log_sums[h] = query < tile.length ? o.log_sum_exp.data[at] * log2_of_e : 0.0F;
    products[h] = query < tile.length ? d[at] : 0.0F;
  }
  const VisibleKeys visible{tile.length, o.causal};
  const unsigned end = visible.end(tile.first + tile_rows), warp_end = end_for_warp(visible, warp_first);
  for (unsigned first = 0; first < end; first += tile_rows) {
    __syncthreads();  // the tiles before these have been read
    load_tile<Width>(k, keys, first);
    load_tile<Width>(v, values, first);
    __syncthreads();
    RADAPT_KEEP_LOOP
    for (unsigned group = 0; group < tile_rows && first + group < warp_end; group += side) {
      const std::uint32_t* const k_rows = k + group * row_words<Width>;
      const std::uint32_t* const v_rows = v + group * row_words<Width>;
      Sum s = {}, dp = {};
      RADAPT_UNROLL
      for (unsigned i = 0; i < pieces; ++i) {
        accumulate_transposed<Width>(s, q[i], k_rows + i * side / 2);
        accumulate_transposed<Width>(dp, dy[i], v_rows + i * side / 2);
      }
      RADAPT_UNROLL
      for (unsigned i = 0; i < 8; ++i) {
        const unsigned n = i / 4, h = i / 2 % 2;
        const bool seen = visible(warp_first + lane.row(h), first + group + lane.column(n) + i % 2);
        differentiate_score(seen, s.x[n][i % 4], dp.x[n][i % 4], scale, log_sums[h], products[h]);
      }
      __syncwarp();
      const Left ds = left_of(dp);
      RADAPT_UNROLL
      for (unsigned i = 0; i < pieces; ++i) { accumulate<Width>(dq[i], ds, k_rows + i * side / 2); }
    }
  }
  const float of_score = 1 / sqrtf(static_cast<float>(head_width));
  store_rows<Width>(tile.rows_of(o.dqkv, o.heads, 3, 0), warp_first, dq, {of_score, of_score});
}

}  // namespace attention_bf16

}  // namespace detail::gpu

template <std::same_as<bf16> T>
void launch(cuda_bf16& backend, const op::attention_forward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  with_head_width(o.name, o.y.columns / o.heads, [&]<unsigned Width> {
    const unsigned tiles = attention_tiles(o.sequences, attention_bf16::tile_rows);
    call.run(o.name, attention_blocks(tiles, o.heads, o.sequences.count), attention_bf16::threads,
             attention_bf16::forward_kernel<Width>, on_device(call, o), tiles);
  });
  call.done();
}

template <std::same_as<bf16> T>
void launch(cuda_bf16& backend, const op::attention_backward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  with_head_width(o.name, o.y.columns / o.heads, [&]<unsigned Width> {
    const unsigned tiles = attention_tiles(o.sequences, attention_bf16::tile_rows);
    const op::attention_backward<T> here = on_device(call, o);
    const float* const d = attention_row_products(call, here);
    const dim3 blocks = attention_blocks(tiles, o.heads, o.sequences.count);
    call.run(o.name, blocks, attention_bf16::threads, attention_bf16::backward_key_value_kernel<Width>, here, d, tiles);
    call.run(o.name, blocks, attention_bf16::threads, attention_bf16::backward_query_kernel<Width>, here, d, tiles);
  });
  call.done();
}

}  // namespace radapt
