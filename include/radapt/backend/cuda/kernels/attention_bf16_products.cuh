#pragma once
/// The matrix products of attention on the tensor cores: 16 x 16 elements of a warp at a time, bf16 factors in
/// registers and in tiles in shared memory, f32 sums in registers.
#include "radapt/backend/cuda/kernels/attention_rows.cuh"
#include "radapt/backend/cuda/kernels/tensor_core.cuh"

namespace radapt::detail::gpu::attention_bf16 {

inline constexpr unsigned side = 16, warps = 4, threads = warps * warp_size, tile_rows = warps * side;

/// Words of two bf16 in a row of a tile; four of padding put the rows that are read at once into different banks.
template <unsigned Width>
inline constexpr unsigned row_words = Width / 2 + 4;
template <unsigned Width>
inline constexpr unsigned tile_words = tile_rows* row_words<Width>;

/// 16 x 16 elements of a warp: a left factor, and a sum. A lane holds of a sum the elements
/// (row(h), column(n) + e) as x[n][2h + e].
struct Left {
  std::uint32_t x[4];
};
struct Sum {
  float x[2][4];
};
struct Lane {
  unsigned g, t;
  __device__ static Lane of_this_thread() { return {threadIdx.x % warp_size / 4, threadIdx.x % 4}; }
  __device__ unsigned row(unsigned h) const { return g + 8 * h; }
  __device__ unsigned column(unsigned n) const { return 8 * n + 2 * t; }
};

/// Rounded, as the left factor of the next product.
__device__ inline Left left_of(const Sum& s) {
  return {{pack_bf16(s.x[0][0], s.x[0][1]), pack_bf16(s.x[0][2], s.x[0][3]), pack_bf16(s.x[1][0], s.x[1][1]),
           pack_bf16(s.x[1][2], s.x[1][3])}};
}
/// The left factor at rows 0 .. 15 and columns 0 .. 15 behind `at`, in a tile.
template <unsigned Width>
__device__ Left left_at(const std::uint32_t* at) {
  const unsigned m = threadIdx.x % warp_size / 8, r = threadIdx.x % 8;
  Left a;
  load_matrices(a.x, at + (m % 2 * 8 + r) * row_words<Width> + m / 2 * 4);
  return a;
}
__device__ inline void multiply_accumulate(Sum& c, const Left& a, const std::uint32_t (&words)[4]) {
  const std::uint32_t first[2] = {words[0], words[1]}, second[2] = {words[2], words[3]};
  gpu::multiply_accumulate(c.x[0], a.x, first);
  gpu::multiply_accumulate(c.x[1], a.x, second);
}
/// c += a b^T, with the 16 rows and 16 columns of b behind `at` in a tile.
template <unsigned Width>
__device__ void accumulate_transposed(Sum& c, const Left& a, const std::uint32_t* at) {
  const unsigned m = threadIdx.x % warp_size / 8, r = threadIdx.x % 8;
  std::uint32_t words[4];
  load_matrices(words, at + (m / 2 * 8 + r) * row_words<Width> + m % 2 * 4);
  multiply_accumulate(c, a, words);
}
/// c += a b.
template <unsigned Width>
__device__ void accumulate(Sum& c, const Left& a, const std::uint32_t* at) {
  const unsigned m = threadIdx.x % warp_size / 8, r = threadIdx.x % 8;
  std::uint32_t words[4];
  load_transposed_matrices(words, at + (m % 2 * 8 + r) * row_words<Width> + m / 2 * 4);
  multiply_accumulate(c, a, words);
}

/// Rows `first` .. `first` + 63 of a head into a tile; zeros where the head has no element.
template <unsigned Width>
__device__ void load_tile(std::uint32_t* tile, const HeadRows<const bf16>& head, unsigned first) {
  if (!head.template in_packs<8>()) {
    for (unsigned at = threadIdx.x; at < tile_rows * (Width / 2); at += threads) {
      const unsigned row = at / (Width / 2), word = at % (Width / 2);
      tile[row * row_words<Width> + word] = static_cast<std::uint32_t>(head.element(first + row, 2 * word).bits) |
                                            static_cast<std::uint32_t>(head.element(first + row, 2 * word + 1).bits)
                                                << 16;
    }
    return;
  }
  constexpr unsigned packs = Width / 8, each = tile_rows * packs / threads;
  constexpr unsigned batch = each % 2 != 0 ? each : each % 4 == 0 ? 4 : 2;  // as many as registers allow
  static_assert(each * threads == tile_rows * packs);
  RADAPT_KEEP_LOOP
  for (unsigned begin = 0; begin < each; begin += batch) {
    Pack<std::uint32_t, 4> staged[batch];  // all loads of a batch are on their way before the first store waits
    RADAPT_UNROLL
    for (unsigned i = 0; i < batch; ++i) {
      const unsigned at = threadIdx.x + (begin + i) * threads;
      staged[i] = head.template words<8>(first + at / packs, at % packs * 8);
    }
    RADAPT_UNROLL
    for (unsigned i = 0; i < batch; ++i) {
      const unsigned at = threadIdx.x + (begin + i) * threads;
      *as_pack<Pack<std::uint32_t, 4>>(tile + at / packs * row_words<Width> + at % packs * 4) = staged[i];
    }
  }
}
/// The warp's 16 rows of a tile, as left factors.
template <unsigned Width>
__device__ void take_left(Left (&a)[Width / side], const std::uint32_t* tile) {
  const std::uint32_t* const rows = tile + threadIdx.x / warp_size * side * row_words<Width>;
  RADAPT_UNROLL
  for (unsigned i = 0; i < Width / side; ++i) { a[i] = left_at<Width>(rows + i * side / 2); }
}
/// The warp's rows `first` .. of a head, times `factor`, rounded.
template <unsigned Width>
__device__ void store_rows(const HeadRows<bf16>& head, unsigned first, const Sum (&y)[Width / side],
                           const float (&factor)[2]) {
  const Lane lane = Lane::of_this_thread();
  const bool in_packs = head.template in_packs<2>();
  RADAPT_UNROLL
  for (unsigned h = 0; h < 2; ++h) {
    RADAPT_UNROLL
    for (unsigned i = 0; i < 2 * (Width / side); ++i) {
      const float* const x = y[i / 2].x[i % 2] + 2 * h;
      const std::uint32_t pair = pack_bf16(x[0] * factor[h], x[1] * factor[h]);
      head.template write<2>(first + lane.row(h), lane.column(i), std::bit_cast<Pack<bf16, 2>>(pair), in_packs);
    }
  }
}

}  // namespace radapt::detail::gpu::attention_bf16
