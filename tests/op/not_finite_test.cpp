/// Updates that what is not finite stops.
#include "op/not_finite.hpp"

using namespace radapt_test;

TEST_CASE("clip_factor is NaN where the norm or a loss is not finite") { check_clip_factor<host_backends>(); }
TEST_CASE("adamw changes nothing where its factor is NaN") { check_adamw_without_factor<host_backends>(); }
