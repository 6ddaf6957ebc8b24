#pragma once
/// The two matrix products of attention in f32, on tiles in shared memory.
///
/// 64 threads stand in a grid of 8 x 8. A thread computes rows `row` + 8 i and columns `column` + 8 j of a product in
/// registers, from packs of four elements: 4 + 4 loads for 64 multiply-adds of a patch of 4 x 4. Tiles have four more
/// columns than they need, so that rows begin four banks apart. Lanes that differ in their lowest bit differ in row
/// alone: shared memory serves two such lanes that read one address at once.
#include "radapt/backend/cuda/kernels/attention_rows.cuh"

namespace radapt::detail::gpu {

inline constexpr unsigned patch_grid = 8, patch_threads = patch_grid * patch_grid, tile_padding = 4;

/// Where a thread stands. The 8 threads of a row are in one warp, and no other warp sees that row.
struct PatchPosition {
  unsigned row, column;
  __device__ static PatchPosition of_this_thread() {
    const unsigned lane = threadIdx.x % warp_size, warp = threadIdx.x / warp_size;
    // Rows of a warp are two apart: 8 banks, so that a column of 8 lanes does not meet the next row's.
    return {2 * (lane % 2 + lane / 16 * 2) + warp, lane / 2 % patch_grid};
  }
};
/// Over the 8 threads of a row, which get it all.
template <class T>
__device__ T patch_row_sum(T x) {
  for (unsigned distance = 2; distance < 16; distance *= 2) { x += __shfl_xor_sync(whole_warp, x, distance); }
  return x;
}
__device__ inline float patch_row_max(float x) {
  for (unsigned distance = 2; distance < 16; distance *= 2) { x = fmaxf(x, __shfl_xor_sync(whole_warp, x, distance)); }
  return x;
}

/// Columns of a product that a thread holds: packs of `pack` neighbours, 8 packs apart.
template <unsigned Width>
struct PatchColumns {
  static constexpr unsigned pack = Width % (4 * patch_grid) == 0 ? 4 : 2, count = Width / (pack * patch_grid);
  static_assert(Width % (pack * patch_grid) == 0);
  __device__ static unsigned at(unsigned column, unsigned i) { return (column + patch_grid * i) * pack; }
};
template <class T, unsigned Rows, unsigned Width>
using RowSums = Pack<T, PatchColumns<Width>::pack>[Rows][PatchColumns<Width>::count];

/// Rows `first` .. of a head into a tile of Rows x (Width + padding); zeros where the head has no element.
template <unsigned Rows, unsigned Width, class T>
__device__ void load_tile(T* tile, const HeadRows<const T>& head, unsigned first) {
  constexpr unsigned stride = Width + tile_padding;
  if (!head.template in_packs<4>()) {
    for (unsigned at = threadIdx.x; at < Rows * Width; at += patch_threads) {
      tile[at / Width * stride + at % Width] = head.element(first + at / Width, at % Width);
    }
    return;
  }
  constexpr unsigned packs = Width / 4, each = Rows * packs / patch_threads;
  static_assert(each * patch_threads == Rows * packs);
  Pack<T, 4> staged[each];  // all loads are on their way before the first store waits
  RADAPT_UNROLL
  for (unsigned i = 0; i < each; ++i) {
    const unsigned at = threadIdx.x + i * patch_threads;
    staged[i] = head.template pack<4>(first + at / packs, at % packs * 4);
  }
  RADAPT_UNROLL
  for (unsigned i = 0; i < each; ++i) {
    const unsigned at = threadIdx.x + i * patch_threads;
    *as_pack<Pack<T, 4>>(tile + at / packs * stride + at % packs * 4) = staged[i];
  }
}

/// s = a b^T for the thread's patch of R x C; both tiles have Width columns.
template <unsigned Width, unsigned R, unsigned C, class T>
__device__ void multiply_transposed(T (&s)[R][C], const T* a, const T* b, PatchPosition p) {
  constexpr unsigned stride = Width + tile_padding;
  RADAPT_UNROLL
  for (unsigned i = 0; i < R; ++i) {
    RADAPT_UNROLL
    for (unsigned j = 0; j < C; ++j) { s[i][j] = 0; }
  }
  RADAPT_KEEP_LOOP
  for (unsigned k = 0; k < Width; k += 4) {
    Pack<T, 4> x[R], y[C];
    RADAPT_UNROLL
    for (unsigned i = 0; i < R; ++i) { x[i] = *as_pack<const Pack<T, 4>>(a + (p.row + patch_grid * i) * stride + k); }
    RADAPT_UNROLL
    for (unsigned j = 0; j < C; ++j) {
      y[j] = *as_pack<const Pack<T, 4>>(b + (p.column + patch_grid * j) * stride + k);
    }
    RADAPT_UNROLL
    for (unsigned e = 0; e < 4; ++e) {
      RADAPT_UNROLL
      for (unsigned i = 0; i < R; ++i) {
        RADAPT_UNROLL
        for (unsigned j = 0; j < C; ++j) { s[i][j] += x[i].x[e] * y[j].x[e]; }
      }
    }
  }
}

/// The thread's patch into a tile of rows of Columns + padding, for the warp that owns these rows.
template <unsigned Columns, unsigned R, unsigned C, class T>
__device__ void share_patch(T* tile, const T (&s)[R][C], PatchPosition p) {
  __syncwarp();  // what was there has been read
  RADAPT_UNROLL
  for (unsigned i = 0; i < R; ++i) {
    RADAPT_UNROLL
    for (unsigned j = 0; j < C; ++j) {
      tile[(p.row + patch_grid * i) * (Columns + tile_padding) + p.column + patch_grid * j] = s[i][j];
    }
  }
  __syncwarp();
}

/// y += s b with s of rows of Columns + padding, and b of Columns rows.
template <unsigned Columns, unsigned Width, unsigned R, class T>
__device__ void multiply_add(RowSums<T, R, Width>& y, const T* s, const T* b, PatchPosition p) {
  using Own = PatchColumns<Width>;
  RADAPT_KEEP_LOOP
  for (unsigned k = 0; k < Columns; k += 4) {
    Pack<T, 4> x[R];
    RADAPT_UNROLL
    for (unsigned i = 0; i < R; ++i) {
      x[i] = *as_pack<const Pack<T, 4>>(s + (p.row + patch_grid * i) * (Columns + tile_padding) + k);
    }
    RADAPT_UNROLL
    for (unsigned e = 0; e < 4; ++e) {
      RADAPT_UNROLL
      for (unsigned j = 0; j < Own::count; ++j) {
        const auto z = *as_pack<const Pack<T, Own::pack>>(b + (k + e) * (Width + tile_padding) + Own::at(p.column, j));
        RADAPT_UNROLL
        for (unsigned i = 0; i < R; ++i) {
          RADAPT_UNROLL
          for (unsigned f = 0; f < Own::pack; ++f) { y[i][j].x[f] += x[i].x[e] * z.x[f]; }
        }
      }
    }
  }
}

/// The thread's part of the rows `first` .. of a head.
template <unsigned R, unsigned Width, class T>
__device__ void store_rows(const HeadRows<T>& head, unsigned first, const RowSums<T, R, Width>& y, PatchPosition p) {
  using Own = PatchColumns<Width>;
  const bool in_packs = head.template in_packs<Own::pack>();
  RADAPT_UNROLL
  for (unsigned i = 0; i < R; ++i) {
    RADAPT_UNROLL
    for (unsigned j = 0; j < Own::count; ++j) {
      head.template write<Own::pack>(first + p.row + patch_grid * i, Own::at(p.column, j), y[i][j], in_packs);
    }
  }
}

}  // namespace radapt::detail::gpu
