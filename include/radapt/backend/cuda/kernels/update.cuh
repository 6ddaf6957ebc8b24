#pragma once
/// CUDA kernels of op/update.hpp: one pass over flat buffers. AdamW with its average reads 20 bytes and writes 16 for
/// each parameter.
#include "radapt/backend/cuda/kernels/map.cuh"

namespace radapt {

namespace detail::gpu {

template <class T>
struct AdamWStep {
  T *p, *m, *v, *average;
  const T *gradients, *clip;
  T gradient_scale, b1, b2, keep, rate, root, eps, momentum, fresh;
  __device__ void operator()(Index i) const {
    const T shrinks = clip == nullptr ? T{1} : *clip;
    if (shrinks != shrinks) { return; }
    const T g = gradient_scale * shrinks * gradients[i];
    const T first = b1 * m[i] + (T{1} - b1) * g, second = b2 * v[i] + (T{1} - b2) * g * g;
    const T value = p[i] * keep - rate * first / (std::sqrt(second) * root + eps);
    m[i] = first;
    v[i] = second;
    p[i] = value;
    if (average != nullptr) { average[i] = momentum * average[i] + fresh * value; }
  }
};

/// The square of the distance from the anchor; adds its gradient on the way.
template <class T>
struct DistanceFromAnchor {
  T* gradients;
  const T *parameters, *anchor;
  T twice;
  __device__ double operator()(Index i) const {
    const T difference = parameters[i] - anchor[i];
    gradients[i] += twice * difference;
    return static_cast<double>(difference) * static_cast<double>(difference);
  }
};

/// On one thread.
template <class T>
struct ClipFactor {
  const double* squares;
  Vector<const double> losses;
  double most;
  T* factor;
  __device__ void operator()(Index) const {
    double nothing = *squares - *squares;  // 0, or NaN where something is not finite
    for (Index i = 0; i < losses.size; ++i) { nothing += losses.data[i] - losses.data[i]; }
    const double shrinks = most > 0 ? most / (std::sqrt(*squares) + 1e-6) : 1.0;
    *factor = static_cast<T>((shrinks < 1.0 ? shrinks : 1.0) + nothing);
  }
};

}  // namespace detail::gpu

template <std::same_as<float> T>
void launch(cuda& backend, const op::adamw<T>& o) {
  detail::gpu::Call call(backend);
  const double correction1 = 1.0 - std::pow(o.beta1, static_cast<double>(o.step));
  const double correction2 = 1.0 - std::pow(o.beta2, static_cast<double>(o.step));
  map(call, o.name, o.parameters.size,
      detail::gpu::AdamWStep<T>{.p = call.updated(o.parameters).data,
                                .m = call.updated(o.first_moment).data,
                                .v = call.updated(o.second_moment).data,
                                .average = call.updated(o.average).data,
                                .gradients = call.in(o.gradients).data,
                                .clip = call.in(o.clip, o.clip == nullptr ? 0 : 1),
                                .gradient_scale = static_cast<T>(o.gradient_scale),
                                .b1 = static_cast<T>(o.beta1),
                                .b2 = static_cast<T>(o.beta2),
                                .keep = static_cast<T>(1.0 - o.lr * o.weight_decay),
                                .rate = static_cast<T>(o.lr / correction1),
                                .root = static_cast<T>(1.0 / std::sqrt(correction2)),
                                .eps = static_cast<T>(o.eps),
                                .momentum = static_cast<T>(o.average_momentum),
                                .fresh = static_cast<T>(1.0 - o.average_momentum)});
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::distance_penalty<T>& o) {
  detail::gpu::Call call(backend);
  sum(call, o.name, o.parameters.size,
      detail::gpu::DistanceFromAnchor<T>{call.updated(o.gradients).data, call.in(o.parameters).data,
                                         call.in(o.anchor).data, static_cast<T>(2 * o.strength)},
      detail::gpu::AddTo<double>{call.updated(o.loss, 1), o.strength});
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::sum_of_squares<T>& o) {
  detail::gpu::Call call(backend);
  sum(call, o.name, o.x.size, detail::gpu::Square<T>{call.in(o.x).data},
      detail::gpu::AddTo<double>{call.updated(o.result, 1), 1.0});
  call.done();
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::clip_factor<T>& o) {
  detail::gpu::Call call(backend);
  map(call, o.name, 1,
      detail::gpu::ClipFactor<T>{.squares = call.in(o.squares, 1),
                                 .losses = call.in(o.losses),
                                 .most = o.most,
                                 .factor = call.out(o.factor, 1)});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::clear<T>& o) {
  detail::gpu::Call call(backend);
  if (o.x.size != 0) { detail::gpu::runtime::clear(call.out(o.x).data, o.x.size * sizeof(T), call.stream()); }
  call.done();
}

}  // namespace radapt
