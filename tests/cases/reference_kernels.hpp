#pragma once
/// The kernels of the reference backend are compiled once per test executable: every source that includes this leaves
/// them to the one that holds RADAPT_TEST_REFERENCE_KERNELS(, T).
#include "radapt/backend/reference/all.hpp"

#define RADAPT_TEST_REFERENCE_KERNELS(Extern, T)                                     \
  Extern template void launch(reference&, const op::linear_forward<T>&);             \
  Extern template void launch(reference&, const op::linear_activation_forward<T>&);  \
  Extern template void launch(reference&, const op::linear_residual_forward<T>&);    \
  Extern template void launch(reference&, const op::linear_backward_input<T>&);      \
  Extern template void launch(reference&, const op::linear_backward_weight<T>&);     \
  Extern template void launch(reference&, const op::linear_backward_bias<T>&);       \
  Extern template void launch(reference&, const op::layer_norm_forward<T>&);         \
  Extern template void launch(reference&, const op::layer_norm_backward_input<T>&);  \
  Extern template void launch(reference&, const op::layer_norm_backward_weight<T>&); \
  Extern template void launch(reference&, const op::l2_normalize_forward<T>&);       \
  Extern template void launch(reference&, const op::l2_normalize_backward<T>&);      \
  Extern template void launch(reference&, const op::activation_forward<T>&);         \
  Extern template void launch(reference&, const op::activation_backward<T>&);        \
  Extern template void launch(reference&, const op::attention_forward<T>&);          \
  Extern template void launch(reference&, const op::attention_backward<T>&);         \
  Extern template void launch(reference&, const op::pooled_attention_forward<T>&);   \
  Extern template void launch(reference&, const op::pooled_attention_backward<T>&);  \
  Extern template void launch(reference&, const op::extract_patches<T>&);            \
  Extern template void launch(reference&, const op::assemble_tokens_forward<T>&);    \
  Extern template void launch(reference&, const op::assemble_tokens_backward<T>&);   \
  Extern template void launch(reference&, const op::embed_tokens_forward<T>&);       \
  Extern template void launch(reference&, const op::embed_tokens_backward<T>&);      \
  Extern template void launch(reference&, const op::pool_forward<T>&);               \
  Extern template void launch(reference&, const op::pool_backward<T>&);              \
  Extern template void launch(reference&, const op::add<T>&);                        \
  Extern template void launch(reference&, const op::scaled_add<T>&);                 \
  Extern template void launch(reference&, const op::scaled_add_backward_scale<T>&);  \
  Extern template void launch(reference&, const op::contrastive_loss<T>&);           \
  Extern template void launch(reference&, const op::cross_entropy<T>&);              \
  Extern template void launch(reference&, const op::distillation<T>&);               \
  Extern template void launch(reference&, const op::adamw<T>&);                      \
  Extern template void launch(reference&, const op::distance_penalty<T>&);           \
  Extern template void launch(reference&, const op::orthogonality_penalty<T>&);      \
  Extern template void launch(reference&, const op::sum_of_squares<T>&);             \
  Extern template void launch(reference&, const op::clip_factor<T>&);                \
  Extern template void launch(reference&, const op::clear<T>&);                      \
  Extern template void launch(reference&, const op::kth_neighbour<T>&)

namespace radapt {
RADAPT_TEST_REFERENCE_KERNELS(extern, float);
RADAPT_TEST_REFERENCE_KERNELS(extern, double);
}  // namespace radapt
