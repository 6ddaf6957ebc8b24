#pragma once
/// CUDA kernels of op/activation.hpp: one pass, 2 reads or 3 and a write of 4 bytes for each element.
#include "radapt/backend/cuda/kernels/map.cuh"

namespace radapt {

namespace detail::gpu {

template <class T>
__device__ T activate(Activation kind, T x) {
  if (kind == Activation::relu) { return x < T{0} ? T{0} : x; }
  if (kind == Activation::quick_gelu) { return x / (T{1} + std::exp(T(-1.702) * x)); }
  if (kind == Activation::gelu) { return T{0.5} * x * (T{1} + std::erf(x * T(0.7071067811865475244))); }
  return T{0.5} * x * (T{1} + std::tanh(T(0.7978845608028653559) * (x + T(0.044715) * x * x * x)));
}

template <class T>
__device__ T activation_slope(Activation kind, T x) {
  if (kind == Activation::relu) { return x > T{0} ? T{1} : T{0}; }
  if (kind == Activation::quick_gelu) {
    const T s = T{1} / (T{1} + std::exp(T(-1.702) * x));
    return s + T(1.702) * x * s * (T{1} - s);
  }
  if (kind == Activation::gelu) {
    return T{0.5} * (T{1} + std::erf(x * T(0.7071067811865475244))) +
           x * T(0.3989422804014326779) * std::exp(T{-0.5} * x * x);
  }
  const T t = std::tanh(T(0.7978845608028653559) * (x + T(0.044715) * x * x * x));
  return T{0.5} * (T{1} + t) +
         T{0.5} * x * (T{1} - t * t) * T(0.7978845608028653559) * (T{1} + T(3 * 0.044715) * x * x);
}

template <class T>
struct Activate {
  T* y;
  const T* x;
  Activation kind;
  __device__ void operator()(Index i) const { y[i] = activate(kind, x[i]); }
};
template <class T>
struct ActivateBackward {
  T* dx;
  const T *dy, *x;
  Activation kind;
  __device__ void operator()(Index i) const { dx[i] = dy[i] * activation_slope(kind, x[i]); }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::activation_forward<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.y.size(), detail::gpu::Activate<T>{call.out(o.y).data, call.in(o.x).data, o.kind});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::activation_backward<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, o.dx.size(),
      detail::gpu::ActivateBackward<T>{call.out(o.dx).data, call.in(o.dy).data, call.in(o.x).data, o.kind});
  call.done();
}

}  // namespace radapt
