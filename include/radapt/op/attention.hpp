#pragma once
/// Multi-head self-attention inside each sequence. No (sequences, heads, T, T) tensor exists: the forward pass keeps
/// the logarithm of each row's sum of exponentials, and the backward pass computes the probabilities again.
#include "radapt/core/plan.hpp"
#include "radapt/core/sequences.hpp"

namespace radapt::op {

/// For every sequence and head h: y_h = softmax(q_h k_h^T / sqrt(d)) v_h, where a row of qkv is q, k, v side by side,
/// heads contiguous inside each third. With `causal`, position t sees positions 0..t.
template <class T>
struct attention_forward {
  static constexpr auto name = "attention_forward";
  using element = T;
  Matrix<T> y;                           // (rows, width)
  Matrix<const T> qkv;                   // (rows, 3 width)
  Matrix<statistic_t<T>> log_sum_exp{};  // (rows, heads), or null when nobody reads it
  Index heads = 1;
  bool causal = false;
  Sequences sequences{};
};

/// dqkv from dy. With P the probabilities and D_t = <dy_t, y_t>: dV = P^T dY, dS = P (dY V^T - D), dQ = dS K / sqrt(d),
/// dK = dS^T Q / sqrt(d).
template <class T>
struct attention_backward {
  static constexpr auto name = "attention_backward";
  using element = T;
  Matrix<T> dqkv;                              // (rows, 3 width)
  Matrix<const T> dy;                          // (rows, width)
  Matrix<const T> y;                           // (rows, width)
  Matrix<const T> qkv;                         // (rows, 3 width)
  Matrix<const statistic_t<T>> log_sum_exp{};  // (rows, heads)
  Index heads = 1;
  bool causal = false;
  Sequences sequences{};
};

}  // namespace radapt::op
