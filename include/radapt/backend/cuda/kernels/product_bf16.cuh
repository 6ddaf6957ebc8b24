#pragma once
/// Matrix products on the tensor cores: factors are bf16, or f32 that is rounded on the way in; sums are f32. Weights
/// that were promised to stay are rounded once and read as bf16.
///
/// Tiles of 128 x 128, 32 deep; each of 8 warps owns 32 x 64 of the result in registers. The next tiles are on their
/// way from memory, in registers, while the warps multiply. A tile of a factor lies in shared memory as it does in
/// device memory, so that it is read and written 16 bytes at a time; whichever way that is, `ldmatrix` turns it. A
/// block reads 128 x 32 elements of each factor for 2 x 128 x 128 x 32 flops: 43 flops a byte for activations of bf16
/// and weights of f32, 64 for two of bf16. The ceiling is the rate of the L2 cache, some 5.5 TB/s on an H200, before it
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
/// Elements of T in 16 bytes of device memory.
template <class T>
inline constexpr Position pack = 16 / sizeof(T);

/// A tile in shared memory: rows (m) of columns (k), or, of a matrix that is read transposed, rows (k) of columns (m).
/// Four words of padding put the eight rows that `ldmatrix` reads at once into different banks.
template <bool Transposed>
struct Tile {
  static constexpr Position rows = Transposed ? depth : tile, columns = Transposed ? tile : depth;
  static constexpr Position row_words = columns / 2 + 4;
  std::uint32_t x[rows * row_words];

  /// Where matrix `lane / 8`, row `lane % 8` of the 16 x 16 elements behind (m, k) lies; the matrices go through m
  /// first, or through k.
  const __device__ std::uint32_t* row_of_lane(Position m, Position k, bool m_first) const {
    const Position matrix = threadIdx.x % warp_size / 8, r = threadIdx.x % 8;
    const Position far_m = (m_first ? matrix % 2 : matrix / 2) * 8, far_k = (m_first ? matrix / 2 : matrix % 2) * 8;
    if constexpr (Transposed) { return x + (k + far_k + r) * row_words + (m + far_m) / 2; }
    return x + (m + far_m + r) * row_words + (k + far_k) / 2;
  }
  /// The 16 x 16 elements behind (m, k) as fragments: a left factor, or two right ones with neighbouring columns m.
  __device__ void load(std::uint32_t (&fragments)[4], Position m, Position k, bool left) const {
    if constexpr (Transposed) {
      load_transposed_matrices(fragments, row_of_lane(m, k, left));
    } else {
      load_matrices(fragments, row_of_lane(m, k, left));
    }
  }
};

/// Parts of a sum over very many rows that run side by side, see `parts_of`.
struct Parts {
  Index count = 1, inner = 0;  ///< each has that many rows of the sum
  float* sums = nullptr;       ///< (count, rows, columns), where there are several
};

/// What one thread loads of a tile, as it lies in device memory: packs of four words, each a float or two of bf16.
/// Floats are rounded when they are put into shared memory, so that nobody waits for a load before the next one is on
/// its way.
template <class T>
struct Staged {
  using Word = std::conditional_t<std::is_same_v<T, bf16>, std::uint32_t, float>;
  static constexpr Position count = tile * depth / pack<T> / threads;
  Pack<Word, 4> packs[count];
};

/// Neighbours row[at ..] one by one, 0 from `end` on.
template <class T>
__device__ __forceinline__ auto load_singly(const T* row, Position at, Position end) {
  const auto element = [&](Position i) { return at + i < end ? load(row + at + i) : 0.0F; };
  Pack<typename Staged<T>::Word, 4> out;
  RADAPT_UNROLL
  for (Position i = 0; i < 4; ++i) {
    if constexpr (std::is_same_v<T, bf16>) {
      out.x[i] = pack_bf16(element(2 * i), element(2 * i + 1));
    } else {
      out.x[i] = element(i);
    }
  }
  return out;
}

/// This thread's packs of the tile whose element (m, k) is (first_m + m, first_k + k) of a matrix of (end_m, end_k), 0
/// outside of it. `in_packs` says that its rows are whole packs that may be read at once; `keeps`, null but for a
/// matrix that is read transposed, says which k are not 0.
template <bool Transposed, class T>
__device__ __forceinline__ void load_tile(Staged<T>& staged, const T* x, Index stride, bool in_packs, Position first_m,
                                          Position end_m, Position first_k, Position end_k, const bool* keeps) {
  constexpr Position in_row = Tile<Transposed>::columns / pack<T>;
  const Position first_row = Transposed ? first_k : first_m, end_row = Transposed ? end_k : end_m;
  const Position first_column = Transposed ? first_m : first_k, end_column = Transposed ? end_m : end_k;
  const Position column = first_column + threadIdx.x % in_row * pack<T>, first = threadIdx.x / in_row;
  const Index row = Index{first_row + first} * stride;  // of x, which is null where there are no rows
  const auto exists = [&](Position below) {
    return first_row + first + below < end_row && (!Transposed || keeps == nullptr || keeps[first + below]);
  };
  if (in_packs) {  // no jump between loads
    RADAPT_UNROLL
    for (Position j = 0; j < Staged<T>::count; ++j) {
      const Position below = j * (threads / in_row);
      using Read = Pack<typename Staged<T>::Word, 4>;
      staged.packs[j] = exists(below) && column < end_column
                            ? *as_pack<const Read>(x + (row + Index{below} * stride + column))
                            : Read{};
    }
    return;
  }
  RADAPT_UNROLL
  for (Position j = 0; j < Staged<T>::count; ++j) {
    const Position below = j * (threads / in_row);
    const bool here = exists(below);
    staged.packs[j] = load_singly(here ? x + (row + Index{below} * stride) : x, column, here ? end_column : 0);
  }
}

/// Puts them in their places.
template <class T, bool Transposed>
__device__ __forceinline__ void store_tile(Tile<Transposed>& into, const Staged<T>& staged) {
  constexpr Position in_row = Tile<Transposed>::columns / pack<T>, each = pack<T> / 2;
  std::uint32_t* const first =
      into.x + threadIdx.x / in_row * Tile<Transposed>::row_words + threadIdx.x % in_row * each;
  RADAPT_UNROLL
  for (Position j = 0; j < Staged<T>::count; ++j) {
    const auto& x = staged.packs[j].x;
    auto* const to = as_pack<Pack<std::uint32_t, each>>(first + j * (threads / in_row) * Tile<Transposed>::row_words);
    if constexpr (std::is_same_v<T, bf16>) {
      *to = {{x[0], x[1], x[2], x[3]}};
    } else {
      *to = {{pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3])}};
    }
  }
}

/// Blocks that share a multiprocessor: 2 leave a thread 128 registers, which two factors of f32 do not fit. Those are
/// products of heads, which are small.
template <class A, class B>
inline constexpr unsigned blocks_of = std::is_same_v<A, float>&& std::is_same_v<B, float> ? 1 : 2;

/// The product of one tile of the result, or of one part of its sum. `Then` is applied behind the bias.
template <bool TransposedA, bool TransposedB, class Then, class C, class A, class B>
__global__ void __launch_bounds__(threads, blocks_of<A, B>)
    kernel(ProductOf<C, A, B> p, Parts parts, bool a_in_packs, bool b_in_packs, bool c_in_pairs) {
  alignas(16) __shared__ Tile<TransposedA> a_tile;
  alignas(16) __shared__ Tile<!TransposedB> b_tile;
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
  Staged<A> a_staged;
  Staged<B> b_staged;
  // Which rows of the sum a mask keeps is looked up for the tile that is about to be loaded.
  const auto load_tiles = [&](Position k0) {
    if (masked_inner) {
      __syncthreads();
      if (threadIdx.x < depth) { keeps[threadIdx.x] = k0 + threadIdx.x < end && keeps_row(p.kept, k0 + threadIdx.x); }
      __syncthreads();
    }
    // Only sums over tokens have a mask there, and both factors of a weight's gradient are read transposed. What a
    // dropped row of either holds may be no number.
    const bool* const kept_here = TransposedA && masked_inner ? keeps : nullptr;
    load_tile<TransposedA>(a_staged, p.a, p.a_stride, a_in_packs, first_row, rows, k0, end, kept_here);
    load_tile<!TransposedB>(b_staged, p.b, p.b_stride, b_in_packs, first_column, columns, k0, end, kept_here);
  };
  load_tiles(begin);
  for (Position k0 = begin; k0 < end; k0 += depth) {
    __syncthreads();
    store_tile(a_tile, a_staged);
    store_tile(b_tile, b_staged);
    __syncthreads();
    if (k0 + depth < end) { load_tiles(k0 + depth); }
    __syncwarp();  // lanes have loaded different rows, and what follows takes whole warps
    RADAPT_UNROLL
    for (Position k = 0; k < depth; k += 16) {
      std::uint32_t a[2][4];
      a_tile.load(a[0], warp_row, k, true);
      a_tile.load(a[1], warp_row + 16, k, true);
      RADAPT_UNROLL
      for (Position j = 0; j < 8; j += 2) {
        std::uint32_t b[4];
        b_tile.load(b, warp_column + j * 8, k, false);
        const std::uint32_t first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
        multiply_accumulate(sums[0][j], a[0], first);
        multiply_accumulate(sums[1][j], a[1], first);
        multiply_accumulate(sums[0][j + 1], a[0], second);
        multiply_accumulate(sums[1][j + 1], a[1], second);
      }
    }
  }

  const bool partial = parts.count > 1;
  const float coefficient = partial ? 1.0F : coefficient_of(p);
  C* c = p.c;
  Index stride = p.c_stride;
  if constexpr (std::is_same_v<C, float>) {  // gradients of weights alone have parts
    if (partial) {
      c = parts.sums + Index{blockIdx.z} * p.rows * p.columns;
      stride = p.columns;
    }
  }
  RADAPT_UNROLL
  for (Position i = 0; i < 2; ++i) {
    RADAPT_UNROLL
    for (Position half = 0; half < 2; ++half) {
      const Position m = warp_row + i * 16 + g + half * 8, row = first_row + m;
      if (row >= rows || (masked_rows && !keeps[m])) { continue; }
      RADAPT_UNROLL
      for (Position j = 0; j < 8; ++j) {
        const Position column = first_column + warp_column + j * 8 + t * 2;
        if (column >= columns) { continue; }
        const bool both = column + 1 < columns;
        const Index place = Index{row} * stride + column;
        C* const to = c + place;
        Floats<2> pair{{coefficient * sums[i][j][half * 2], coefficient * sums[i][j][half * 2 + 1]}};
        if (!partial && p.accumulate) {
          pair.x[0] += load(to);
          if (both) { pair.x[1] += load(to + 1); }
        } else if (!partial) {
          if (p.bias != nullptr) {
            pair.x[0] += p.bias[column];
            if (both) { pair.x[1] += p.bias[column + 1]; }
          }
          if constexpr (!std::is_same_v<Then, NoActivation>) {
            pair = {{rounded_to<C>(pair.x[0]), rounded_to<C>(pair.x[1])}};
            if (p.h != nullptr) {
              store(p.h + place, pair.x[0]);
              if (both) { store(p.h + place + 1, pair.x[1]); }
            }
            pair = {{Then{}(pair.x[0]), Then{}(pair.x[1])}};
          }
          if (p.residual != nullptr) {
            pair.x[0] = rounded_to<C>(pair.x[0]) + load(p.residual + place);
            if (both) { pair.x[1] = rounded_to<C>(pair.x[1]) + load(p.residual + place + 1); }
          }
        }
        if (both && c_in_pairs) {
          store(to, pair);
        } else {
          store(to, pair.x[0]);
          if (both) { store(to + 1, pair.x[1]); }
        }
      }
    }
  }
}

/// c = or += coefficient times the sum of the parts, in their order.
template <class A, class B>
struct AddParts {
  ProductOf<float, A, B> p;
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
template <class C, class A, class B>
Parts parts_of(Call& call, const ProductOf<C, A, B>& p) {
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

/// Runs a product with factors of bf16; those of f32 are rounded. One with an activation behind it is that of a linear
/// layer. Error: more rows than a grid has blocks for, 8 million.
template <class Then = NoActivation, class C, class A, class B>
void multiply_bf16(Call& call, const char* name, const ProductOf<C, A, B>& p) {
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
  const auto lies_in_packs = []<class T>(const T* x, Index stride, Index columns) {
    return in_packs<pack<T>>(x) && stride % pack<T> == 0 && columns % pack<T> == 0;
  };
  const bool c_in_pairs = parts.count > 1 ? p.columns % 2 == 0 : in_packs<2>(p.c) && p.c_stride % 2 == 0;
  with_form(p.form, [&]<bool TransposedA, bool TransposedB>() {
    // Two activations make the gradient of a weight, in float, and one of them and a weight another one.
    constexpr bool of_a_weight = std::is_same_v<B, bf16> && std::is_same_v<C, float>;
    constexpr bool exists = std::is_same_v<A, float> || TransposedA == of_a_weight;
    if constexpr (exists && (TransposedB || std::is_same_v<Then, NoActivation>)) {
      call.run(name, blocks, threads, kernel<TransposedA, TransposedB, Then, C, A, B>, p, parts,
               lies_in_packs(p.a, p.a_stride, TransposedA ? p.rows : p.inner),
               lies_in_packs(p.b, p.b_stride, TransposedB ? p.inner : p.columns), c_in_pairs);
    }
  });
  if constexpr (std::is_same_v<C, float>) {
    if (parts.count > 1) { map(call, name, p.rows * p.columns, AddParts<A, B>{p, parts}); }
  }
}

}  // namespace radapt::detail::gpu
