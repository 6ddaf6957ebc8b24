/// Exponentials and square roots of runs of floats against those of double, to what their docstrings say.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "radapt/backend/onednn/elementary.hpp"

namespace {

using namespace radapt::detail::cpu;

constexpr float infinity = std::numeric_limits<float>::infinity(),
                not_a_number = std::numeric_limits<float>::quiet_NaN();

std::vector<float> exponentials(std::vector<float> x, float shift) {
  exp_of_difference(x.data(), x.data(), shift, x.size());
  return x;
}

}  // namespace

TEST_CASE("e^x of a run is off by 2.2e-7 of it where it is a normal number, and 0 below") {
  // Every 4099th float of either sign, in runs of a length that fills no vector register.
  constexpr std::size_t length = 1021;
  constexpr std::uint32_t step = 4099;
  double worst = 0;
  bool ends_right = true;
  std::vector<float> x;
  const auto check = [&] {
    const std::vector<float> y = exponentials(x, 0.0F);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      if (x[i] < -86.6F) {
        ends_right = ends_right && y[i] == 0.0F;
      } else if (exact > static_cast<double>(std::numeric_limits<float>::max())) {
        ends_right = ends_right && y[i] == infinity;
      } else {
        worst = std::max(worst, std::abs(static_cast<double>(y[i]) / exact - 1));
      }
    }
    x.clear();
  };
  for (std::uint64_t bits = 0; bits <= 0xffffffffU; bits += step) {
    const float candidate = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(candidate)) { x.push_back(candidate); }
    if (x.size() == length) { check(); }
  }
  check();
  CHECK(ends_right);
  CHECK(worst <= 2.2e-7);  // 9.2e-8 of the polynomial, and roundings of r and of the last two sums to 6e-8 each
  CHECK(worst > 0);
}

TEST_CASE("e^x of 0 is 1, a NaN stays one, and what is subtracted counts") {
  const std::vector<float> y =
      exponentials({0, -0.0F, not_a_number, infinity, -infinity, 88.7F, 89, 1e30F, -1e30F, -86.5F}, 0);
  CHECK(y[0] == 1.0F);
  CHECK(y[1] == 1.0F);
  CHECK(std::isnan(y[2]));
  CHECK(y[3] == infinity);
  CHECK(y[4] == 0.0F);
  CHECK(std::isfinite(y[5]));
  CHECK(y[6] == infinity);
  CHECK(y[7] == infinity);
  CHECK(y[8] == 0.0F);
  CHECK(y[9] > 0.0F);
  CHECK(exponentials({3, 5}, 3) == exponentials({0, 2}, 0));
}

TEST_CASE("square roots are those of the standard library, to the bit and to the end of the run") {
  for (const std::size_t n : {0U, 1U, 3U, 4U, 5U, 13U, 31U}) {
    std::vector<float> x(n + 1), y(n + 1, -7.0F);
    for (std::size_t i = 0; i <= n; ++i) { x[i] = static_cast<float>(i * i) * 0.37F; }
    square_roots(y.data(), x.data(), n);
    for (std::size_t i = 0; i < n; ++i) { CHECK(y[i] == std::sqrt(x[i])); }
    CHECK(y[n] == -7.0F);
  }
}
