#pragma once
/// CUDA kernels of op/embed.hpp and op/pool.hpp: gathers, and their gradients without atomics.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/rows.cuh"

namespace radapt {

namespace detail::gpu {

/// A row of patches of width 3 patch patch, from an image.
template <class T>
struct ExtractPatches {
  T* patches;
  const float* pixels;
  unsigned size, patch;

  /// First pixel of the patch.
  const __device__ float* row(Index r) const {
    const Index grid = size / patch, gx = r % grid, gy = r / grid % grid, n = r / (grid * grid);
    return pixels + (n * 3 * size + gy * patch) * size + gx * patch;
  }
  /// N divides a row of a patch.
  template <unsigned N>
  __device__ void operator()(const float* from, Index r, unsigned i) const {
    const unsigned x = i % patch, y = i / patch % patch, c = i / (patch * patch);
    store(patches + r * 3 * patch * patch + i, load<N>(from + (Index{c} * size + y) * size + x));
  }
};

template <class T>
struct AssembleTokens {
  T* y;
  const T* patches;
  const float *class_embedding, *positions;
  Index tokens, width;

  struct Row {
    const T* token;  ///< null in a row that begins with the class embedding
    const float* position;
  };
  __device__ Row row(Index r) const {
    const Index t = r % tokens, n = r / tokens;
    return {t == 0 ? nullptr : patches + (n * (tokens - 1) + t - 1) * width, positions + t * width};
  }
  template <unsigned N>
  __device__ void operator()(const Row& row, Index r, Index c) const {
    Floats<N> sums = load<N>(row.position + c);
    const Floats<N> token = row.token == nullptr ? load<N>(class_embedding + c) : load<N>(row.token + c);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { sums.x[e] += token.x[e]; }
    store(y + r * width + c, sums);
  }
};
template <class T>
struct PatchGradient {
  T* dpatches;
  const T* dy;
  Index tokens, width;
  const __device__ T* row(Index r) const { return dy + (r / (tokens - 1) * tokens + r % (tokens - 1) + 1) * width; }
  template <unsigned N>
  __device__ void operator()(const T* from, Index r, Index c) const {
    copy<N>(dpatches + r * width + c, from + c);
  }
};

/// target[t][column] += sum of dy over the sequences that have a position t, in their order.
template <class T>
struct PositionGradient {
  float* target;
  const T* dy;
  Index width;
  Sequences sequences;
  __device__ void operator()(Index i) const {
    const Index column = i % width, t = i / width;
    double sum = 0;
    for (Index s = 0; s < sequences.count; ++s) {
      if (t < sequences.length(s)) { sum += static_cast<double>(load(dy + (sequences.begin(s) + t) * width + column)); }
    }
    target[i] += static_cast<float>(sum);
  }
};

template <class T>
struct EmbedTokens {
  T* y;
  const std::int32_t* ids;
  const float *table, *positions;
  Index width;
  Sequences sequences;

  struct Row {
    const float *token, *position;
  };
  __device__ Row row(Index r) const {
    const Index t = r - sequences.begin(sequence_of(sequences, r));
    return {table + static_cast<Index>(ids[r]) * width, positions + t * width};
  }
  template <unsigned N>
  __device__ void operator()(const Row& row, Index r, Index c) const {
    Floats<N> sums = load<N>(row.token + c);
    const Floats<N> position = load<N>(row.position + c);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { sums.x[e] += position.x[e]; }
    store(y + r * width + c, sums);
  }
};

inline constexpr unsigned scatter_threads = 128;

/// dtable[id] += sum of dy over the rows with that id, in their order. A block for each row; the first row with an id
/// does the work of all of them.
template <class T>
__global__ void __launch_bounds__(scatter_threads)
    scatter_rows_kernel(float* dtable, const T* dy, const std::int32_t* ids, Index rows, Index width) {
  const Index row = blockIdx.x;
  const std::int32_t id = ids[row];
  Index before = 0;
  for (Index r = threadIdx.x; r < row; r += scatter_threads) { before += ids[r] == id ? 1 : 0; }
  if (block_sum<scatter_threads>(before) != 0) { return; }
  for (Index column = threadIdx.x; column < width; column += scatter_threads) {
    double sum = 0;
    for (Index r = row; r < rows; ++r) {
      if (ids[r] == id) { sum += static_cast<double>(load(dy + r * width + column)); }
    }
    dtable[static_cast<Index>(id) * width + column] += static_cast<float>(sum);
  }
}

template <class T>
struct Pool {
  T* y;
  const T* x;
  Index width;
  Pooling pooling;
  Sequences sequences;
  const __device__ T* row(Index i) const { return x + op::pooled_row(sequences, pooling, i) * width; }
  template <unsigned N>
  __device__ void operator()(const T* from, Index i, Index c) const {
    copy<N>(y + i * width + c, from + c);
  }
};
/// to = from, or to += from, for N neighbours.
template <unsigned N, class T>
__device__ void put_or_add(T* to, const T* from, bool adds) {
  if (!adds) {
    copy<N>(to, from);
    return;
  }
  Floats<N> sums = load<N>(to);
  const Floats<N> more = load<N>(from);
  RADAPT_UNROLL
  for (unsigned e = 0; e < N; ++e) { sums.x[e] += more.x[e]; }
  store(to, sums);
}
/// For every row of dx.
template <class T>
struct PoolBackward {
  T* dx;
  const T* dy;
  Index width;
  Pooling pooling;
  Sequences sequences;
  bool adds;

  /// The gradient that the row gets, null for one that is not pooled.
  const __device__ T* row(Index r) const {
    const Index s = sequence_of(sequences, r);
    return op::pooled_row(sequences, pooling, s) == r ? dy + s * width : nullptr;
  }
  template <unsigned N>
  __device__ void operator()(const T* from, Index r, Index c) const {
    T* const to = dx + r * width + c;
    if (from != nullptr) {
      put_or_add<N>(to, from + c, adds);
    } else if (!adds) {
      store(to, Floats<N>{});
    }
  }
};
/// For every row of dy, where pools_single_rows: rows of dx belong to no sequence.
template <class T>
struct PoolBackwardOfSingleRows {
  T* dx;
  const T* dy;
  Index width;
  const Index* pooled;
  bool adds;

  __device__ T* row(Index i) const { return dx + pooled[i] * width; }
  template <unsigned N>
  __device__ void operator()(T* to, Index i, Index c) const {
    put_or_add<N>(to + c, dy + i * width + c, adds);
  }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::extract_patches<T>& o) {
  detail::gpu::Call call(backend);
  T* const patches = call.out(o.patches).data;
  const float* const pixels = call.in(o.pixels).data;
  map_rows<T>(
      call, o.name, o.patches.rows, o.patches.columns,
      detail::gpu::ExtractPatches<T>{patches, pixels, static_cast<unsigned>(o.size), static_cast<unsigned>(o.patch)},
      {o.size, o.patch}, patches, pixels);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::assemble_tokens_forward<T>& o) {
  detail::gpu::Call call(backend);
  T* const y = call.out(o.y).data;
  const T* const patches = call.in(o.patches).data;
  const float *const first = call.in(o.class_embedding).data, *const positions = call.in(o.positions).data;
  map_rows<T>(call, o.name, o.y.rows, o.y.columns,
              detail::gpu::AssembleTokens<T>{y, patches, first, positions, o.positions.rows, o.y.columns}, {}, y,
              patches, first, positions);
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
    T* const dpatches = call.out(o.dpatches).data;
    map_rows<T>(call, o.name, o.dpatches.rows, width, PatchGradient<T>{dpatches, dy, tokens, width}, {}, dpatches, dy);
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
  T* const y = call.out(o.y).data;
  const float *const table = call.in(o.table).data, *const positions = call.in(o.positions).data;
  map_rows<T>(
      call, o.name, o.y.rows, o.y.columns,
      detail::gpu::EmbedTokens<T>{y, call.in(o.ids, o.y.rows), table, positions, o.y.columns, call.in(o.sequences)}, {},
      y, table, positions);
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
  T* const y = call.out(o.y).data;
  const T* const x = call.in(o.x).data;
  map_rows<T>(call, o.name, o.y.rows, o.y.columns,
              detail::gpu::Pool<T>{y, x, o.y.columns, o.pooling, call.in(o.sequences)}, {}, y, x);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::pool_backward<T>& o) {
  detail::gpu::Call call(backend);
  T* const dx = (o.adds ? call.updated(o.dx) : call.out(o.dx)).data;
  const T* const dy = call.in(o.dy).data;
  const Index width = o.dx.columns;
  if (op::pools_single_rows(o.sequences)) {
    if (!o.adds && o.dx.size() != 0) { detail::gpu::runtime::clear(dx, o.dx.size() * sizeof(T), call.stream()); }
    map_rows<T>(call, o.name, o.dy.rows, width,
                detail::gpu::PoolBackwardOfSingleRows<T>{dx, dy, width, call.in(o.sequences).pooled, o.adds}, {}, dx,
                dy);
  } else {
    map_rows<T>(call, o.name, o.dx.rows, width,
                detail::gpu::PoolBackward<T>{dx, dy, width, o.pooling, call.in(o.sequences), o.adds}, {}, dx, dy);
  }
  call.done();
}

}  // namespace radapt
