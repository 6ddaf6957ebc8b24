#pragma once
/// CUDA kernels of op/elementwise.hpp, op/columns.hpp, op/dropout.hpp and op/draw_mask.hpp.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/rows.cuh"

namespace radapt {

namespace detail::gpu {

/// factor * scale, where scale is a parameter in device memory or null.
template <class T>
__device__ T coefficient(double factor, const T* scale) {
  return static_cast<T>(factor) * (scale == nullptr ? T{1} : *scale);
}

template <class T>
struct Add {
  T* y;
  const T* x;
  __device__ void operator()(Index i) const { y[i] += x[i]; }
};

template <class T>
struct ScaledAdd {
  T* y;
  const T *x, *z;
  Index width;
  double factor;
  const T* scale;
  op::KeptRows kept;

  struct Row {
    Index first;
    bool kept;
    T coefficient;
  };
  __device__ Row row(Index r) const { return {r * width, keeps_row(kept, r), coefficient(factor, scale)}; }
  __device__ void operator()(const Row& row, Index, Index c) const {
    const Index i = row.first + c;
    y[i] = row.kept ? x[i] + row.coefficient * z[i] : x[i];
  }
};

/// partial[r] = <a_r, b_r> of a kept row, 0 of another.
template <class T>
__global__ void __launch_bounds__(map_threads)
    kept_products_kernel(Matrix<const T> a, Matrix<const T> b, op::KeptRows kept, double* partial) {
  const Index r = blockIdx.x;
  double sum = 0;
  if (keeps_row(kept, r)) {
    for (Index i = r * a.columns + threadIdx.x; i < (r + 1) * a.columns; i += map_threads) {
      sum += static_cast<double>(a.data[i]) * static_cast<double>(b.data[i]);
    }
  }
  sum = block_sum<map_threads>(sum);
  if (threadIdx.x == 0) { partial[r] = sum; }
}
template <class T>
struct TakeColumns {
  Matrix<T> y;
  Matrix<const T> x;
  Index first;

  struct Row {
    T* y;
    const T* x;
  };
  __device__ Row row(Index r) const { return {y.data + r * y.columns, x.data + r * x.columns + first}; }
  __device__ void operator()(const Row& row, Index, Index c) const { row.y[c] = row.x[c]; }
};

template <class T>
struct AddColumns {
  Matrix<T> y;
  Matrix<const T> z;
  Index first;
  double factor;
  const T* scale;
  op::KeptRows kept;

  struct Row {
    T* y;
    const T* z;
    bool kept;
    T coefficient;
  };
  __device__ Row row(Index r) const {
    return {y.data + r * y.columns + first, z.data + r * z.columns, keeps_row(kept, r), coefficient(factor, scale)};
  }
  __device__ void operator()(const Row& row, Index, Index c) const {
    if (row.kept) { row.y[c] += row.coefficient * row.z[c]; }
  }
};

/// One thread for the four elements that share the words of one draw.
template <class T>
struct Drop {
  T* y;
  const T* x;
  Index width, groups;  // groups of four in the longest sequence
  T rescale;
  op::ElementDraws draws;
  Sequences sequences;
  __device__ void operator()(Index i) const {
    const Index s = i / groups, group = i % groups;
    const Index first = sequences.begin(s) * width, count = sequences.length(s) * width;
    if (group * 4 >= count) { return; }
    const auto words = draws.words(s, group);
    for (Index j = 0; j < 4 && group * 4 + j < count; ++j) {
      const Index at = first + group * 4 + j;
      y[at] = draws.keeps(words[j]) ? x[at] * rescale : T{0};
    }
  }
};

struct DrawMask {
  std::uint8_t* mask;
  Index first;
  MaskDraws draws;
  __device__ void operator()(Index i) const { mask[i] = draws.keeps(first + i) ? 1 : 0; }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::add<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.y.size(), detail::gpu::Add<T>{call.updated(o.y).data, call.in(o.x).data});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::scaled_add<T>& o) {
  detail::gpu::Call call(backend);
  map_rows(call, o.name, o.y.rows, o.y.columns,
           detail::gpu::ScaledAdd<T>{call.out(o.y).data, call.in(o.x).data, call.in(o.z).data, o.y.columns, o.factor,
                                     call.in(o.scale, 1), call.in(o.kept)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::scaled_add_backward_scale<T>& o) {
  detail::gpu::Call call(backend);
  using namespace detail::gpu;
  double* const partial = call.workspace<double>(o.a.rows);
  call.run(o.name, dim3(static_cast<unsigned>(o.a.rows)), map_threads, kept_products_kernel<T>, call.in(o.a),
           call.in(o.b), call.in(o.kept), partial);
  sum(call, o.name, o.a.rows, Given{partial}, AddTo<T>{call.updated(o.dscale, 1), o.factor});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::take_columns<T>& o) {
  detail::gpu::Call call(backend);
  map_rows(call, o.name, o.y.rows, o.y.columns, detail::gpu::TakeColumns<T>{call.out(o.y), call.in(o.x), o.first});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::add_columns<T>& o) {
  detail::gpu::Call call(backend);
  map_rows(call, o.name, o.z.rows, o.z.columns,
           detail::gpu::AddColumns<T>{call.updated(o.y), call.in(o.z), o.first, o.factor, call.in(o.scale, 1),
                                      call.in(o.kept)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::dropout<T>& o) {
  detail::gpu::Call call(backend);
  const Index groups = (o.sequences.longest() * o.y.columns + 3) / 4;
  map(call, o.name, o.sequences.count * groups,
      detail::gpu::Drop<T>{call.out(o.y).data, call.in(o.x).data, o.y.columns, groups,
                           static_cast<T>(1.0 / (1.0 - o.draws.probability)), o.draws, call.in(o.sequences)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::draw_mask<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.entries, detail::gpu::DrawMask{call.out(o.mask, o.entries), o.first, o.draws});
  call.done();
}

}  // namespace radapt
