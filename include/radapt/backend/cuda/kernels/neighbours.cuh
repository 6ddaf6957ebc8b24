#pragma once
/// CUDA kernel of op/neighbours.hpp: a product for a block of rows, and a block of threads for each row that selects.
///
/// The k-th largest cosine is found digit by digit of its bits, from the highest: the largest number that at least k
/// of the row reach. A thread counts in registers how many of its elements reach each value of the next digit, so there
/// are no atomics and nothing depends on how the cosines are spread: those of one model share most of their high bits,
/// and a table of counts would have all threads at one entry. Bound by memory: the row is read once a digit.
#include <bit>
#include <cstdint>

#include "radapt/backend/cuda/kernels/linear.cuh"
#include "radapt/backend/cuda/kernels/warp.cuh"
#include "radapt/op/neighbours.hpp"

namespace radapt {

namespace detail::gpu {

inline constexpr unsigned selection_threads = 256, digit_bits = 2, digit_values = 1U << digit_bits;

/// A key for each float, in their order: unsigned numbers.
inline __device__ std::uint32_t ordered_key(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}
inline __device__ float of_ordered_key(std::uint32_t key) {
  return std::bit_cast<float>((key >> 31) != 0 ? key & 0x7FFFFFFFU : ~key);
}

/// into[row] = the distance of the k-th largest of the n cosines of row `block`.
template <class T>
__global__ void __launch_bounds__(selection_threads)
    kth_distance_kernel(const T* cosines, Index n, Index k, double* into) {
  const T* const row = cosines + Index{blockIdx.x} * n;
  std::uint32_t found = 0;  // the digits so far, then zeros
  RADAPT_KEEP_LOOP
  for (unsigned shift = 32; shift > 0;) {
    shift -= digit_bits;
    unsigned reach[digit_values] = {};  // of entry d: how many reach `found` with the digit d; all reach 0
    for (Index j = threadIdx.x; j < n; j += selection_threads) {
      const std::uint32_t key = ordered_key(row[j]);
      RADAPT_UNROLL
      for (unsigned d = 1; d < digit_values; ++d) { reach[d] += key >= (found | d << shift) ? 1U : 0U; }
    }
    unsigned digit = 0;
    RADAPT_UNROLL
    for (unsigned d = 1; d < digit_values; ++d) {
      if (block_sum<selection_threads>(reach[d]) >= k) { digit = d; }
    }
    found |= digit << shift;
  }
  if (threadIdx.x == 0) { into[blockIdx.x] = op::squared_distance(static_cast<double>(of_ordered_key(found))); }
}

}  // namespace detail::gpu

/// The product is in f32 on `cuda_bf16`, too.
template <std::same_as<float> T>
void launch(cuda& backend, const op::kth_neighbour<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Index n = o.set.rows, width = o.x.columns, at_once = op::rows_at_once(o);
  const float* const x = call.in(o.x).data;
  const float* const set = call.in(o.set).data;
  double* const distances = call.out(o.distances).data;
  float* const cosines = call.workspace<float>(at_once * n);
  for (Index first = 0; first < o.x.rows; first += at_once) {
    const Index left = o.x.rows - first, rows = left < at_once ? left : at_once;
    multiply_f32(call, o.name,
                 {.c = cosines,
                  .a = x + first * width,
                  .b = set,
                  .rows = rows,
                  .columns = n,
                  .inner = width,
                  .a_stride = width,
                  .b_stride = width,
                  .c_stride = n,
                  .form = Form::b_transposed});
    call.run(o.name, dim3(static_cast<unsigned>(rows)), selection_threads, kth_distance_kernel<T>,
             static_cast<const T*>(cosines), n, o.k, distances + first);
  }
  call.done();
}

}  // namespace radapt
