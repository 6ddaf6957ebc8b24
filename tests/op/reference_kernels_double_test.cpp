/// The reference kernels in double of this executable, compiled once.
#include "cases/reference_kernels.hpp"

namespace radapt {
RADAPT_TEST_REFERENCE_KERNELS(, double);
}  // namespace radapt
