#pragma once
/// Matrix products on the tensor cores: factors in memory are f32 and are rounded to bf16 on the way in, sums are f32.
///
/// Tiles of 128 x 128, 32 deep; each of 8 warps owns 32 x 64 of the result in registers. The next tiles are on their
/// way from memory, packed to bf16 in registers, while the warps multiply. A tile reads 2 x 128 x 32 x 4 bytes for 2 x
/// 128 x 128 x 32 flops, 32 flops a byte: the ceiling is the rate of the L2 cache, some 5.5 TB/s on an H200, before it
/// is that of the tensor cores.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/matrix_product.cuh"
#include "radapt/backend/cuda/kernels/tensor_core.cuh"

namespace radapt::detail::gpu {

namespace product_bf16 {

/// Extents and positions inside a kernel take half the registers that Index would.
using Position = unsigned;
inline constexpr unsigned threads = 256;
inline constexpr Position tile = 128, depth = 32;
/// Words of two bf16 in a row of a tile in shared memory; four of padding put the rows that a fragment reads into
/// different banks.
inline constexpr Position row_words = depth / 2 + 4;
/// Words of a tile that one thread loads.
inline constexpr Position words = tile * (depth / 2) / threads;

/// Parts of a sum over very many rows that run side by side, see `parts_of`.
struct Parts {
  Index count = 1, inner = 0;  ///< each has that many rows of the sum
  float* sums = nullptr;       ///< (count, rows, columns), where there are several
};

/// Four neighbours x[at .. at + 3], 0 from `end` on. `aligned` says that x + at may be read at once.
__device__ __forceinline__ float4 load_four(const float* x, Position at, Position end, bool aligned) {
  if (at + 4 <= end && aligned) { return *reinterpret_cast<const float4*>(x + at); }
  float4 four{0, 0, 0, 0};
  if (at < end) { four.x = x[at]; }
  if (at + 1 < end) { four.y = x[at + 1]; }
  if (at + 2 < end) { four.z = x[at + 2]; }
  if (at + 3 < end) { four.w = x[at + 3]; }
  return four;
}

/// This thread's words of the tile whose element (m, k) is (first_row + m, first_inner + k) of a matrix, 0 outside of
/// it. `keeps`, null but for a matrix that is read transposed, says which k are not 0.
template <bool Transposed>
__device__ __forceinline__ void load_words(std::uint32_t (&packed)[words], const float* x, Index stride, bool aligned,
                                           Position first_row, Position rows, Position first_inner, Position end_inner,
                                           const bool* keeps) {
  RADAPT_UNROLL
  for (Position j = 0; j < words; j += Transposed ? 4 : 2) {
    if constexpr (Transposed) {  // four rows of the tile, two neighbours each
      const Position k = threadIdx.x % (depth / 2) * 2, m = (threadIdx.x / (depth / 2) + j / 4 * (threads / 16)) * 4;
      float4 even{0, 0, 0, 0}, odd{0, 0, 0, 0};
      const Position at = first_inner + k;
      if (at < end_inner && (keeps == nullptr || keeps[k])) {
        even = load_four(x + Index{at} * stride, first_row + m, rows, aligned);
      }
      if (at + 1 < end_inner && (keeps == nullptr || keeps[k + 1])) {
        odd = load_four(x + Index{at + 1} * stride, first_row + m, rows, aligned);
      }
      packed[j] = pack_bf16(even.x, odd.x);
      packed[j + 1] = pack_bf16(even.y, odd.y);
      packed[j + 2] = pack_bf16(even.z, odd.z);
      packed[j + 3] = pack_bf16(even.w, odd.w);
    } else {  // four neighbours in a row of the tile
      const Position k = threadIdx.x % (depth / 4) * 4, m = threadIdx.x / (depth / 4) + j / 2 * (threads / 8);
      float4 four{0, 0, 0, 0};
      if (first_row + m < rows) {
        four = load_four(x + Index{first_row + m} * stride, first_inner + k, end_inner, aligned);
      }
      packed[j] = pack_bf16(four.x, four.y);
      packed[j + 1] = pack_bf16(four.z, four.w);
    }
  }
}

/// Puts them in their places.
template <bool Transposed>
__device__ __forceinline__ void store_words(std::uint32_t* into, const std::uint32_t (&packed)[words]) {
  RADAPT_UNROLL
  for (Position j = 0; j < words; j += Transposed ? 4 : 2) {
    if constexpr (Transposed) {
      const Position k = threadIdx.x % (depth / 2), m = (threadIdx.x / (depth / 2) + j / 4 * (threads / 16)) * 4;
      RADAPT_UNROLL
      for (Position i = 0; i < 4; ++i) { into[(m + i) * row_words + k] = packed[j + i]; }
    } else {
      const Position k = threadIdx.x % (depth / 4) * 2, m = threadIdx.x / (depth / 4) + j / 2 * (threads / 8);
      into[m * row_words + k] = packed[j];
      into[m * row_words + k + 1] = packed[j + 1];
    }
  }
}

template <bool TransposedA, bool TransposedB>
__global__ void __launch_bounds__(threads) kernel(Product p, Parts parts, bool a_aligned, bool b_aligned) {
  __shared__ std::uint32_t a_tile[tile * row_words], b_tile[tile * row_words];
  __shared__ bool keeps[tile];
  const Position first_row = blockIdx.y * tile, first_column = blockIdx.x * tile;
  const Position rows = static_cast<Position>(p.rows), columns = static_cast<Position>(p.columns);
  const Position begin = blockIdx.z * static_cast<Position>(parts.inner);
  const Position whole = static_cast<Position>(p.inner), here = begin + static_cast<Position>(parts.inner);
  const Position end = here < whole ? here : whole;
  const bool masked_rows = !p.kept.keeps_all() && !p.kept_inner;
  const bool masked_inner = TransposedA && !p.kept.keeps_all() && p.kept_inner;
  if (masked_rows) {
    bool any = false;
    if (threadIdx.x < tile) {
      any = first_row + threadIdx.x < rows && keeps_row(p.kept, first_row + threadIdx.x);
      keeps[threadIdx.x] = any;
    }
    if (block_sum<threads>(any ? 1 : 0) == 0) { return; }
  }

  const unsigned warp = threadIdx.x / warp_size, g = threadIdx.x % warp_size / 4, t = threadIdx.x % 4;
  const Position warp_row = warp / 2 * 32, warp_column = warp % 2 * 64;
  float sums[2][8][4] = {};
  std::uint32_t a_words[words], b_words[words];
  // Which rows of the sum a mask keeps is looked up for the tile that is about to be loaded.
  const auto load = [&](Position k0) {
    if (masked_inner) {
      __syncthreads();
      if (threadIdx.x < depth) { keeps[threadIdx.x] = k0 + threadIdx.x < end && keeps_row(p.kept, k0 + threadIdx.x); }
      __syncthreads();
    }
    // Only sums over tokens have a mask there, and both factors of a weight's gradient are read transposed.
    const bool* const kept_here = TransposedA && masked_inner ? keeps : nullptr;
    load_words<TransposedA>(a_words, p.a, p.a_stride, a_aligned, first_row, rows, k0, end, kept_here);
    load_words<!TransposedB>(b_words, p.b, p.b_stride, b_aligned, first_column, columns, k0, end, nullptr);
  };
  load(begin);
  for (Position k0 = begin; k0 < end; k0 += depth) {
    __syncthreads();
    store_words<TransposedA>(a_tile, a_words);
    store_words<!TransposedB>(b_tile, b_words);
    __syncthreads();
    if (k0 + depth < end) { load(k0 + depth); }
    RADAPT_UNROLL
    for (Position k = 0; k < depth / 2; k += 8) {
      std::uint32_t a[2][4], b[2];
      RADAPT_UNROLL
      for (Position i = 0; i < 2; ++i) {
        const std::uint32_t* const row = a_tile + (warp_row + i * 16 + g) * row_words + k + t;
        a[i][0] = row[0];
        a[i][1] = row[8 * row_words];
        a[i][2] = row[4];
        a[i][3] = row[8 * row_words + 4];
      }
      RADAPT_UNROLL
      for (Position j = 0; j < 8; ++j) {
        const std::uint32_t* const column = b_tile + (warp_column + j * 8 + g) * row_words + k + t;
        b[0] = column[0];
        b[1] = column[4];
        multiply_accumulate(sums[0][j], a[0], b);
        multiply_accumulate(sums[1][j], a[1], b);
      }
    }
  }

  const bool partial = parts.count > 1;
  const float coefficient = partial ? 1.0F : coefficient_of(p);
  float* const c = partial ? parts.sums + Index{blockIdx.z} * p.rows * p.columns : p.c;
  const Index stride = partial ? p.columns : p.c_stride;
  RADAPT_UNROLL
  for (Position i = 0; i < 2; ++i) {
    RADAPT_UNROLL
    for (Position half = 0; half < 2; ++half) {
      const Position m = warp_row + i * 16 + g + half * 8, row = first_row + m;
      if (row >= rows || (masked_rows && !keeps[m])) { continue; }
      RADAPT_UNROLL
      for (Position j = 0; j < 8; ++j) {
        RADAPT_UNROLL
        for (Position n = 0; n < 2; ++n) {
          const Position column = first_column + warp_column + j * 8 + t * 2 + n;
          if (column >= columns) { continue; }
          const float value = coefficient * sums[i][j][half * 2 + n];
          float& to = c[Index{row} * stride + column];
          if (!partial && p.accumulate) {
            to += value;
          } else {
            to = partial || p.bias == nullptr ? value : value + p.bias[column];
          }
        }
      }
    }
  }
}

/// c = or += coefficient times the sum of the parts, in their order.
struct AddParts {
  Product p;
  Parts parts;
  __device__ void operator()(Index i) const {
    float sum = 0;
    for (Index part = 0; part < parts.count; ++part) { sum += parts.sums[part * p.rows * p.columns + i]; }
    const float value = coefficient_of(p) * sum;
    float& c = p.c[i / p.columns * p.c_stride + i % p.columns];
    c = p.accumulate ? c + value : value;
  }
};

/// A weight's gradient has few tiles and sums over all tokens: cut so that there are blocks for every processor of the
/// largest GPUs, twice, with at least 16 tiles in a part. A function of the extents alone, as the result's bits are.
inline Parts parts_of(Call& call, const Product& p) {
  constexpr Index wanted = 264, least = 16 * depth;
  const Index tiles = ((p.rows + tile - 1) / tile) * ((p.columns + tile - 1) / tile);
  Parts parts{.count = 1, .inner = p.inner, .sums = nullptr};
  if (!p.kept_inner || tiles >= wanted || p.inner < 2 * least) { return parts; }
  const Index most = p.inner / least, ideal = (wanted + tiles - 1) / tiles;
  const Index count = ideal < most ? ideal : most;
  parts.inner = ((p.inner + count - 1) / count + depth - 1) / depth * depth;
  parts.count = (p.inner + parts.inner - 1) / parts.inner;
  parts.sums = call.workspace<float>(parts.count * p.rows * p.columns);
  return parts;
}

}  // namespace product_bf16

/// Runs a product with its factors rounded to bf16.
inline void multiply_bf16(Call& call, const char* name, const Product& p) {
  using namespace product_bf16;
  constexpr Index most_rows = Index{65535} * tile;
  if (p.rows == 0 || p.columns == 0) { return; }
  if (p.rows > most_rows) {
    fail({.what = std::string("cuda_bf16: ") + name,
          .expected = "at most " + std::to_string(most_rows) + " rows",
          .got = std::to_string(p.rows),
          .hint = "Take smaller micro-batches"});
  }
  const Parts parts = parts_of(call, p);
  const dim3 blocks(static_cast<unsigned>((p.columns + tile - 1) / tile),
                    static_cast<unsigned>((p.rows + tile - 1) / tile), static_cast<unsigned>(parts.count));
  const auto aligned = [](const float* x, Index stride) {
    return reinterpret_cast<std::uintptr_t>(x) % sizeof(float4) == 0 && stride % 4 == 0;
  };
  with_form(p.form, [&]<bool TransposedA, bool TransposedB>() {
    call.run(name, blocks, threads, kernel<TransposedA, TransposedB>, p, parts, aligned(p.a, p.a_stride),
             aligned(p.b, p.b_stride));
  });
  if (parts.count > 1) { map(call, name, p.rows * p.columns, AddParts{p, parts}); }
}

}  // namespace radapt::detail::gpu
