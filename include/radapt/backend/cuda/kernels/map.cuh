#pragma once
/// Three shapes of kernels that most operations are: a thread for each element, a block for each row, and a sum.
#include <initializer_list>

#include "radapt/backend/cuda/kernels/call.cuh"
#include "radapt/backend/cuda/kernels/element.cuh"
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

/// Elements of bf16 that a thread takes at once: 16 bytes.
inline constexpr unsigned map_neighbours = 8;

/// f.operator()<N>(i) for the elements i .. i + N - 1, and f.operator()<1>(i) for those behind the last whole pack.
template <unsigned N, class F>
__global__ void __launch_bounds__(map_threads) element_kernel(Index n, F f) {
  const Index step = Index{gridDim.x} * map_threads, thread = Index{blockIdx.x} * map_threads + threadIdx.x;
  for (Index i = thread; i < n / N; i += step) { f.template operator()<N>(i * N); }
  if constexpr (N > 1) {
    for (Index i = n / N * N + thread; i < n; i += step) { f.template operator()<1>(i); }
  }
}
/// For n neighbours of T at every one of the pointers.
template <class T, class F, class... Pointers>
void map_elements(Call& call, const char* name, Index n, const F& f, const Pointers*... pointers) {
  with_neighbours<T, map_neighbours>(
      0,
      [&]<unsigned N>() {
        const Index blocks = (n + map_threads * N - 1) / (map_threads * N);
        call.run(name, dim3(static_cast<unsigned>(blocks < most_map_blocks ? blocks : most_map_blocks)), map_threads,
                 element_kernel<N, F>, n, f);
      },
      pointers...);
}

/// For every row: f.operator()<N>(f.row(r), r, c) for columns c .. c + N - 1. What a row needs is worked out once, and
/// no element divides to find its place.
template <unsigned N, class F>
__global__ void __launch_bounds__(map_threads) row_kernel(Index rows, unsigned columns, F f) {
  for (Index r = blockIdx.x; r < rows; r += gridDim.x) {
    const auto row = f.row(r);
    for (unsigned c = threadIdx.x * N; c < columns; c += blockDim.x * N) { f.template operator()<N>(row, r, c); }
  }
}
inline constexpr Index most_row_blocks = Index{1} << 20;
/// Rows of T begin at the pointers, as far apart as `strides` says.
template <class T, class F, class... Pointers>
void map_rows(Call& call, const char* name, Index rows, Index columns, const F& f, std::initializer_list<Index> strides,
              const Pointers*... pointers) {
  if (columns == 0) { return; }
  Index any = columns;  // a pack divides all of them where it divides their common bits
  for (const Index stride : strides) { any |= stride; }
  with_neighbours<T, map_neighbours>(
      any,
      [&]<unsigned N>() {
        const Index needed = ((columns + N - 1) / N + warp_size - 1) / warp_size * warp_size;
        call.run(name, dim3(static_cast<unsigned>(rows < most_row_blocks ? rows : most_row_blocks)),
                 static_cast<unsigned>(needed < map_threads ? needed : map_threads), row_kernel<N, F>, rows,
                 static_cast<unsigned>(columns), f);
      },
      pointers...);
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
/// Or their squares.
template <class T>
struct Square {
  const T* x;
  __device__ double operator()(Index i) const { return static_cast<double>(x[i]) * static_cast<double>(x[i]); }
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
