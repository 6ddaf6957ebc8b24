#pragma once
/// What the kernels of attention share: which rows of which head a block works on, and how it reads and writes them.
#include <cstdint>
#include <string>

#include "radapt/backend/cuda/kernels/call.cuh"
#include "radapt/backend/cuda/kernels/warp.cuh"
#include "radapt/op/attention.hpp"

/// Loops over small arrays that must become registers, and loops that gain nothing from more than two rounds at once.
/// Compilers of the host do not know the pragma.
#ifdef __CUDACC__
#define RADAPT_UNROLL _Pragma("unroll")
#define RADAPT_UNROLL_TWICE _Pragma("unroll 2")
#define RADAPT_KEEP_LOOP _Pragma("unroll 1")
#else
#define RADAPT_UNROLL
#define RADAPT_UNROLL_TWICE
#define RADAPT_KEEP_LOOP
#endif

namespace radapt::detail::gpu {

/// N neighbours that are read or written in one instruction.
template <class T, unsigned N>
struct alignas(N * sizeof(T)) Pack {
  T x[N];
};

/// One head of one sequence inside a matrix: `columns` elements of each of `rows` rows, `stride` elements apart.
template <class T>
struct HeadRows {
  T* first;
  Index stride;
  unsigned rows, columns;

  /// Whether every row can be read and written in aligned packs of N elements.
  template <unsigned N>
  __device__ bool in_packs() const {
    return reinterpret_cast<std::uintptr_t>(first) % (N * sizeof(T)) == 0 && stride % N == 0 && columns % N == 0;
  }
  /// Elements `column` .. `column` + N - 1 of a row where all of them lie in a pack; zeros where there are none.
  template <unsigned N>
  __device__ Pack<std::remove_const_t<T>, N> pack(unsigned row, unsigned column) const {
    using Read = Pack<std::remove_const_t<T>, N>;
    return row < rows && column < columns ? *reinterpret_cast<const Read*>(first + row * stride + column) : Read{};
  }
  __device__ std::remove_const_t<T> element(unsigned row, unsigned column) const {
    return row < rows && column < columns ? first[row * stride + column] : std::remove_const_t<T>{0};
  }
  /// Writes what exists of N elements.
  template <unsigned N>
  __device__ void write(unsigned row, unsigned column, const Pack<T, N>& x, bool in_packs) const {
    if (row >= rows || column >= columns) { return; }
    T* const to = first + row * stride + column;
    if (in_packs) {
      *reinterpret_cast<Pack<T, N>*>(to) = x;
    } else {
      RADAPT_UNROLL
      for (unsigned i = 0; i < N; ++i) {
        if (column + i < columns) { to[i] = x.x[i]; }
      }
    }
  }
};

/// A tile of rows of one head of one sequence: what one block works on.
struct AttentionTile {
  Index begin;           ///< first row of the sequence in the batch
  unsigned length;       ///< of the sequence
  unsigned head, first;  ///< first row of the tile inside the sequence; a tile behind the end has nothing to do

  /// Third `third` (q, k, v) of this head in a matrix with `parts` matrices of `heads` heads side by side.
  template <class T>
  __device__ HeadRows<T> rows_of(Matrix<T> m, Index heads, unsigned parts = 1, unsigned third = 0) const {
    const Index width = m.columns / parts, head_width = width / heads;
    return {m.data + begin * m.columns + third * width + head * head_width, m.columns, length,
            static_cast<unsigned>(head_width)};
  }
};

/// Blocks are numbered along one dimension, whose limit is 2^31 - 1: tiles of a head, heads of a sequence, sequences.
/// Neighbours read the same rows.
inline dim3 attention_blocks(Index tiles, Index heads, Index sequences) {
  return dim3(static_cast<unsigned>(tiles * heads * sequences));
}
__device__ inline AttentionTile attention_tile(const Sequences& s, Index heads, unsigned tiles, unsigned tile_rows) {
  const unsigned of_head = blockIdx.x / tiles;
  const Index sequence = of_head / heads;
  return {s.begin(sequence), static_cast<unsigned>(s.length(sequence)), static_cast<unsigned>(of_head % heads),
          blockIdx.x % tiles * tile_rows};
}

/// Tiles of the longest sequence.
inline unsigned attention_tiles(const Sequences& s, Index tile_rows) {
  return static_cast<unsigned>((s.longest() + tile_rows - 1) / tile_rows);
}

inline constexpr Index widest_head = 128;

/// `call.template operator()<Width>()` with the first of Widths that a head fits in. Error: it fits in none.
template <unsigned... Widths, class F>
void with_head_width(const char* name, Index head_width, F&& call) {
  const bool fits = ((head_width <= Widths && (call.template operator()<Widths>(), true)) || ...);
  if (!fits) {
    fail({.what = std::string("cuda: ") + name,
          .expected = "heads of at most " + std::to_string(widest_head) + " columns",
          .got = std::to_string(head_width),
          .hint = "Take more heads, or the backend onednn"});
  }
}

/// d(row, head) = <dy, y> over the columns of a head: what every gradient of a row's scores has in common.
///
/// Reads 8 bytes for 2 flops: bound by memory. A warp for each row and head.
inline constexpr unsigned row_product_warps = 8;
template <class T>
__global__ void __launch_bounds__(row_product_warps* warp_size)
    attention_row_product_kernel(Index products, Index head_width, T* d, const T* dy, const T* y) {
  const Index product = Index{blockIdx.x} * row_product_warps + threadIdx.x / warp_size;
  if (product >= products) { return; }  // a whole warp
  // Heads lie side by side in a row, and rows one behind the other: products are numbered as columns are.
  const Index first = product * head_width;
  T sum = 0;
  for (Index i = threadIdx.x % warp_size; i < head_width; i += warp_size) { sum += dy[first + i] * y[first + i]; }
  sum = warp_sum(sum);
  if (threadIdx.x % warp_size == 0) { d[product] = sum; }
}
/// (rows, heads), in memory of the call.
template <class T>
const T* attention_row_products(Call& call, const char* name, Matrix<const T> dy, Matrix<const T> y, Index heads) {
  const Index products = y.rows * heads;
  T* const d = call.workspace<T>(products);
  call.run(name, blocks_for(products, row_product_warps), row_product_warps * warp_size,
           attention_row_product_kernel<T>, products, y.columns / heads, d, dy.data, y.data);
  return d;
}

}  // namespace radapt::detail::gpu
