#pragma once
/// What the kernels of attention share: which rows of which head a block works on, and how it reads and writes them.
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "radapt/backend/cuda/kernels/call.cuh"
#include "radapt/backend/cuda/kernels/element.cuh"
#include "radapt/backend/cuda/kernels/warp.cuh"
#include "radapt/op/attention.hpp"

namespace radapt::detail::gpu {

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
    return row < rows && column < columns ? *as_pack<const Read>(first + row * stride + column) : Read{};
  }
  /// The same N elements of bf16 as words of two.
  template <unsigned N>
  __device__ Pack<std::uint32_t, N / 2> words(unsigned row, unsigned column) const {
    using Read = Pack<std::uint32_t, N / 2>;
    return row < rows && column < columns ? *as_pack<const Read>(first + row * stride + column) : Read{};
  }
  __device__ std::remove_const_t<T> element(unsigned row, unsigned column) const {
    return row < rows && column < columns ? first[row * stride + column] : std::remove_const_t<T>{};
  }
  /// Writes what exists of N elements.
  template <unsigned N>
  __device__ void write(unsigned row, unsigned column, const Pack<T, N>& x, bool in_packs) const {
    if (row >= rows || column >= columns) { return; }
    T* const to = first + row * stride + column;
    if (in_packs) {
      *as_pack<Pack<T, N>>(to) = x;
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

  /// This head's columns of a matrix that holds `parts` matrices side by side, in matrix `part`: q, k and v are 3.
  template <class T>
  __device__ HeadRows<T> rows_of(Matrix<T> m, Index heads, unsigned parts = 1, unsigned part = 0) const {
    const Index width = m.columns / parts, head_width = width / heads;
    return {m.data + begin * m.columns + part * width + head * head_width, m.columns, length,
            static_cast<unsigned>(head_width)};
  }
};

/// Which keys of a sequence a query sees.
struct VisibleKeys {
  unsigned length;
  bool causal;

  __device__ bool operator()(unsigned query, unsigned key) const { return key < length && (!causal || key <= query); }
  /// Behind the last key that any query before `behind_queries` sees.
  __device__ unsigned end(unsigned behind_queries) const {
    return causal && behind_queries < length ? behind_queries : length;
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

/// call.template operator()<Width>() with the width that the kernels pad a head to: those of the published CLIPs, or a
/// little more. Error: the head is wider than the widest.
template <class F>
void with_head_width(const char* name, Index head_width, F&& call) {
  const auto fits = [&]<unsigned Width> {
    if (head_width > Width) { return false; }
    call.template operator()<Width>();
    return true;
  };
  const bool found = [&]<unsigned... Widths>(std::integer_sequence<unsigned, Widths...>) {
    return (fits.template operator()<Widths>() || ...);
  }
  (std::integer_sequence<unsigned, 32, 64, 80, 96, 112, 128>{});
  if (!found) {
    fail({.what = std::string("cuda: ") + name,
          .expected = "heads of at most 128 columns",
          .got = std::to_string(head_width),
          .hint = "Take more heads, or the backend onednn"});
  }
}

/// The operation with operands that kernels can follow.
template <class T>
op::attention_forward<T> on_device(Call& call, const op::attention_forward<T>& o) {
  return {.y = call.out(o.y),
          .qkv = call.in(o.qkv),
          .log_sum_exp = call.out(o.log_sum_exp),
          .heads = o.heads,
          .causal = o.causal,
          .sequences = call.in(o.sequences)};
}
template <class T>
op::attention_backward<T> on_device(Call& call, const op::attention_backward<T>& o) {
  return {.dqkv = call.out(o.dqkv),
          .dy = call.in(o.dy),
          .y = call.in(o.y),
          .qkv = call.in(o.qkv),
          .log_sum_exp = call.in(o.log_sum_exp),
          .heads = o.heads,
          .causal = o.causal,
          .sequences = call.in(o.sequences)};
}

/// d(row, head) = <dy, y> over the columns of a head: what every gradient of a row's scores has in common.
///
/// Reads two elements for 2 flops: bound by memory. A warp for each row and head.
inline constexpr unsigned row_product_warps = 8;
template <class T, unsigned N>
__global__ void __launch_bounds__(row_product_warps* warp_size)
    attention_row_product_kernel(Index products, Index head_width, float* d, const T* dy, const T* y) {
  const Index product = Index{blockIdx.x} * row_product_warps + threadIdx.x / warp_size;
  if (product >= products) { return; }  // a whole warp
  // Heads lie side by side in a row, and rows one behind the other: products are numbered as columns are.
  const Index first = product * head_width;
  float sum = 0;
  for (Index i = threadIdx.x % warp_size * N; i < head_width; i += warp_size * N) {
    const Floats<N> a = load<N>(dy + first + i), b = load<N>(y + first + i);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { sum += a.x[e] * b.x[e]; }
  }
  sum = warp_sum(sum);
  if (threadIdx.x % warp_size == 0) { d[product] = sum; }
}
/// (rows, heads), in memory of the call. The operands of `o` are those of kernels.
template <class T>
const float* attention_row_products(Call& call, const op::attention_backward<T>& o) {
  const Index products = o.y.rows * o.heads, head_width = o.y.columns / o.heads;
  float* const d = call.workspace<float>(products);
  with_neighbours<T, 2>(
      head_width,
      [&]<unsigned N>() {
        call.run(o.name, blocks_for(products, row_product_warps), row_product_warps * warp_size,
                 attention_row_product_kernel<T, N>, products, head_width, d, o.dy.data, o.y.data);
      },
      o.dy.data, o.y.data);
  return d;
}

}  // namespace radapt::detail::gpu
