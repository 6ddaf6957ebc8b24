/// Every CUDA kernel, compiled for the host's processor.
#define RADAPT_CUDA_ON_HOST "cuda/on_host.hpp"
#include "radapt/backend/cuda/kernels.cu"

#include "cuda/operands.hpp"

std::vector<const radapt::MemorySource*> radapt_test::OperandsOfCuda::operand_memories() {
  return {&radapt::cuda::memory(), &on_host::HostOnly::source};
}
