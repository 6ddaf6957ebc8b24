/// The one file that is compiled as CUDA: every kernel of the backend, for every element type.
#include "radapt/backend/cuda/kernels.cuh"

#define RADAPT_CUDA_INSTANTIATE(operation, ...)                                     \
  template void radapt::launch(radapt::cuda&, const radapt::op::operation<float>&); \
  template void radapt::launch(radapt::cuda&, const radapt::op::operation<radapt::bf16>&);
RADAPT_CUDA_OPERATIONS(RADAPT_CUDA_INSTANTIATE)

#define RADAPT_CUDA_FLOAT_INSTANTIATE(operation, ...) \
  template void radapt::launch(radapt::cuda&, const radapt::op::operation<float>&);
RADAPT_CUDA_FLOAT_OPERATIONS(RADAPT_CUDA_FLOAT_INSTANTIATE)

#define RADAPT_CUDA_BF16_INSTANTIATE(operation, ...)                                     \
  template void radapt::launch(radapt::cuda_bf16&, const radapt::op::operation<float>&); \
  template void radapt::launch(radapt::cuda_bf16&, const radapt::op::operation<radapt::bf16>&);
RADAPT_CUDA_BF16_PRODUCTS(RADAPT_CUDA_BF16_INSTANTIATE)

#define RADAPT_CUDA_BF16_ATTENTION_INSTANTIATE(operation, ...) \
  template void radapt::launch(radapt::cuda_bf16&, const radapt::op::operation<radapt::bf16>&);
RADAPT_CUDA_BF16_ATTENTION(RADAPT_CUDA_BF16_ATTENTION_INSTANTIATE)
