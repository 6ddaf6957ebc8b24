/// The harness of the other tests of this folder: it sees what it is there to see.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <vector>

#include "cases/blocks.hpp"
#include "radapt/test/central_difference.hpp"

namespace {

using namespace radapt_test;

/// What a kernel gets: one input of 5, one updated of 3, one output of 4, and two whole numbers.
struct Buffers {
  float *input, *updated, *output;
  const std::int32_t* whole;
};
Buffers take(Blocks& blocks) {
  Memory<float> m(blocks);
  return {m.input(5, 1, 2), m.updated(3), m.output(4), m.whole(std::vector<std::int32_t>{3, 4})};
}
void fill(const Buffers& b, float value) {
  for (Index i = 0; i < 4; ++i) { b.output[i] = value; }
}

}  // namespace

TEST_CASE("equal calls get equal buffers: drawn numbers, poison, guards") {
  Blocks one, two;
  const Buffers a = take(one);
  take(two);
  CHECK(one.same_bits(two));
  CHECK(one.only_outputs_changed());
  for (Index i = 0; i < 5; ++i) { CHECK((a.input[i] >= 1 && a.input[i] < 2)); }
  for (Index i = 0; i < 4; ++i) { CHECK(std::isnan(a.output[i])); }
  CHECK(a.whole[1] == 4);
  CHECK(Memory<float>(one).input(0) == nullptr);
}

TEST_CASE("double and float get the same numbers") {
  Blocks one, two;
  const float* const narrow = Memory<float>(one).input(100, -5, 5);
  const double* const wide = Memory<double>(two).input(100, -5, 5);
  for (Index i = 0; i < 100; ++i) { CHECK(static_cast<double>(narrow[i]) == wide[i]); }
}

TEST_CASE("an output that was not written, and one element that is off, are errors") {
  Blocks expected, got;
  const Buffers e = take(expected), g = take(got);
  fill(e, 2);
  CHECK(std::isnan(got.error_against(expected)));
  fill(g, 2);
  CHECK(got.error_against(expected) == 0);
  g.output[3] = 2.5F;
  CHECK(got.error_against(expected) == 0.25);
  fill(g, 2);
  CHECK(got.same_bits(expected));
  g.updated[0] += 0.5F;
  CHECK(got.error_against(expected) > 0.1);
  CHECK_FALSE(got.same_bits(expected));
  Blocks fewer;
  CHECK(std::isinf(fewer.error_against(expected)));
}

TEST_CASE("writing before or behind a buffer, or into an input, is seen") {
  const auto unchanged_after = [](auto&& write) {
    Blocks blocks;
    write(take(blocks));
    return blocks.only_outputs_changed();
  };
  CHECK(unchanged_after([](const Buffers& b) { fill(b, 1); }));
  CHECK_FALSE(unchanged_after([](const Buffers& b) { b.output[-1] = 0; }));
  CHECK_FALSE(unchanged_after([](const Buffers& b) { b.output[4] = 0; }));
  CHECK_FALSE(unchanged_after([](const Buffers& b) { b.updated[3] += 1; }));
  CHECK_FALSE(unchanged_after([](const Buffers& b) { b.input[2] = 0; }));
  CHECK_FALSE(unchanged_after([](const Buffers& b) { const_cast<std::int32_t*>(b.whole)[0] = 1; }));
}

TEST_CASE("buffers of timed calls begin on a boundary and hold numbers of the same range") {
  Blocks blocks = Blocks::for_timing(radapt::host_memory);
  Memory<float> m(blocks);
  CHECK(m.is_for_timing());
  CHECK_FALSE(Memory<float>(*std::make_unique<Blocks>()).is_for_timing());
  constexpr Index n = 10000;
  const float *const x = m.input(n, 1, 2), *const y = m.output(n);
  for (const float* p : {x, y}) { CHECK(reinterpret_cast<std::uintptr_t>(p) % radapt::alignment == 0); }
  CHECK(std::all_of(x, x + n, [](float value) { return value >= 1 && value < 2; }));
  CHECK(std::set<float>(x, x + n).size() > 1000);
}

TEST_CASE("central differences") {
  // exp at 0.3 with a step of 1e-3: step^4 / 30 leaves 3e-14 of it.
  const auto slope = radapt::test::central_difference(1e-3, [](double t) {
    radapt::test::Sum sum;
    sum.add(std::exp(0.3 + t));
    sum.add(-5);
    return sum;
  });
  CHECK(std::abs(slope.value - std::exp(0.3)) < slope.rounding + 1e-13);
  CHECK(slope.rounding < 1e-10);
  CHECK(slope.rounding > 1e-13);
}
