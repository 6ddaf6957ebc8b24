#pragma once
/// Three shapes of kernels that most operations are: a thread for each element, a block for each row, and a sum.
#include "radapt/backend/cuda/kernels/call.cuh"
#include "radapt/backend/cuda/kernels/warp.cuh"

namespace radapt::detail::gpu {

inline constexpr unsigned map_threads = 256;
/// Blocks of a map and of a sum: enough for two waves of any current GPU, after which threads take several elements.
inline constexpr Index most_map_blocks = 4096, most_sum_blocks = 512;

/// f(i) for i in 0 .. n - 1.
template <class F>
__global__ void __launch_bounds__(map_threads) map_kernel(Index n, F f) {
  const Index step = Index{gridDim.x} * map_threads;
  for (Index i = Index{blockIdx.x} * map_threads + threadIdx.x; i < n; i += step) { f(i); }
}
template <class F>
void map(Call& call, const char* name, Index n, const F& f) {
  const Index blocks = (n + map_threads - 1) / map_threads;
  call.run(name, dim3(static_cast<unsigned>(blocks < most_map_blocks ? blocks : most_map_blocks)), map_threads,
           map_kernel<F>, n, f);
}

/// For every row: f(f.row(r), r, c) for c in 0 .. columns - 1. What a row needs is worked out once, and no element
/// divides to find its place.
template <class F>
__global__ void __launch_bounds__(map_threads) row_kernel(Index rows, unsigned columns, F f) {
  for (Index r = blockIdx.x; r < rows; r += gridDim.x) {
    const auto row = f.row(r);
    for (unsigned c = threadIdx.x; c < columns; c += map_threads) { f(row, r, c); }
  }
}
inline constexpr Index most_row_blocks = Index{1} << 20;
template <class F>
void map_rows(Call& call, const char* name, Index rows, Index columns, const F& f) {
  if (columns == 0) { return; }
  call.run(name, dim3(static_cast<unsigned>(rows < most_row_blocks ? rows : most_row_blocks)), map_threads,
           row_kernel<F>, rows, static_cast<unsigned>(columns), f);
}

/// partial[block] = sum of f(i) over the block's share.
template <class F>
__global__ void __launch_bounds__(map_threads) partial_sum_kernel(Index n, F f, double* partial) {
  double sum = 0;
  const Index step = Index{gridDim.x} * map_threads;
  for (Index i = Index{blockIdx.x} * map_threads + threadIdx.x; i < n; i += step) { sum += f(i); }
  sum = block_sum<map_threads>(sum);
  if (threadIdx.x == 0) { partial[blockIdx.x] = sum; }
}
/// use(sum of all partial sums), on one thread.
template <class G>
__global__ void __launch_bounds__(map_threads) final_sum_kernel(Index blocks, const double* partial, G use) {
  double sum = 0;
  for (Index i = threadIdx.x; i < blocks; i += map_threads) { sum += partial[i]; }
  sum = block_sum<map_threads>(sum);
  if (threadIdx.x == 0) { use(sum); }
}
/// use(sum of f(i) over i in 0 .. n - 1), in double. The order depends on n alone. f may also write what belongs to i.
template <class F, class G>
void sum(Call& call, const char* name, Index n, const F& f, const G& use) {
  const Index needed = (n + map_threads - 1) / map_threads;
  const Index blocks = needed < most_sum_blocks ? needed : most_sum_blocks;
  double* const partial = call.workspace<double>(blocks);
  call.run(name, dim3(static_cast<unsigned>(blocks)), map_threads, partial_sum_kernel<F>, n, f, partial);
  call.run(name, dim3(1), map_threads, final_sum_kernel<G>, blocks, static_cast<const double*>(partial), use);
}

/// What `sum` adds up: numbers that are there.
struct Given {
  const double* x;
  __device__ double operator()(Index i) const { return x[i]; }
};
/// What `sum` does with the result: *target += factor * sum.
template <class T>
struct AddTo {
  T* target;
  double factor;
  __device__ void operator()(double sum) const { *target += static_cast<T>(factor * sum); }
};
/// *target = factor * sum.
template <class T>
struct Assign {
  T* target;
  double factor;
  __device__ void operator()(double sum) const { *target = static_cast<T>(factor * sum); }
};

}  // namespace radapt::detail::gpu
