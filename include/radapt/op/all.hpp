#pragma once
/// Every operation of the library: as macros by what they work on, for code that is written once for each, and as one
/// list of types, which tests, the support matrix and the benchmarks read.
#include "radapt/op/activation.hpp"
#include "radapt/op/attention.hpp"
#include "radapt/op/columns.hpp"
#include "radapt/op/convert.hpp"
#include "radapt/op/draw_mask.hpp"
#include "radapt/op/dropout.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/embed.hpp"
#include "radapt/op/frobenius.hpp"
#include "radapt/op/linear.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/op/neighbours.hpp"
#include "radapt/op/norm.hpp"
#include "radapt/op/orthogonality.hpp"
#include "radapt/op/pool.hpp"
#include "radapt/op/pooled_attention.hpp"
#include "radapt/op/update.hpp"

// clang-format off
// RADAPT_..._OPERATIONS(F, ...) is F(operation, ...) for every operation of the list.
/// Matrix products: on activations and weights.
#define RADAPT_PRODUCT_OPERATIONS(F, ...)                                                                     \
  F(linear_forward, __VA_ARGS__) F(linear_activation_forward, __VA_ARGS__) F(linear_residual_forward, __VA_ARGS__) \
  F(linear_backward_input, __VA_ARGS__) F(linear_backward_weight, __VA_ARGS__)
/// Attention of all tokens.
#define RADAPT_ATTENTION_OPERATIONS(F, ...) F(attention_forward, __VA_ARGS__) F(attention_backward, __VA_ARGS__)
/// All others on activations.
#define RADAPT_PASS_OPERATIONS(F, ...)                                                                        \
  F(linear_backward_bias, __VA_ARGS__)                                                                        \
  F(layer_norm_forward, __VA_ARGS__) F(layer_norm_backward_input, __VA_ARGS__)                                \
  F(layer_norm_backward_weight, __VA_ARGS__)                                                                  \
  F(l2_normalize_forward, __VA_ARGS__) F(l2_normalize_backward, __VA_ARGS__)                                  \
  F(activation_forward, __VA_ARGS__) F(activation_backward, __VA_ARGS__)                                      \
  F(extract_patches, __VA_ARGS__) F(assemble_tokens_forward, __VA_ARGS__) F(assemble_tokens_backward, __VA_ARGS__) \
  F(embed_tokens_forward, __VA_ARGS__) F(embed_tokens_backward, __VA_ARGS__)                                  \
  F(pool_forward, __VA_ARGS__) F(pool_backward, __VA_ARGS__)                                                  \
  F(pooled_attention_forward, __VA_ARGS__) F(pooled_attention_backward, __VA_ARGS__)                          \
  F(add, __VA_ARGS__) F(scaled_add, __VA_ARGS__) F(scaled_add_backward_scale, __VA_ARGS__)                    \
  F(take_columns, __VA_ARGS__) F(add_columns, __VA_ARGS__)                                                    \
  F(dropout, __VA_ARGS__) F(draw_mask, __VA_ARGS__)                                                           \
  F(widen, __VA_ARGS__) F(narrow, __VA_ARGS__) F(clear, __VA_ARGS__)
/// On features, parameters, their gradients and moments, which are never bf16.
#define RADAPT_PARAMETER_OPERATIONS(F, ...)                                                                   \
  F(contrastive_loss, __VA_ARGS__) F(cross_entropy, __VA_ARGS__) F(distillation, __VA_ARGS__)                 \
  F(orthogonality_penalty, __VA_ARGS__) F(frobenius_penalty, __VA_ARGS__) F(distance_penalty, __VA_ARGS__)    \
  F(adamw, __VA_ARGS__) F(sum_of_squares, __VA_ARGS__) F(clip_factor, __VA_ARGS__) F(kth_neighbour, __VA_ARGS__)
// clang-format on

namespace radapt::op {

template <class... Ops>
struct list {};

namespace detail {
template <class First, class... Ops>
struct behind_first {
  using type = list<Ops...>;
};
}  // namespace detail

// clang-format off
#define RADAPT_AND_TYPE(operation, T) , operation<T>
template <class T>
using all = typename detail::behind_first<
    void
    RADAPT_PRODUCT_OPERATIONS(RADAPT_AND_TYPE, T)
    RADAPT_ATTENTION_OPERATIONS(RADAPT_AND_TYPE, T)
    RADAPT_PASS_OPERATIONS(RADAPT_AND_TYPE, T)
    RADAPT_PARAMETER_OPERATIONS(RADAPT_AND_TYPE, T)>::type;
#undef RADAPT_AND_TYPE
// clang-format on

}  // namespace radapt::op
