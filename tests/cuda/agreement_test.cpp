/// Every kernel of the CUDA backend against the reference backend in double.
#include "op/agreement.hpp"

using namespace radapt_test;

TEST_CASE_TEMPLATE_DEFINE("cuda: every kernel agrees with the reference in double", C, agreement) {
  check_agreement<C, radapt::op::list<radapt::cuda>>();
}
TEST_CASE_TEMPLATE_APPLY(agreement, cases::all);
