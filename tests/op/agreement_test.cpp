/// Every kernel of the backends of the host against the reference backend in double.
#include "op/agreement.hpp"

using namespace radapt_test;

TEST_CASE_TEMPLATE_DEFINE("every backend agrees with the reference in double", C, agreement) {
  check_agreement<C, host_backends>();
}
TEST_CASE_TEMPLATE_APPLY(agreement, cases::all);
