/// Philox 4x32-10 against the known answers of its authors' Random123 (kat_vectors), and the streams made of it.
#include "radapt/core/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "radapt/core/context.hpp"

namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;
using radapt::philox;
using radapt::Random;

static_assert(philox(Counter{}, Key{}) == Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox(Counter{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, Key{0xffffffff, 0xffffffff}) ==
              Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
// The digits of pi.
static_assert(philox(Counter{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, Key{0xa4093822, 0x299f31d0}) ==
              Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

static_assert(radapt::unit_interval(0) == 0.0F);
static_assert(radapt::unit_interval(0xffffffff) < 1.0F);
static_assert(radapt::unit_interval(0x80000000) == 0.5F);
static_assert(radapt::unit_interval(0x000000ff) == 0.0F && radapt::unit_interval(0x00000100) == 0x1p-24F);

TEST_CASE("a stream is the blocks of its counter, word by word") {
  Random random(0x123456789abcdef0, 0xfedcba9876543210);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const Counter expected = philox({block, 0, 0x76543210, 0xfedcba98}, {0x9abcdef0, 0x12345678});
    for (const std::uint32_t word : expected) { CHECK(random.word() == word); }
  }
}

TEST_CASE("seeds and streams give other numbers, equal ones the same") {
  const auto first = [](Random random) { return random.word(); };
  CHECK(first(Random(1, 2)) == first(Random(1, 2)));
  CHECK(first(Random(1, 2)) != first(Random(2, 1)));
  CHECK(first(Random(1, 2)) != first(Random(1, 3)));
}

TEST_CASE("numbers lie where they should") {
  Random random(5);
  constexpr int n = 100000;
  double sum = 0, squares = 0, uniform_sum = 0;
  int outside = 0;
  std::vector<int> hits(7);
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    const double u = random.uniform(-2, 3);
    outside += u < -2 || u >= 3;
    uniform_sum += u;
    ++hits[random.below(7)];
  }
  CHECK(outside == 0);
  // Five standard deviations of a mean of n numbers: 5 / sqrt(1e5) = 0.016, times the deviation of what is averaged
  // (1, sqrt 2, 5 / sqrt 12).
  CHECK(std::abs(sum / n) < 0.016);
  CHECK(std::abs(squares / n - 1) < 0.016 * 1.42);
  CHECK(std::abs(uniform_sum / n - 0.5) < 0.016 * 1.45);
  // Five deviations of a count: 5 sqrt(n / 7 * 6 / 7) = 553.
  for (const int h : hits) { CHECK(std::abs(h - n / 7.0) < 553); }
}

TEST_CASE("masks of a phase depend on seed, step, site and entry alone") {
  const auto mask = [](std::uint64_t seed, std::uint64_t step, std::uint32_t site, double drop) {
    radapt::Phase phase{.training = true, .adapter_drop = drop, .seed = seed, .step = step};
    std::vector<bool> kept(4000);
    for (radapt::Index i = 0; i < kept.size(); ++i) { kept[i] = phase.draws_of(site).keeps(i); }
    return kept;
  };
  const auto first = mask(1, 2, 3, 0.2);
  CHECK(first == mask(1, 2, 3, 0.2));
  CHECK(first != mask(2, 2, 3, 0.2));
  CHECK(first != mask(1, 3, 3, 0.2));
  CHECK(first != mask(1, 2, 4, 0.2));
  // Five deviations: 5 sqrt(4000 * 0.2 * 0.8) = 127.
  CHECK(std::abs(static_cast<double>(std::count(first.begin(), first.end(), false)) - 800) < 127);
  const auto all = mask(1, 2, 3, 0.0);
  CHECK(std::count(all.begin(), all.end(), true) == 4000);
}

}  // namespace
