/// The reference kernels in float, compiled once for all test executables that compare with them.
#include "cases/reference_kernels.hpp"

namespace radapt {
RADAPT_TEST_REFERENCE_KERNELS(, float)
}  // namespace radapt
