#pragma once
/// Reference kernels of op/pooled_attention.hpp. The forward pass computes keys and values, as the definition has them;
/// the backward pass is the algebra of the operation, which finite differences of the forward pass check.
#include <cmath>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/pooled_attention.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::pooled_attention_forward<T>& o) {
  using namespace detail::eigen;
  const Index width = o.y.columns, d = width / o.heads;
  const T scale = T{1} / std::sqrt(static_cast<T>(d));
  for (Index i = 0; i < o.sequences.count; ++i) {
    const Index first = o.sequences.begin(i), length = o.sequences.length(i);
    const Index seen = o.causal ? pooled_position(o.sequences, o.pooling, i) + 1 : length;
    const auto x = strided(o.x.data + first * width, seen, width, width);
    for (Index h = 0; h < o.heads; ++h) {
      const auto q = strided(o.q.data + i * width + h * d, 1, d, width);
      const RowMajor<T> k = x * strided(o.key.data + h * d * width, d, width, width).transpose();
      const RowMajor<T> v = x * strided(o.value.data + h * d * width, d, width, width).transpose();
      RowMajor<T> p = q * k.transpose() * scale;  // b_k adds the same to all
      p = (p.array() - p.maxCoeff()).exp().matrix().eval();
      p /= p.sum();
      auto y = strided(o.y.data + i * width + h * d, 1, d, width);
      y = p * v;
      for (Index c = 0; o.value_bias.data != nullptr && c < d; ++c) { y(0, extent(c)) += o.value_bias.data[h * d + c]; }
      if (o.probabilities.data == nullptr) { continue; }
      for (Index t = 0; t < length; ++t) {
        o.probabilities.data[(first + t) * o.heads + h] = t < seen ? p(0, extent(t)) : T{0};
      }
    }
  }
}

template <class T>
void launch(reference&, const op::pooled_attention_backward<T>& o) {
  using namespace detail::eigen;
  const Index width = o.dy.columns, d = width / o.heads;
  const T scale = T{1} / std::sqrt(static_cast<T>(d));
  for (Index i = 0; i < o.sequences.count; ++i) {
    const Index first = o.sequences.begin(i), length = o.sequences.length(i);
    const auto x = strided(o.x.data + first * width, length, width, width);
    auto dx = strided(o.dx.data + first * width, length, width, width);
    dx.setZero();
    for (Index h = 0; h < o.heads; ++h) {
      const auto q = strided(o.q.data + i * width + h * d, 1, d, width);
      const auto dy = strided(o.dy.data + i * width + h * d, 1, d, width);
      const auto key = strided(o.key.data + h * d * width, d, width, width);
      const auto value = strided(o.value.data + h * d * width, d, width, width);
      const auto p = strided(o.probabilities.data + first * o.heads + h, length, 1, o.heads);
      const RowMajor<T> u = q * key, e = dy * value;
      const RowMajor<T> dp = x * e.transpose();  // (length, 1)
      const T along = (p.array() * dp.array()).sum();
      const RowMajor<T> ds = (p.array() * (dp.array() - along) * scale).matrix();
      dx += p * e + ds * u;
      const RowMajor<T> g = ds.transpose() * x;
      strided(o.dq.data + i * width + h * d, 1, d, width) = g * key.transpose();
      if (o.dkey.data != nullptr) { strided(o.dkey.data + h * d * width, d, width, width) += q.transpose() * g; }
      if (o.dvalue.data != nullptr) {
        strided(o.dvalue.data + h * d * width, d, width, width) += dy.transpose() * (p.transpose() * x);
      }
    }
  }
}

}  // namespace radapt
