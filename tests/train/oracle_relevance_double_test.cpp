/// The relevance of patches against tests/oracle, in double on the reference.
#include "cases/reference_kernels.hpp"
#include "train/oracle_relevance.hpp"

TEST_CASE("relevance is that of the oracle, in double on the reference") {
  radapt_test::walk_relevance<radapt::reference, double>();
}
