/// Passes over memory whose machine code vector_code.py reads.
#include "radapt/backend/onednn/all.hpp"

using namespace radapt;

template <class Op>
[[gnu::noinline]] void pass(onednn& device, const Op& o) {
  launch(device, o);
}

template void pass(onednn&, const op::layer_norm_forward<float>&);
template void pass(onednn&, const op::layer_norm_forward<bf16>&);
template void pass(onednn&, const op::layer_norm_backward_input<float>&);
template void pass(onednn&, const op::layer_norm_backward_input<bf16>&);
template void pass(onednn&, const op::attention_forward<float>&);
template void pass(onednn&, const op::attention_forward<bf16>&);
template void pass(onednn&, const op::attention_backward<float>&);
template void pass(onednn&, const op::activation_forward<float>&);
template void pass(onednn&, const op::activation_forward<bf16>&);
template void pass(onednn&, const op::activation_backward<float>&);
template void pass(onednn&, const op::activation_backward<bf16>&);
template void pass(onednn&, const op::add<float>&);
template void pass(onednn&, const op::add<bf16>&);
template void pass(onednn&, const op::contrastive_loss<float>&);
template void pass(onednn&, const op::cross_entropy<float>&);
template void pass(onednn&, const op::adamw<float>&);
template void pass(onednn&, const op::sum_of_squares<float>&);
