/// Exponentials of sixteen floats against those of double, to what their docstrings say.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "radapt/backend/onednn/avx512/vector_math.hpp"

#ifdef RADAPT_HAS_AVX512

namespace {

using namespace radapt::detail::avx512;
using Sixteen = std::array<float, 16>;

RADAPT_AVX512 Sixteen exp2_of_sixteen(const Sixteen& x) {
  Sixteen y;
  _mm512_storeu_ps(y.data(), exp2_of(_mm512_loadu_ps(x.data())));
  return y;
}

bool can_run() {
  if (!available<float>()) { MESSAGE("not run: this processor has no AVX-512"); }
  return available<float>();
}

}  // namespace

TEST_CASE("2^x of sixteen floats is off by 1.7e-7 of it") {
  if (!can_run()) { return; }
  // Every float of the steps is 2^x's own argument: nothing was rounded before.
  double worst = 0;
  for (float x = -126; x <= 126; x += 16.0F / 4096.0F) {
    Sixteen in;
    for (std::size_t i = 0; i < 16; ++i) { in[i] = std::min(126.0F, x + static_cast<float>(i) / 4096.0F); }
    const Sixteen out = exp2_of_sixteen(in);
    for (std::size_t i = 0; i < 16; ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(out[i]) / std::exp2(static_cast<double>(in[i])) - 1));
    }
  }
  CHECK(worst <= 1.7e-7);
  CHECK(worst > 0);
}

TEST_CASE("2^x of whole numbers is exact, keeps NaN and stays within normal numbers") {
  if (!can_run()) { return; }
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Sixteen in{0, 1, -1, 10, -10, 126, -126, 127, 1e30F, infinity, -127, -149, -1e30F, -infinity, nan, -0.0F};
  const Sixteen out = exp2_of_sixteen(in);
  const float most = 0x1p126F, least = 0x1p-126F;
  const Sixteen expected{1, 2, 0.5F, 1024, 0x1p-10F, most, least, most, most, most, least, least, least, least, nan, 1};
  for (std::size_t i = 0; i < 16; ++i) {
    CAPTURE(in[i]);
    CHECK((out[i] == expected[i] || (std::isnan(out[i]) && std::isnan(expected[i]))));
  }
}

#endif
