// The 16-bit element types: every stored value, and every way of rounding to them.
#include "radapt/core/element.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace {

using radapt::bf16;
using radapt::f16;

/// What the bits of an f16 mean, by the definition of binary16.
double f16_meaning(std::uint32_t bits) {
  const int exponent = static_cast<int>((bits >> 10) & 31U);
  const double mantissa = static_cast<double>(bits & 1023U);
  const double size = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024.0 + mantissa, exponent - 25);
  return (bits & 0x8000U) != 0 ? -size : size;
}

/// What the bits of a bf16 mean.
double bf16_meaning(std::uint32_t bits) {
  const int exponent = static_cast<int>((bits >> 7) & 255U);
  const double mantissa = static_cast<double>(bits & 127U);
  const double size = exponent == 0 ? std::ldexp(mantissa, -133) : std::ldexp(128.0 + mantissa, exponent - 134);
  return (bits & 0x8000U) != 0 ? -size : size;
}

/// Between every two neighbouring finite values of T: the middle goes to the even one, and the nearest doubles beside
/// the middle go to their side. `infinity` is the bit pattern after the largest finite value.
template <class T, class Meaning>
void check_rounding(std::uint16_t infinity, Meaning meaning) {
  int wrong = 0;
  for (std::uint32_t low = 0; low + 1U < infinity; ++low) {
    const double a = meaning(low);
    const double b = meaning(low + 1U);
    const double middle = a + (b - a) / 2;
    const auto even = static_cast<std::uint16_t>((low & 1U) == 0 ? low : low + 1U);
    wrong += T(middle).bits != even;
    wrong += T(std::nextafter(middle, 0.0)).bits != low;
    wrong += T(std::nextafter(middle, b)).bits != low + 1U;
    wrong += T(-middle).bits != (even | 0x8000U);
    wrong += T(-std::nextafter(middle, b)).bits != ((low + 1U) | 0x8000U);
    // The middle is a float as well (one more bit than T has), and so are its float neighbours.
    const auto middle_float = static_cast<float>(middle);
    wrong += T(middle_float).bits != even;
    wrong += T(std::nextafter(middle_float, 0.0F)).bits != low;
    wrong += T(std::nextafter(middle_float, std::numeric_limits<float>::infinity())).bits != low + 1U;
    wrong += T(-middle_float).bits != (even | 0x8000U);
  }
  CHECK(wrong == 0);
}

TEST_CASE("every f16 bit pattern means what binary16 says and survives float and back") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536U; ++bits) {
    const f16 value = f16::from_bits(static_cast<std::uint16_t>(bits));
    const float wide = value;
    wrong += f16(wide).bits != bits;
    if ((bits & 0x7c00U) != 0x7c00U) {
      wrong += static_cast<double>(wide) != f16_meaning(bits);
      wrong += std::signbit(wide) != ((bits & 0x8000U) != 0);
      wrong += f16(static_cast<double>(wide)).bits != bits;
    } else if ((bits & 1023U) == 0) {
      wrong += !std::isinf(wide);
    } else {
      wrong += !std::isnan(wide);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("every bf16 bit pattern is the upper half of a float and survives float and back") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536U; ++bits) {
    const bf16 value = bf16::from_bits(static_cast<std::uint16_t>(bits));
    const float wide = value;
    wrong += bf16(wide).bits != bits;
    if ((bits & 0x7f80U) != 0x7f80U) {
      wrong += static_cast<double>(wide) != bf16_meaning(bits);
      wrong += bf16(static_cast<double>(wide)).bits != bits;
    } else if ((bits & 127U) == 0) {
      wrong += !std::isinf(wide);
    } else {
      wrong += !std::isnan(wide);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("conversion rounds to nearest, ties to even, from float and from double") {
  check_rounding<f16>(0x7c00U, f16_meaning);
  check_rounding<bf16>(0x7f80U, bf16_meaning);
}

TEST_CASE("overflow, infinities, NaN and zero") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(f16(65519.996F).bits == 0x7bff);
  CHECK(f16(65520.0F).bits == 0x7c00);
  CHECK(f16(65520.0).bits == 0x7c00);
  CHECK(f16(-1e30F).bits == 0xfc00);
  CHECK(f16(1e300).bits == 0x7c00);
  CHECK(f16(infinity).bits == 0x7c00);
  CHECK(f16(-0.0F).bits == 0x8000);
  CHECK(f16(std::ldexp(1.0F, -25)).bits == 0);  // a tie with zero, which is even
  CHECK(f16(std::nextafter(std::ldexp(1.0F, -25), 1.0F)).bits == 1);
  CHECK(f16(std::numeric_limits<float>::denorm_min()).bits == 0);
  CHECK(std::isnan(static_cast<float>(f16(std::nanf("")))));
  CHECK(bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bf16(3.3895314e38F).bits == 0x7f7f);  // the largest bf16
  CHECK(bf16(1e300).bits == 0x7f80);
  CHECK(bf16(-infinity).bits == 0xff80);
  CHECK(bf16(-0.0).bits == 0x8000);
  CHECK(std::isnan(static_cast<float>(bf16(std::nanf("")))));
  // A NaN whose payload lies in the bits that are cut off stays a NaN.
  CHECK(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(0x7f800001U)))));
  CHECK(std::isnan(static_cast<float>(f16(std::bit_cast<float>(0xff800001U)))));
}

TEST_CASE("the conversions are constant expressions and the names are fixed") {
  static_assert(f16(1.0F).bits == 0x3c00 && bf16(1.0F).bits == 0x3f80 && f16(0.1).bits == 0x2e66);
  static_assert(static_cast<float>(f16::from_bits(1)) == 0x1p-24F);
  static_assert(radapt::element<float> && radapt::element<bf16> && !radapt::element<int> &&
                !radapt::element<const float>);
  CHECK(radapt::element_name<float> == "float");
  CHECK(radapt::element_name<double> == "double");
  CHECK(radapt::element_name<bf16> == "bf16");
  CHECK(radapt::element_name<f16> == "f16");
}

}  // namespace
