/// That allocations are counted.
#include <doctest/doctest.h>

#include <vector>

#include "radapt/core/memory.hpp"
#include "support/counting_operators.hpp"

using radapt_test::Allocations;

TEST_CASE("allocations are counted") {
  std::vector<int> v;
  CHECK(Allocations::of([] {}) == 0);
  CHECK(Allocations::of([&] { v.reserve(100); }) == 1);
  CHECK(Allocations::of([] { radapt::Buffer<float> aligned(100); }) == 1);
  CHECK(Allocations::of([] { radapt::Buffer<char> large(radapt::detail::least_large_bytes); }) == 1);
  v.reserve(1000);
  CHECK(Allocations::of([] {}) == 0);
}
