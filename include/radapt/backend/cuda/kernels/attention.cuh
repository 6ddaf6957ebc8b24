#pragma once
/// CUDA kernels of op/attention.hpp in f32. A tile of rows stays in shared memory while the other tiles of its sequence
/// pass by: scores exist for a pair of tiles only (FlashAttention, arXiv 2205.14135 and 2307.08691).
///
/// Every sum has one order, which depends on the sizes alone: there is a kernel for the gradient of q, with a block for
/// each tile of queries, and one for those of k and v, with a block for each tile of keys, and no block adds to what
/// another one wrote.
#include <limits>

#include "radapt/backend/cuda/kernels/attention_products.cuh"

namespace radapt {

namespace detail::gpu {

/// Rows of the tile that stays and of those that pass, by width of the head: what fits the 48 KB of a block.
template <unsigned Width, unsigned Rows>
struct AttentionForwardTile {
  static constexpr unsigned rows = Rows, passing = Width <= 112 ? 32 : 16;
};
template <unsigned Width>
struct AttentionBackwardTile {
  static constexpr unsigned rows = 32, passing = Width <= 80 ? 32 : Width <= 112 ? 16 : 8;
};

/// Blocks that share a multiprocessor: the compiler may give a thread 168 registers for 5 of them, and 255 for 4.
template <unsigned Width>
inline constexpr unsigned blocks_of_patches = Width <= 64 ? 5 : 4;

/// y of a tile of queries, keys passing by.
///
/// Flops: 4 T^2 d for a head of d columns and a sequence of T, half of that when causal, tiles on the diagonal whole.
/// Bytes: 12 T d read and 4 T d written, if the k and v of a head stay in the cache that all blocks share while its
/// tiles of queries read them: T / 4 flops a byte. From that cache 8 T d for each tile. Ceiling: device memory up to
/// T = 56 or so, then the f32 rate (H200: 4.8 TB/s and 67 Tflop/s). At two cycles for a load of 16 bytes by each lane,
/// shared memory is asked for 3/4 of the time in q k^T with 64 rows (patches of 8 x 4), all of it with 32, and half or
/// 3/4 of it in p v.
template <class T, unsigned Width, unsigned Rows>
__global__ void __launch_bounds__(patch_threads, blocks_of_patches<Width>)
    attention_forward_kernel(op::attention_forward<T> o, unsigned tiles) {
  using Tile = AttentionForwardTile<Width, Rows>;
  constexpr unsigned stride = Width + tile_padding, r = Tile::rows / patch_grid, c = Tile::passing / patch_grid;
  alignas(16) __shared__ T q[Tile::rows * stride];
  alignas(16) __shared__ T k[Tile::passing * stride];
  alignas(16) __shared__ T v[Tile::passing * stride];
  alignas(16) __shared__ T probabilities[Tile::rows * (Tile::passing + tile_padding)];
  const AttentionTile tile = attention_tile(o.sequences, o.heads, tiles, Tile::rows);
  if (tile.first >= tile.length) { return; }
  const PatchPosition p = PatchPosition::of_this_thread();
  const T scale = T{1} / sqrtf(static_cast<T>(o.y.columns / o.heads));

  load_tile<Tile::rows, Width>(q, tile.rows_of(o.qkv, o.heads, 3, 0), tile.first);
  const auto keys = tile.rows_of(o.qkv, o.heads, 3, 1), values = tile.rows_of(o.qkv, o.heads, 3, 2);
  RowSums<T, r, Width> y{};
  T most[r], sum[r];  // of a row so far: its largest score, and the thread's part of the sum of exponentials
  RADAPT_UNROLL
  for (unsigned i = 0; i < r; ++i) {
    most[i] = -std::numeric_limits<T>::infinity();
    sum[i] = 0;
  }
  const VisibleKeys visible{tile.length, o.causal};
  const unsigned end = visible.end(tile.first + Tile::rows);
  for (unsigned first = 0; first < end; first += Tile::passing) {
    __syncthreads();  // the tiles before these have been read
    load_tile<Tile::passing, Width>(k, keys, first);
    load_tile<Tile::passing, Width>(v, values, first);
    __syncthreads();
    T s[r][c];
    multiply_transposed<Width>(s, q, k, p);
    RADAPT_UNROLL
    for (unsigned i = 0; i < r; ++i) {
      const unsigned row = tile.first + p.row + patch_grid * i;
      T largest = most[i];
      RADAPT_UNROLL
      for (unsigned j = 0; j < c; ++j) {
        const unsigned key = first + p.column + patch_grid * j;
        s[i][j] = visible(row, key) ? s[i][j] * scale : -std::numeric_limits<T>::infinity();
        largest = fmaxf(largest, s[i][j]);
      }
      // Finite: every row sees key 0, which is in the first tile.
      largest = patch_row_max(largest);
      const T shrink = expf(most[i] - largest);
      most[i] = largest;
      sum[i] *= shrink;
      RADAPT_UNROLL
      for (unsigned j = 0; j < c; ++j) {
        s[i][j] = expf(s[i][j] - largest);
        sum[i] += s[i][j];
      }
      RADAPT_UNROLL
      for (auto& pack : y[i]) {
        RADAPT_UNROLL
        for (T& x : pack.x) { x *= shrink; }
      }
    }
    share_patch<Tile::passing>(probabilities, s, p);
    multiply_add<Tile::passing, Width, r>(y, probabilities, v, p);
  }

  RADAPT_UNROLL
  for (unsigned i = 0; i < r; ++i) {
    const T whole = patch_row_sum(sum[i]);
    RADAPT_UNROLL
    for (auto& pack : y[i]) {
      RADAPT_UNROLL
      for (T& x : pack.x) { x /= whole; }
    }
    const unsigned row = tile.first + p.row + patch_grid * i;
    if (o.log_sum_exp.data != nullptr && p.column == 0 && row < tile.length) {
      o.log_sum_exp.data[(tile.begin + row) * o.heads + tile.head] = most[i] + logf(whole);
    }
  }
  store_rows<r, Width>(tile.rows_of(o.y, o.heads), tile.first, y, p);
}

/// The gradient of scaled scores before the scale: p (dp - d) with p = exp(s - log_sum_exp), and zero where a query
/// does not see a key.
template <class T>
struct ScoreGradient {
  T p, ds;
  __device__ ScoreGradient(bool visible, T s, T log_sum_exp, T dp, T d)
      : p(visible ? expf(s - log_sum_exp) : T{0}), ds(p * (dp - d)) {}
};

/// dk and dv of a tile of keys, queries passing by; `d` holds <dy, y> of (rows, heads).
///
/// Flops: 8 T^2 d, half when causal. Bytes: 16 T d read (q, k, v, dy) and 8 T d written, as in forward: T / 3 flops a
/// byte. From the shared cache 8 T d for each tile. Ceiling: device memory up to T = 42 or so, then the f32 rate;
/// shared memory is asked for all of the time in the two products that make scores (patches of 4 x 4), 3/4 in the other
/// two.
template <class T, unsigned Width>
__global__ void __launch_bounds__(patch_threads, blocks_of_patches<Width>)
    attention_backward_key_value_kernel(op::attention_backward<T> o, const T* d, unsigned tiles) {
  using Tile = AttentionBackwardTile<Width>;
  constexpr unsigned stride = Width + tile_padding, r = Tile::rows / patch_grid, c = Tile::passing / patch_grid;
  alignas(16) __shared__ T k[Tile::rows * stride];
  alignas(16) __shared__ T v[Tile::rows * stride];
  alignas(16) __shared__ T q[Tile::passing * stride];
  alignas(16) __shared__ T dy[Tile::passing * stride];
  alignas(16) __shared__ T patches[Tile::rows * (Tile::passing + tile_padding)];
  __shared__ T log_sum_exp[Tile::passing], products[Tile::passing];
  const AttentionTile tile = attention_tile(o.sequences, o.heads, tiles, Tile::rows);
  if (tile.first >= tile.length) { return; }
  const PatchPosition p = PatchPosition::of_this_thread();
  const T scale = T{1} / sqrtf(static_cast<T>(o.y.columns / o.heads));

  load_tile<Tile::rows, Width>(k, tile.rows_of(o.qkv, o.heads, 3, 1), tile.first);
  load_tile<Tile::rows, Width>(v, tile.rows_of(o.qkv, o.heads, 3, 2), tile.first);
  const auto queries = tile.rows_of(o.qkv, o.heads, 3, 0), gradients = tile.rows_of(o.dy, o.heads);
  RowSums<T, r, Width> dk{}, dv{};
  const VisibleKeys visible{tile.length, o.causal};
  // Queries before the first key do not see any; tiles of keys begin where tiles of queries do.
  static_assert(Tile::rows % Tile::passing == 0);
  for (unsigned first = o.causal ? tile.first : 0; first < tile.length; first += Tile::passing) {
    __syncthreads();  // the tiles before these have been read
    load_tile<Tile::passing, Width>(q, queries, first);
    load_tile<Tile::passing, Width>(dy, gradients, first);
    if (threadIdx.x < Tile::passing) {
      const unsigned query = first + threadIdx.x;
      const Index at = (tile.begin + query) * o.heads + tile.head;
      log_sum_exp[threadIdx.x] = query < tile.length ? o.log_sum_exp.data[at] : T{0};
      products[threadIdx.x] = query < tile.length ? d[at] : T{0};
    }
    __syncthreads();
    T s[r][c], dp[r][c];
    multiply_transposed<Width>(s, k, q, p);
    multiply_transposed<Width>(dp, v, dy, p);
    RADAPT_UNROLL
    for (unsigned i = 0; i < r; ++i) {
      const unsigned key = tile.first + p.row + patch_grid * i;
      RADAPT_UNROLL
      for (unsigned j = 0; j < c; ++j) {
        const unsigned column = p.column + patch_grid * j, query = first + column;
        const ScoreGradient<T> score(visible(query, key), s[i][j] * scale, log_sum_exp[column], dp[i][j],
                                     products[column]);
        s[i][j] = score.p;
        dp[i][j] = score.ds;
      }
    }
    share_patch<Tile::passing>(patches, s, p);
    multiply_add<Tile::passing, Width, r>(dv, patches, dy, p);
    share_patch<Tile::passing>(patches, dp, p);
    multiply_add<Tile::passing, Width, r>(dk, patches, q, p);
  }
  RADAPT_UNROLL
  for (auto& row : dk) {
    RADAPT_UNROLL
    for (auto& pack : row) {
      RADAPT_UNROLL
      for (T& x : pack.x) { x *= scale; }
    }
  }
  store_rows<r, Width>(tile.rows_of(o.dqkv, o.heads, 3, 1), tile.first, dk, p);
  store_rows<r, Width>(tile.rows_of(o.dqkv, o.heads, 3, 2), tile.first, dv, p);
}

/// dq of a tile of queries, keys passing by.
///
/// Flops: 6 T^2 d, half when causal. Bytes: 16 T d read and 4 T d written: 0.3 T flops a byte. Ceiling: as above.
template <class T, unsigned Width>
__global__ void __launch_bounds__(patch_threads, blocks_of_patches<Width>)
    attention_backward_query_kernel(op::attention_backward<T> o, const T* d, unsigned tiles) {
  using Tile = AttentionBackwardTile<Width>;
  constexpr unsigned stride = Width + tile_padding, r = Tile::rows / patch_grid, c = Tile::passing / patch_grid;
  alignas(16) __shared__ T q[Tile::rows * stride];
  alignas(16) __shared__ T dy[Tile::rows * stride];
  alignas(16) __shared__ T k[Tile::passing * stride];
  alignas(16) __shared__ T v[Tile::passing * stride];
  alignas(16) __shared__ T patches[Tile::rows * (Tile::passing + tile_padding)];
  const AttentionTile tile = attention_tile(o.sequences, o.heads, tiles, Tile::rows);
  if (tile.first >= tile.length) { return; }
  const PatchPosition p = PatchPosition::of_this_thread();
  const T scale = T{1} / sqrtf(static_cast<T>(o.y.columns / o.heads));

  load_tile<Tile::rows, Width>(q, tile.rows_of(o.qkv, o.heads, 3, 0), tile.first);
  load_tile<Tile::rows, Width>(dy, tile.rows_of(o.dy, o.heads), tile.first);
  const auto keys = tile.rows_of(o.qkv, o.heads, 3, 1), values = tile.rows_of(o.qkv, o.heads, 3, 2);
  RowSums<T, r, Width> dq{};
  T log_sum_exp[r], products[r];
  RADAPT_UNROLL
  for (unsigned i = 0; i < r; ++i) {
    const unsigned query = tile.first + p.row + patch_grid * i;
    const Index at = (tile.begin + query) * o.heads + tile.head;
    log_sum_exp[i] = query < tile.length ? o.log_sum_exp.data[at] : T{0};
    products[i] = query < tile.length ? d[at] : T{0};
  }
  const VisibleKeys visible{tile.length, o.causal};
  const unsigned end = visible.end(tile.first + Tile::rows);
  for (unsigned first = 0; first < end; first += Tile::passing) {
    __syncthreads();  // the tiles before these have been read
    load_tile<Tile::passing, Width>(k, keys, first);
    load_tile<Tile::passing, Width>(v, values, first);
    __syncthreads();
    T s[r][c], dp[r][c];
    multiply_transposed<Width>(s, q, k, p);
    multiply_transposed<Width>(dp, dy, v, p);
    RADAPT_UNROLL
    for (unsigned i = 0; i < r; ++i) {
      const unsigned query = tile.first + p.row + patch_grid * i;
      RADAPT_UNROLL
      for (unsigned j = 0; j < c; ++j) {
        const unsigned key = first + p.column + patch_grid * j;
        dp[i][j] = ScoreGradient<T>(visible(query, key), s[i][j] * scale, log_sum_exp[i], dp[i][j], products[i]).ds;
      }
    }
    share_patch<Tile::passing>(patches, dp, p);
    multiply_add<Tile::passing, Width, r>(dq, patches, k, p);
  }
  RADAPT_UNROLL
  for (auto& row : dq) {
    RADAPT_UNROLL
    for (auto& pack : row) {
      RADAPT_UNROLL
      for (T& x : pack.x) { x *= scale; }
    }
  }
  store_rows<r, Width>(tile.rows_of(o.dqkv, o.heads, 3, 0), tile.first, dq, p);
}

}  // namespace detail::gpu

template <std::same_as<float> T>
void launch(cuda& backend, const op::attention_forward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  with_head_width(o.name, o.y.columns / o.heads, [&]<unsigned Width> {
    const auto run = [&]<unsigned Rows> {
      const unsigned tiles = attention_tiles(o.sequences, Rows);
      call.run(o.name, attention_blocks(tiles, o.heads, o.sequences.count), patch_threads,
               attention_forward_kernel<T, Width, Rows>, on_device(call, o), tiles);
    };
    // More rows share what is read, but captions are short, and above the diagonal there is less to skip.
    if constexpr (Width <= 64) {
      if (!o.causal && o.sequences.longest() > 32) { return run.template operator()<64>(); }
    }
    run.template operator()<32>();
  });
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::attention_backward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  with_head_width(o.name, o.y.columns / o.heads, [&]<unsigned Width> {
    const unsigned tiles = attention_tiles(o.sequences, AttentionBackwardTile<Width>::rows);
    const op::attention_backward<T> here = on_device(call, o);
    const T* const d = attention_row_products(call, here);
    const dim3 blocks = attention_blocks(tiles, o.heads, o.sequences.count);
    call.run(o.name, blocks, patch_threads, attention_backward_key_value_kernel<T, Width>, here, d, tiles);
    call.run(o.name, blocks, patch_threads, attention_backward_query_kernel<T, Width>, here, d, tiles);
  });
  call.done();
}

}  // namespace radapt
