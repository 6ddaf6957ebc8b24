#pragma once
/// Where tests put the operands of CUDA kernels.
#include <vector>

#include "radapt/core/memory.hpp"

namespace radapt_test {

/// Defined beside the kernels that a test program is linked with: on a GPU or on the host's processor.
struct OperandsOfCuda {
  /// Memory that the library takes, and memory that kernels cannot follow.
  static std::vector<const radapt::MemorySource*> operand_memories();
};

}  // namespace radapt_test
