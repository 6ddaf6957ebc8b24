#pragma once
/// Every operation of the library, as one list: tests, the support matrix and the benchmarks read it.
#include "radapt/op/activation.hpp"
#include "radapt/op/attention.hpp"
#include "radapt/op/columns.hpp"
#include "radapt/op/convert.hpp"
#include "radapt/op/draw_mask.hpp"
#include "radapt/op/dropout.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/embed.hpp"
#include "radapt/op/linear.hpp"
#include "radapt/op/loss.hpp"
#include "radapt/op/neighbours.hpp"
#include "radapt/op/norm.hpp"
#include "radapt/op/orthogonality.hpp"
#include "radapt/op/pool.hpp"
#include "radapt/op/pooled_attention.hpp"
#include "radapt/op/update.hpp"

namespace radapt::op {

template <class... Ops>
struct list {};

template <class T>
using all =
    list<linear_forward<T>, linear_activation_forward<T>, linear_residual_forward<T>, linear_backward_input<T>,
         linear_backward_weight<T>, linear_backward_bias<T>, layer_norm_forward<T>, layer_norm_backward_input<T>,
         layer_norm_backward_weight<T>, l2_normalize_forward<T>, l2_normalize_backward<T>, activation_forward<T>,
         activation_backward<T>, attention_forward<T>, attention_backward<T>, pooled_attention_forward<T>,
         pooled_attention_backward<T>, extract_patches<T>, assemble_tokens_forward<T>, assemble_tokens_backward<T>,
         embed_tokens_forward<T>, embed_tokens_backward<T>, pool_forward<T>, pool_backward<T>, add<T>, scaled_add<T>,
         scaled_add_backward_scale<T>, take_columns<T>, add_columns<T>, dropout<T>, widen<T>, narrow<T>, draw_mask<T>,
         contrastive_loss<T>, cross_entropy<T>, distillation<T>, adamw<T>, distance_penalty<T>,
         orthogonality_penalty<T>, sum_of_squares<T>, clip_factor<T>, clear<T>, kth_neighbour<T>>;

}  // namespace radapt::op
