#pragma once
/// Attention of one token of each sequence, which is all that is read behind the last block of a tower.
///
/// Keys and values of the tokens are never computed. Of a head's query q, q k_t = (W_k^T q) x_t + q b_k, and softmax
/// takes out what is the same for all t; sum_t p_t v_t = W_v (sum_t p_t x_t) + b_v. So a sequence of T tokens takes
/// 2 D^2 + 2 heads T D multiplications in the place of 2 T D^2 and more.
#include "radapt/core/element.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/core/sequences.hpp"

namespace radapt::op {

/// y_h = softmax(q_h k_h^T / sqrt(d)) v_h for every sequence and head h, with k = x W_k^T + b_k and v = x W_v^T + b_v;
/// heads are contiguous in a row. With `causal`, the token that pooling reads sees those up to itself.
template <class T>
struct pooled_attention_forward {
  static constexpr auto name = "pooled_attention_forward";
  using element = T;
  Matrix<T> y;                                // (sequences, width)
  Matrix<const T> x;                          // (rows, width)
  Matrix<const T> q;                          // (sequences, width)
  Matrix<const parameter_t<T>> key;           // W_k (width, width)
  Matrix<const parameter_t<T>> value;         // W_v (width, width)
  Vector<const parameter_t<T>> value_bias{};  // b_v (width) or null
  Matrix<statistic_t<T>> probabilities{};     // (rows, heads), 0 for what is not seen; or null when nobody reads them
  Index heads = 1;
  bool causal = false;
  Pooling pooling = Pooling::first;
  Sequences sequences{};
};

/// dx and dq from dy, dW_k and dW_v added to where they are wanted. With u_h = W_k,h^T q_h, e_h = W_v,h^T dy_h and
/// ds_t = p_t (e x_t - sum_s p_s e x_s) / sqrt(d): dx_t = sum_h p_t e + ds_t u, dq_h = W_k,h g_h, dW_k,h = q_h g_h^T
/// and dW_v,h = dy_h (sum_t p_t x_t)^T with g_h = sum_t ds_t x_t. The gradient of b_k is 0, that of b_v the sum of dy.
template <class T>
struct pooled_attention_backward {
  static constexpr auto name = "pooled_attention_backward";
  using element = T;
  Matrix<T> dx;                                  // (rows, width)
  Matrix<T> dq;                                  // (sequences, width)
  Matrix<parameter_t<T>> dkey{};                 // (width, width) or null
  Matrix<parameter_t<T>> dvalue{};               // (width, width) or null
  Matrix<const T> dy;                            // (sequences, width)
  Matrix<const T> x;                             // (rows, width)
  Matrix<const T> q;                             // (sequences, width)
  Matrix<const parameter_t<T>> key;              // (width, width)
  Matrix<const parameter_t<T>> value;            // (width, width)
  Matrix<const statistic_t<T>> probabilities{};  // (rows, heads)
  Index heads = 1;
  Sequences sequences{};
};

}  // namespace radapt::op
