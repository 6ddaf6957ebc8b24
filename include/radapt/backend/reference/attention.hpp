#pragma once
/// Reference kernels of op/attention.hpp: one (T, T) tile of scores for one head of one sequence at a time.
#include <cmath>
#include <limits>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/attention.hpp"

namespace radapt {

namespace detail {

/// One head of one sequence: its q, k, v inside the rows of qkv.
template <class T>
struct Head {
  T *q, *k, *v;
  Index rows, stride;
};
template <class T>
Head<T> head_of(Matrix<T> qkv, const Sequences& s, Index sequence, Index head, Index head_width) {
  const Index width = qkv.columns / 3;
  T* first = qkv.data + s.begin(sequence) * qkv.columns + head * head_width;
  return {first, first + width, first + 2 * width, s.length(sequence), qkv.columns};
}

/// q k^T / sqrt(d), with -inf where a causal row may not look.
template <class T, class U>
eigen::RowMajor<T> attention_scores(const Head<U>& h, Index head_width, bool causal) {
  using namespace eigen;
  RowMajor<T> scores =
      strided(h.q, h.rows, head_width, h.stride) * strided(h.k, h.rows, head_width, h.stride).transpose();
  scores *= T{1} / std::sqrt(static_cast<T>(head_width));
  for (Index i = 0; causal && i < h.rows; ++i) {
    for (Index j = i + 1; j < h.rows; ++j) { scores(extent(i), extent(j)) = -std::numeric_limits<T>::infinity(); }
  }
  return scores;
}

}  // namespace detail

template <class T>
void launch(reference&, const op::attention_forward<T>& o) {
  using namespace detail::eigen;
  const Index width = o.y.columns, head_width = width / o.heads;
  for (Index i = 0; i < o.sequences.count; ++i) {
    for (Index h = 0; h < o.heads; ++h) {
      const auto head = detail::head_of(o.qkv, o.sequences, i, h, head_width);
      RowMajor<T> p = detail::attention_scores<T>(head, head_width, o.causal);
      for (Index t = 0; t < head.rows; ++t) {
        auto row = p.row(extent(t));
        const T most = row.maxCoeff();
        row = (row.array() - most).exp();
        const T sum = row.sum();
        row /= sum;
        if (o.log_sum_exp.data != nullptr) {
          o.log_sum_exp.data[(o.sequences.begin(i) + t) * o.heads + h] = most + std::log(sum);
        }
      }
      strided(o.y.data + o.sequences.begin(i) * width + h * head_width, head.rows, head_width, width).noalias() =
          p * strided(head.v, head.rows, head_width, head.stride);
    }
  }
}

template <class T>
void launch(reference&, const op::attention_backward<T>& o) {
  using namespace detail::eigen;
  const Index width = o.y.columns, head_width = width / o.heads;
  const T scale = T{1} / std::sqrt(static_cast<T>(head_width));
  for (Index i = 0; i < o.sequences.count; ++i) {
    const Index first = o.sequences.begin(i);
    for (Index h = 0; h < o.heads; ++h) {
      const auto head = detail::head_of(o.qkv, o.sequences, i, h, head_width);
      const auto gradient = detail::head_of(o.dqkv, o.sequences, i, h, head_width);
      const auto q = strided(head.q, head.rows, head_width, head.stride);
      const auto k = strided(head.k, head.rows, head_width, head.stride);
      const auto v = strided(head.v, head.rows, head_width, head.stride);
      const auto y = strided(o.y.data + first * width + h * head_width, head.rows, head_width, width);
      const auto dy = strided(o.dy.data + first * width + h * head_width, head.rows, head_width, width);
      RowMajor<T> p = detail::attention_scores<T>(head, head_width, o.causal);
      for (Index t = 0; t < head.rows; ++t) {
        p.row(extent(t)) = (p.row(extent(t)).array() - o.log_sum_exp.data[(first + t) * o.heads + h]).exp();
      }
      strided(gradient.v, head.rows, head_width, head.stride).noalias() = p.transpose() * dy;
      RowMajor<T> ds = dy * v.transpose();
      for (Index t = 0; t < head.rows; ++t) {
        const T d = dy.row(extent(t)).dot(y.row(extent(t)));
        ds.row(extent(t)) = (p.row(extent(t)).array() * (ds.row(extent(t)).array() - d) * scale).matrix();
      }
      strided(gradient.q, head.rows, head_width, head.stride).noalias() = ds * k;
      strided(gradient.k, head.rows, head_width, head.stride).noalias() = ds.transpose() * q;
    }
  }
}

}  // namespace radapt
