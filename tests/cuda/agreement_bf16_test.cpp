/// Every kernel of the CUDA backend on bf16 against the reference backend in double, on numbers that bf16 holds.
#include "op/agreement.hpp"

using namespace radapt_test;

TEST_CASE_TEMPLATE_DEFINE("cuda_bf16: every kernel on bf16 agrees with the reference in double", C, agreement_bf16) {
  check_agreement<C, radapt::op::list<radapt::cuda_bf16>>();
}
TEST_CASE_TEMPLATE_APPLY(agreement_bf16, cases::all);
