/// The one file that is compiled as CUDA: every kernel of the backend, for every element type.
#include "radapt/backend/cuda/kernels.cuh"

#define RADAPT_CUDA_INSTANTIATE(operation) template void radapt::launch(radapt::cuda&, const radapt::op::operation<float>&);
RADAPT_CUDA_OPERATIONS(RADAPT_CUDA_INSTANTIATE)

#define RADAPT_CUDA_BF16_INSTANTIATE(operation) \
  template void radapt::launch(radapt::cuda_bf16&, const radapt::op::operation<float>&);
RADAPT_CUDA_BF16_OPERATIONS(RADAPT_CUDA_BF16_INSTANTIATE)
