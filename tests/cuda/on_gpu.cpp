/// The tests of the CUDA backend on a GPU: their main function, and where they put operands. Where there is no GPU it
/// says so and ends with 77, which CTest lists as not run.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "cuda/operands.hpp"
#include "radapt/backend/cuda/all.hpp"

std::vector<const radapt::MemorySource*> radapt_test::OperandsOfCuda::operand_memories() {
  return {&radapt::cuda::memory(), &radapt::host_memory};
}

int main(int count, char** arguments) {
  const radapt::CudaAvailability gpu = radapt::cuda_availability();
  if (!gpu.available) {
    std::printf("not run: no device (%s)\n", gpu.reason.c_str());
    return 77;
  }
  std::printf("on %s\n", gpu.reason.c_str());
  return doctest::Context(count, arguments).run();
}
