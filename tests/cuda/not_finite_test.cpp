/// Updates that what is not finite stops.
#include "op/not_finite.hpp"

using namespace radapt_test;

TEST_CASE("cuda: clip_factor is NaN where the norm or a loss is not finite") {
  check_clip_factor<radapt::op::list<radapt::cuda>>();
}
TEST_CASE("cuda: adamw changes nothing where its factor is NaN") {
  check_adamw_without_factor<radapt::op::list<radapt::cuda>>();
}
