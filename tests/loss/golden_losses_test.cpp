/// Every loss of the golden table: value and gradients, in double on the reference and in f32 on oneDNN.
#include "loss/golden_losses.hpp"
#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"

using namespace radapt_test;

namespace {
using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;
}  // namespace

TEST_CASE_TEMPLATE("losses of the golden table", S, InDouble, InFloat) { walk_golden_losses<S>(); }
