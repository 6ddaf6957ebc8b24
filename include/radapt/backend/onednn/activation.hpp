#pragma once
/// CPU kernels of op/activation.hpp, vectorised by Eigen whatever the compiler's target is.
#include <algorithm>

#include <Eigen/Core>
#include <unsupported/Eigen/SpecialFunctions>

#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/op/activation.hpp"

namespace radapt {

namespace detail::cpu {

constexpr Index activation_chunk = 4096;  // elements: fits in the first-level cache with its temporaries

/// Calls f(begin, size) for pieces of `elements`, in parallel.
template <class F>
void for_each_piece(Index elements, F&& f) {
  parallel_for((elements + activation_chunk - 1) / activation_chunk, 4, [&](Index c) {
    const Index begin = c * activation_chunk;
    f(begin, std::min(activation_chunk, elements - begin));
  });
}

inline void activate_piece(Activation kind, const float* in, float* out, Index n) {
  const Eigen::Map<const Eigen::ArrayXf> x(in, static_cast<Eigen::Index>(n));
  Eigen::Map<Eigen::ArrayXf> y(out, static_cast<Eigen::Index>(n));
  switch (kind) {
    case Activation::quick_gelu:
      y = x / (1.0f + (-1.702f * x).exp());
      break;
    case Activation::gelu:
      y = 0.5f * x * (1.0f + (x * 0.70710678f).erf());
      break;
    case Activation::gelu_tanh:
      y = 0.5f * x * (1.0f + (0.79788456f * (x + 0.044715f * x.cube())).tanh());
      break;
  }
}

inline void slope_piece(Activation kind, const float* in, const float* gradient, float* out, Index n) {
  const Eigen::Map<const Eigen::ArrayXf> x(in, static_cast<Eigen::Index>(n)),
      dy(gradient, static_cast<Eigen::Index>(n));
  Eigen::Map<Eigen::ArrayXf> dx(out, static_cast<Eigen::Index>(n));
  Eigen::Array<float, Eigen::Dynamic, 1, 0, static_cast<int>(activation_chunk), 1> t(static_cast<Eigen::Index>(n));
  switch (kind) {
    case Activation::quick_gelu:
      t = 1.0f / (1.0f + (-1.702f * x).exp());
      dx = dy * (t + 1.702f * x * t * (1.0f - t));
      break;
    case Activation::gelu:
      dx = dy * (0.5f * (1.0f + (x * 0.70710678f).erf()) + x * 0.39894228f * (-0.5f * x.square()).exp());
      break;
    case Activation::gelu_tanh:
      t = (0.79788456f * (x + 0.044715f * x.cube())).tanh();
      dx = dy * (0.5f * (1.0f + t) + 0.5f * x * (1.0f - t.square()) * 0.79788456f * (1.0f + 0.134145f * x.square()));
      break;
  }
}

}  // namespace detail::cpu

inline void launch(onednn&, const op::activation_forward<float>& o) {
  detail::cpu::for_each_piece(o.x.size(), [&](Index begin, Index n) {
    detail::cpu::activate_piece(o.kind, o.x.data + begin, o.y.data + begin, n);
  });
}

inline void launch(onednn&, const op::activation_backward<float>& o) {
  detail::cpu::for_each_piece(o.x.size(), [&](Index begin, Index n) {
    detail::cpu::slope_piece(o.kind, o.x.data + begin, o.dy.data + begin, o.dx.data + begin, n);
  });
}

}  // namespace radapt
