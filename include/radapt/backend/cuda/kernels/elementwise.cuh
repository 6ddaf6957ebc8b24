#pragma once
/// CUDA kernels of op/elementwise.hpp, op/columns.hpp, op/convert.hpp, op/dropout.hpp and op/draw_mask.hpp.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/rows.cuh"

namespace radapt {

namespace detail::gpu {

/// factor * scale, where scale is a parameter in device memory or null.
__device__ inline float coefficient(double factor, const float* scale) {
  return static_cast<float>(factor) * (scale == nullptr ? 1.0F : *scale);
}

template <class T>
struct Add {
  T* y;
  const T* x;
  template <unsigned N>
  __device__ void operator()(Index i) const {
    Floats<N> sums = load<N>(y + i);
    const Floats<N> added = load<N>(x + i);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { sums.x[e] += added.x[e]; }
    store(y + i, sums);
  }
};

/// y = x in other elements.
template <class Y, class X>
struct Convert {
  Y* y;
  const X* x;
  template <unsigned N>
  __device__ void operator()(Index i) const {
    store(y + i, load<N>(x + i));
  }
};

template <class T>
struct ScaledAdd {
  T* y;
  const T *x, *z;
  Index width;
  double factor;
  const float* scale;
  op::KeptRows kept;

  struct Row {
    Index first;
    bool kept;
    float coefficient;
  };
  __device__ Row row(Index r) const { return {r * width, keeps_row(kept, r), coefficient(factor, scale)}; }
  template <unsigned N>
  __device__ void operator()(const Row& row, Index, Index c) const {
    const Index i = row.first + c;
    Floats<N> sums = load<N>(x + i);
    if (row.kept) {
      const Floats<N> added = load<N>(z + i);
      RADAPT_UNROLL
      for (unsigned e = 0; e < N; ++e) { sums.x[e] += row.coefficient * added.x[e]; }
    }
    store(y + i, sums);
  }
};

/// partial[r] = <a_r, b_r> of a kept row, 0 of another.
template <class T, unsigned N>
__global__ void __launch_bounds__(map_threads)
    kept_products_kernel(Matrix<const T> a, Matrix<const T> b, op::KeptRows kept, double* partial) {
  const Index r = blockIdx.x;
  double sum = 0;
  if (keeps_row(kept, r)) {
    for (Index i = r * a.columns + threadIdx.x * N; i < (r + 1) * a.columns; i += map_threads * N) {
      const Floats<N> left = load<N>(a.data + i), right = load<N>(b.data + i);
      RADAPT_UNROLL
      for (unsigned e = 0; e < N; ++e) { sum += static_cast<double>(left.x[e]) * static_cast<double>(right.x[e]); }
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
  template <unsigned N>
  __device__ void operator()(const Row& row, Index, Index c) const {
    copy<N>(row.y + c, row.x + c);
  }
};

template <class T>
struct AddColumns {
  Matrix<T> y;
  Matrix<const T> z;
  Index first;
  double factor;
  const float* scale;
  op::KeptRows kept;

  struct Row {
    T* y;
    const T* z;
    bool kept;
    float coefficient;
  };
  __device__ Row row(Index r) const {
    return {y.data + r * y.columns + first, z.data + r * z.columns, keeps_row(kept, r), coefficient(factor, scale)};
  }
  template <unsigned N>
  __device__ void operator()(const Row& row, Index, Index c) const {
    if (!row.kept) { return; }
    Floats<N> sums = load<N>(row.y + c);
    const Floats<N> added = load<N>(row.z + c);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { sums.x[e] += row.coefficient * added.x[e]; }
    store(row.y + c, sums);
  }
};

/// One thread for the four elements that share the words of one draw.
template <class T>
struct Drop {
  T* y;
  const T* x;
  Index width, groups;  // groups of four in the longest sequence
  float rescale;
  bool aligned;  ///< x and y may be read and written in fours where a sequence begins at a multiple of four elements
  op::ElementDraws draws;
  Sequences sequences;
  __device__ void operator()(Index i) const {
    const Index s = i / groups, group = i % groups;
    const Index first = sequences.begin(s) * width, count = sequences.length(s) * width;
    if (group * 4 >= count) { return; }
    const auto words = draws.words(s, group);
    const Index begin = first + group * 4;
    if (aligned && first % 4 == 0 && group * 4 + 4 <= count) {
      Floats<4> values = load<4>(x + begin);
      RADAPT_UNROLL
      for (unsigned j = 0; j < 4; ++j) { values.x[j] = draws.keeps(words[j]) ? values.x[j] * rescale : 0.0F; }
      store(y + begin, values);
      return;
    }
    for (Index j = 0; j < 4 && group * 4 + j < count; ++j) {
      store(y + begin + j, draws.keeps(words[j]) ? load(x + begin + j) * rescale : 0.0F);
    }
  }
};

struct DrawMask {
  std::uint8_t* mask;
  Index first;
  MaskDraws draws;
  const std::uint8_t* given;
  __device__ void operator()(Index i) const {
    const bool keeps = given == nullptr ? draws.keeps(first + i) : given[i] != 0;
    mask[i] = keeps ? 1 : 0;
  }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::add<T>& o) {
  detail::gpu::Call call(backend);
  T* const y = call.updated(o.y).data;
  const T* const x = call.in(o.x).data;
  map_elements<T>(call, o.name, o.y.size(), detail::gpu::Add<T>{y, x}, y, x);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::widen<T>& o) {
  detail::gpu::Call call(backend);
  float* const y = call.out(o.y).data;
  const T* const x = call.in(o.x).data;
  map_elements<T>(call, o.name, o.y.size(), detail::gpu::Convert<float, T>{y, x}, y, x);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::narrow<T>& o) {
  detail::gpu::Call call(backend);
  T* const y = call.out(o.y).data;
  const float* const x = call.in(o.x).data;
  map_elements<T>(call, o.name, o.y.size(), detail::gpu::Convert<T, float>{y, x}, y, x);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::scaled_add<T>& o) {
  detail::gpu::Call call(backend);
  T* const y = call.out(o.y).data;
  const T *const x = call.in(o.x).data, *const z = call.in(o.z).data;
  map_rows<T>(call, o.name, o.y.rows, o.y.columns,
              detail::gpu::ScaledAdd<T>{y, x, z, o.y.columns, o.factor, call.in(o.scale, 1), call.in(o.kept)}, {}, y, x,
              z);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::scaled_add_backward_scale<T>& o) {
  detail::gpu::Call call(backend);
  using namespace detail::gpu;
  double* const partial = call.workspace<double>(o.a.rows);
  const Matrix<const T> a = call.in(o.a), b = call.in(o.b);
  const op::KeptRows kept = call.in(o.kept);
  with_neighbours<T, map_neighbours>(
      a.columns,
      [&]<unsigned N>() {
        call.run(o.name, dim3(static_cast<unsigned>(a.rows)), map_threads, kept_products_kernel<T, N>, a, b, kept,
                 partial);
      },
      a.data, b.data);
  sum(call, o.name, o.a.rows, Given{partial}, AddTo<float>{call.updated(o.dscale, 1), o.factor});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::take_columns<T>& o) {
  detail::gpu::Call call(backend);
  const Matrix<T> y = call.out(o.y);
  const Matrix<const T> x = call.in(o.x);
  map_rows<T>(call, o.name, y.rows, y.columns, detail::gpu::TakeColumns<T>{y, x, o.first}, {x.columns, o.first}, y.data,
              x.data);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::add_columns<T>& o) {
  detail::gpu::Call call(backend);
  const Matrix<T> y = call.updated(o.y);
  const Matrix<const T> z = call.in(o.z);
  map_rows<T>(call, o.name, z.rows, z.columns,
              detail::gpu::AddColumns<T>{y, z, o.first, o.factor, call.in(o.scale, 1), call.in(o.kept)},
              {y.columns, o.first}, y.data, z.data);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::dropout<T>& o) {
  detail::gpu::Call call(backend);
  const Index groups = (o.sequences.longest() * o.y.columns + 3) / 4;
  T* const y = call.out(o.y).data;
  const T* const x = call.in(o.x).data;
  map(call, o.name, o.sequences.count * groups,
      detail::gpu::Drop<T>{y, x, o.y.columns, groups, static_cast<float>(1.0 / (1.0 - o.draws.probability)),
                           detail::gpu::in_packs<4>(y, x), o.draws, call.in(o.sequences)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::draw_mask<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.entries,
      detail::gpu::DrawMask{call.out(o.mask, o.entries), o.first, o.draws, call.in(o.given, o.entries)});
  call.done();
}

}  // namespace radapt
