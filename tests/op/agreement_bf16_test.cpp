/// Every kernel on bf16 against the reference backend in double, on numbers that bf16 holds.
///
/// On processors without bf16 the same bounds hold: there the same roundings are taken around products in float.
#include "op/agreement.hpp"

using namespace radapt_test;

TEST_CASE_TEMPLATE_DEFINE("kernels on bf16 agree with the reference in double", C, agreement_bf16) {
  check_agreement<C, radapt::op::list<radapt::onednn_bf16>>();
}
TEST_CASE_TEMPLATE_APPLY(agreement_bf16, cases::all);
