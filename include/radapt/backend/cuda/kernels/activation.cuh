#pragma once
/// CUDA kernels of op/activation.hpp: one pass, a read or 2 and a write for each element: bound by memory.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/op/activation.hpp"

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

/// What a product does to an element of its result: nothing, or an activation that is known when it is compiled.
struct NoActivation {
  __device__ float operator()(float x) const { return x; }
};
template <Activation Kind>
struct Activated {
  __device__ float operator()(float x) const { return activate(Kind, x); }
};
/// Calls use(Activated<kind>{}).
template <class F>
void with_activation(Activation kind, const F& use) {
  switch (kind) {
    case Activation::quick_gelu:
      return use(Activated<Activation::quick_gelu>{});
    case Activation::gelu:
      return use(Activated<Activation::gelu>{});
    case Activation::gelu_tanh:
      return use(Activated<Activation::gelu_tanh>{});
    case Activation::relu:
      return use(Activated<Activation::relu>{});
  }
}

template <class T>
struct Activate {
  T* y;
  const T* x;
  Activation kind;
  template <unsigned N>
  __device__ void operator()(Index i) const {
    Floats<N> values = load<N>(x + i);
    RADAPT_UNROLL
    for (float& v : values.x) { v = activate(kind, v); }
    store(y + i, values);
  }
};
template <class T>
struct ActivateBackward {
  T* dx;
  const T *dy, *x;
  Activation kind;
  template <unsigned N>
  __device__ void operator()(Index i) const {
    Floats<N> gradients = load<N>(dy + i);
    const Floats<N> at = load<N>(x + i);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { gradients.x[e] *= activation_slope(kind, at.x[e]); }
    store(dx + i, gradients);
  }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::activation_forward<T>& o) {
  detail::gpu::Call call(backend);
  T* const y = call.out(o.y).data;
  const T* const x = call.in(o.x).data;
  map_elements<T>(call, o.name, o.y.size(), detail::gpu::Activate<T>{y, x, o.kind}, y, x);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::activation_backward<T>& o) {
  detail::gpu::Call call(backend);
  T* const dx = call.out(o.dx).data;
  const T *const dy = call.in(o.dy).data, *const x = call.in(o.x).data;
  map_elements<T>(call, o.name, o.dx.size(), detail::gpu::ActivateBackward<T>{dx, dy, x, o.kind}, dx, dy, x);
  call.done();
}

}  // namespace radapt
