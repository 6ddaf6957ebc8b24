/// Every loss of the golden table on the CUDA backends. Losses are in float on both, from features in float.
#include "loss/golden_losses.hpp"
#include "radapt/backend/cuda/all.hpp"

using namespace radapt_test;

namespace {
using InFloat = Setting<radapt::cuda, float>;
using WithBf16 = Setting<radapt::cuda_bf16, float>;
}  // namespace

TEST_CASE_TEMPLATE("cuda: losses of the golden table", S, InFloat, WithBf16) { walk_golden_losses<S>(); }
