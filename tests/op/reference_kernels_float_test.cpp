/// The reference kernels in float of this executable, compiled once.
#include "cases/reference_kernels.hpp"

namespace radapt {
RADAPT_TEST_REFERENCE_KERNELS(, float);
}  // namespace radapt
