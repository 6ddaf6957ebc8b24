#pragma once
/// The reference backend for tests, which is most of what a test would compile: its kernels are compiled once, into
/// radapt_reference_kernels, and every source that includes this leaves them there.
#include "radapt/backend/reference/all.hpp"
#include "radapt/op/all.hpp"

#define RADAPT_TEST_REFERENCE_KERNEL(operation, Extern, T) \
  Extern template void launch(reference&, const op::operation<T>&);
#define RADAPT_TEST_REFERENCE_KERNELS(Extern, T)                       \
  RADAPT_PRODUCT_OPERATIONS(RADAPT_TEST_REFERENCE_KERNEL, Extern, T)   \
  RADAPT_ATTENTION_OPERATIONS(RADAPT_TEST_REFERENCE_KERNEL, Extern, T) \
  RADAPT_PASS_OPERATIONS(RADAPT_TEST_REFERENCE_KERNEL, Extern, T)      \
  RADAPT_PARAMETER_OPERATIONS(RADAPT_TEST_REFERENCE_KERNEL, Extern, T)

namespace radapt {
RADAPT_TEST_REFERENCE_KERNELS(extern, float)
RADAPT_TEST_REFERENCE_KERNELS(extern, double)
}  // namespace radapt
