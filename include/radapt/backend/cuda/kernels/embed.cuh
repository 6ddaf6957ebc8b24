#pragma once
/// CUDA kernels of op/embed.hpp and op/pool.hpp: gathers, and their gradients without atomics.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/rows.cuh"

namespace radapt {

namespace detail::gpu {

template <class T>
struct ExtractPatches {
  T* patches;
  const T* pixels;
  Index size, patch;
  __device__ void operator()(Index i) const {
    const Index grid = size / patch, x = i % patch, y = i / patch % patch, c = i / (patch * patch) % 3;
    const Index row = i / (3 * patch * patch), gx = row % grid, gy = row / grid % grid, n = row / (grid * grid);
    patches[i] = pixels[((n * 3 + c) * size + gy * patch + y) * size + gx * patch + x];
  }
};

template <class T>
struct AssembleTokens {
  T* y;
  const T *patches, *class_embedding, *positions;
  Index tokens, width;
  __device__ void operator()(Index i) const {
    const Index column = i % width, row = i / width, t = row % tokens, n = row / tokens;
    const T token = t == 0 ? class_embedding[column] : patches[(n * (tokens - 1) + t - 1) * width + column];
    y[i] = positions[t * width + column] + token;
  }
};
template <class T>
struct PatchGradient {
  T* dpatches;
  const T* dy;
  Index tokens, width;
  __device__ void operator()(Index i) const {
    const Index column = i % width, row = i / width, n = row / (tokens - 1), t = row % (tokens - 1) + 1;
    dpatches[i] = dy[(n * tokens + t) * width + column];
  }
};

/// target[t][column] += sum of dy over the sequences that have a position t, in their order.
template <class T>
struct PositionGradient {
  T* target;
  const T* dy;
  Index width;
  Sequences sequences;
  __device__ void operator()(Index i) const {
    const Index column = i % width, t = i / width;
    double sum = 0;
    for (Index s = 0; s < sequences.count; ++s) {
      if (t < sequences.length(s)) { sum += static_cast<double>(dy[(sequences.begin(s) + t) * width + column]); }
    }
    target[i] += static_cast<T>(sum);
  }
};

template <class T>
struct EmbedTokens {
  T* y;
  const std::int32_t* ids;
  const T *table, *positions;
  Index width;
  Sequences sequences;
  __device__ void operator()(Index i) const {
    const Index column = i % width, row = i / width, t = row - sequences.begin(sequence_of(sequences, row));
    y[i] = table[static_cast<Index>(ids[row]) * width + column] + positions[t * width + column];
  }
};

inline constexpr unsigned scatter_threads = 128;

/// dtable[id] += sum of dy over the rows with that id, in their order. A block for each row; the first row with an id
/// does the work of all of them.
template <class T>
__global__ void __launch_bounds__(scatter_threads)
    scatter_rows_kernel(T* dtable, const T* dy, const std::int32_t* ids, Index rows, Index width) {
  const Index row = blockIdx.x;
  const std::int32_t id = ids[row];
  Index before = 0;
  for (Index r = threadIdx.x; r < row; r += scatter_threads) { before += ids[r] == id ? 1 : 0; }
  if (block_sum<scatter_threads>(before) != 0) { return; }
  for (Index column = threadIdx.x; column < width; column += scatter_threads) {
    double sum = 0;
    for (Index r = row; r < rows; ++r) {
      if (ids[r] == id) { sum += static_cast<double>(dy[r * width + column]); }
    }
    dtable[static_cast<Index>(id) * width + column] += static_cast<T>(sum);
  }
}

template <class T>
struct Pool {
  T* y;
  const T* x;
  Index width;
  Pooling pooling;
  Sequences sequences;
  __device__ void operator()(Index i) const {
    y[i] = x[op::pooled_row(sequences, pooling, i / width) * width + i % width];
  }
};
template <class T>
struct PoolBackward {
  T* dx;
  const T* dy;
  Index width;
  Pooling pooling;
  Sequences sequences;
  __device__ void operator()(Index i) const {
    const Index row = i / width, s = sequence_of(sequences, row);
    dx[i] = op::pooled_row(sequences, pooling, s) == row ? dy[s * width + i % width] : T{0};
  }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::extract_patches<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.patches.size(),
      detail::gpu::ExtractPatches<T>{call.out(o.patches).data, call.in(o.pixels).data, o.size, o.patch});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::assemble_tokens_forward<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.y.size(),
      detail::gpu::AssembleTokens<T>{call.out(o.y).data, call.in(o.patches).data, call.in(o.class_embedding).data,
                                     call.in(o.positions).data, o.positions.rows, o.y.columns});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::assemble_tokens_backward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Index width = o.dy.columns;
  if (o.sequences.count == 0 || width == 0) { return; }
  const Index tokens = o.dy.rows / o.sequences.count;  // images are uniform
  const T* const dy = call.in(o.dy).data;
  const Sequences sequences = call.in(o.sequences);
  if (o.dpatches.data != nullptr) {
    map(call, o.name, o.dpatches.size(), PatchGradient<T>{call.out(o.dpatches).data, dy, tokens, width});
  }
  if (o.dclass_embedding) {
    map(call, o.name, width, PositionGradient<T>{call.updated(o.dclass_embedding).data, dy, width, sequences});
  }
  if (o.dpositions.data != nullptr) {
    map(call, o.name, tokens * width, PositionGradient<T>{call.updated(o.dpositions).data, dy, width, sequences});
  }
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::embed_tokens_forward<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.y.size(),
      detail::gpu::EmbedTokens<T>{call.out(o.y).data, call.in(o.ids, o.y.rows), call.in(o.table).data,
                                  call.in(o.positions).data, o.y.columns, call.in(o.sequences)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::embed_tokens_backward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Index width = o.dy.columns;
  const T* const dy = call.in(o.dy).data;
  if (o.dtable.data != nullptr) {
    call.run(o.name, dim3(static_cast<unsigned>(o.dy.rows)), scatter_threads, scatter_rows_kernel<T>,
             call.updated(o.dtable).data, dy, call.in(o.ids, o.dy.rows), o.dy.rows, width);
  }
  if (o.dpositions.data != nullptr) {
    const Index positions = o.sequences.longest();
    map(call, o.name, positions * width,
        PositionGradient<T>{call.updated(o.dpositions).data, dy, width, call.in(o.sequences)});
  }
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::pool_forward<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.y.size(),
      detail::gpu::Pool<T>{call.out(o.y).data, call.in(o.x).data, o.y.columns, o.pooling, call.in(o.sequences)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::pool_backward<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.dx.size(),
      detail::gpu::PoolBackward<T>{call.out(o.dx).data, call.in(o.dy).data, o.dx.columns, o.pooling,
                                   call.in(o.sequences)});
  call.done();
}

}  // namespace radapt
