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
  __device__ void operator()(Index i) const {
    y[i] = keeps_row(kept, i / width) ? x[i] + coefficient(factor, scale) * z[i] : x[i];
  }
};

template <class T>
struct KeptProduct {
  const T *a, *b;
  Index width;
  op::KeptRows kept;
  __device__ double operator()(Index i) const {
    return keeps_row(kept, i / width) ? static_cast<double>(a[i]) * static_cast<double>(b[i]) : 0.0;
  }
};

template <class T>
struct TakeColumns {
  Matrix<T> y;
  Matrix<const T> x;
  Index first;
  __device__ void operator()(Index i) const { y.data[i] = x.data[i / y.columns * x.columns + first + i % y.columns]; }
};

template <class T>
struct AddColumns {
  Matrix<T> y;
  Matrix<const T> z;
  Index first;
  double factor;
  const T* scale;
  op::KeptRows kept;
  __device__ void operator()(Index i) const {
    const Index row = i / z.columns;
    if (keeps_row(kept, row)) {
      y.data[row * y.columns + first + i % z.columns] += coefficient(factor, scale) * z.data[i];
    }
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
  map(call, o.name, o.y.size(),
      detail::gpu::ScaledAdd<T>{call.out(o.y).data, call.in(o.x).data, call.in(o.z).data, o.y.columns, o.factor,
                                call.in(o.scale, 1), call.in(o.kept)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::scaled_add_backward_scale<T>& o) {
  detail::gpu::Call call(backend);
  sum(call, o.name, o.a.size(),
      detail::gpu::KeptProduct<T>{call.in(o.a).data, call.in(o.b).data, o.a.columns, call.in(o.kept)},
      detail::gpu::AddTo<T>{call.updated(o.dscale, 1), o.factor});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::take_columns<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.y.size(), detail::gpu::TakeColumns<T>{call.out(o.y), call.in(o.x), o.first});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::add_columns<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.z.size(),
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
