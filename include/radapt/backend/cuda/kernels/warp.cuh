#pragma once
/// Sums and maxima over the threads of a warp and of a block, in a fixed order.
#include "radapt/backend/cuda/kernels/runtime.cuh"

namespace radapt::detail::gpu {

inline constexpr unsigned warp_size = 32, whole_warp = 0xFFFFFFFFU;

/// Every lane gets the sum.
template <class T>
__device__ T warp_sum(T x) {
  for (unsigned distance = warp_size / 2; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(whole_warp, x, distance);
  }
  return x;
}
template <class T>
__device__ T warp_max(T x) {
  for (unsigned distance = warp_size / 2; distance > 0; distance /= 2) {
    const T other = __shfl_xor_sync(whole_warp, x, distance);
    x = x > other ? x : other;
  }
  return x;
}

/// Every thread of a block of Threads gets the sum.
template <unsigned Threads, class T>
__device__ T block_sum(T x) {
  constexpr unsigned warps = Threads / warp_size;
  static_assert(Threads % warp_size == 0 && warps <= warp_size);
  __shared__ T partial[warps];
  x = warp_sum(x);
  __syncthreads();  // a second use may follow the first at once
  if (threadIdx.x % warp_size == 0) { partial[threadIdx.x / warp_size] = x; }
  __syncthreads();
  T sum = 0;
  for (unsigned w = 0; w < warps; ++w) { sum += partial[w]; }
  return sum;
}
template <unsigned Threads, class T>
__device__ T block_max(T x) {
  constexpr unsigned warps = Threads / warp_size;
  static_assert(Threads % warp_size == 0 && warps <= warp_size);
  __shared__ T partial[warps];
  x = warp_max(x);
  __syncthreads();
  if (threadIdx.x % warp_size == 0) { partial[threadIdx.x / warp_size] = x; }
  __syncthreads();
  T most = partial[0];
  for (unsigned w = 1; w < warps; ++w) { most = most > partial[w] ? most : partial[w]; }
  return most;
}

}  // namespace radapt::detail::gpu
