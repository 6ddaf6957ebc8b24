#pragma once
/// The element types that tensors are stored in: float, double and the two 16-bit formats.
#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace radapt {

/// float -> float storage rules shared by both 16-bit formats; everything works on the bits, so it is exact everywhere.
namespace element_detail {

constexpr std::uint16_t bf16_bits(float value) {
  // Choices and no jumps: compilers keep a loop with them in vector registers.
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), upper = bits >> 16;
  const std::uint32_t rounded = (bits + 0x7fffU + (upper & 1U)) >> 16;
  // A NaN keeps the part of its payload that fits; an empty remainder would turn it into an infinity.
  const std::uint32_t nan = upper | ((upper & 0x7fU) == 0 ? 0x40U : 0U);
  return static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? nan : rounded);
}

constexpr std::uint16_t f16_bits(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t result = 0;
  if (magnitude > 0x7f800000U) {
    const std::uint32_t payload = (magnitude >> 13) & 0x3ffU;
    result = 0x7c00U | (payload != 0 ? payload : 0x200U);
  } else if (magnitude >= 0x477ff000U) {  // 65520 and above: the tie goes to the even neighbour, infinity
    result = 0x7c00U;
  } else if (magnitude >= 0x38800000U) {  // at least 2^-14: a normal number
    result = (magnitude + 0xfffU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 13;
  } else if (magnitude > 0x33000000U) {  // above 2^-25: a multiple of 2^-24, possibly carried to 2^-14
    const std::uint32_t shift = 126U - (magnitude >> 23);
    const std::uint32_t mantissa = (magnitude & 0x7fffffU) | 0x800000U;
    const std::uint32_t rest = mantissa & ((1U << shift) - 1U);
    const std::uint32_t half = 1U << (shift - 1U);
    result = mantissa >> shift;
    if (rest > half || (rest == half && (result & 1U) != 0)) { ++result; }
  }
  return static_cast<std::uint16_t>(sign | result);
}

constexpr float f16_value(std::uint16_t stored) {
  const std::uint32_t sign = static_cast<std::uint32_t>(stored & 0x8000U) << 16;
  const std::uint32_t exponent = (stored >> 10) & 0x1fU;
  const std::uint32_t mantissa = stored & 0x3ffU;
  if (exponent == 0x1fU) { return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13)); }
  if (exponent != 0) { return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13)); }
  if (mantissa == 0) { return std::bit_cast<float>(sign); }
  // A subnormal is mantissa * 2^-24; move its highest bit to the implicit place.
  const std::uint32_t up = static_cast<std::uint32_t>(std::countl_zero(mantissa)) - 21U;
  return std::bit_cast<float>(sign | ((113U - up) << 23) | (((mantissa << up) & 0x3ffU) << 13));
}

/// A float from which rounding to 16 bits gives the same as rounding `value` directly: towards zero, with the last bit
/// set when anything was lost ("round to odd"), so that no second rounding sees a false tie.
constexpr float sticky_float(double value) {
  const float nearest = static_cast<float>(value);
  if (!(static_cast<double>(nearest) != value) || value != value) { return nearest; }
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
  const double magnitude = value < 0 ? -value : value;
  const float magnitude_float = std::bit_cast<float>(bits & 0x7fffffffU);
  const std::uint32_t towards_zero = static_cast<double>(magnitude_float) > magnitude ? bits - 1U : bits;
  return std::bit_cast<float>(towards_zero | 1U);
}

}  // namespace element_detail

/// bfloat16: the upper half of a float. Conversion from float and double rounds to nearest, ties to even; to float it
/// is exact. Infinities, signed zeros and subnormals are kept; a NaN stays a NaN.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  constexpr explicit bf16(float value) : bits(element_detail::bf16_bits(value)) {}
  constexpr explicit bf16(double value) : bits(element_detail::bf16_bits(element_detail::sticky_float(value))) {}
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

  /// The value with exactly this representation.
  static constexpr bf16 from_bits(std::uint16_t stored) {
    bf16 value{0.0F};
    value.bits = stored;
    return value;
  }
};

/// IEEE binary16. Conversion from float and double rounds to nearest, ties to even, and 65520 or more becomes infinite;
/// to float it is exact. Subnormals (multiples of 2^-24), infinities and signed zeros are kept; a NaN stays a NaN.
struct f16 {
  std::uint16_t bits;

  f16() = default;
  constexpr explicit f16(float value) : bits(element_detail::f16_bits(value)) {}
  constexpr explicit f16(double value) : bits(element_detail::f16_bits(element_detail::sticky_float(value))) {}
  constexpr operator float() const { return element_detail::f16_value(bits); }

  /// The value with exactly this representation.
  static constexpr f16 from_bits(std::uint16_t stored) {
    f16 value{0.0F};
    value.bits = stored;
    return value;
  }
};

static_assert(sizeof(bf16) == 2 && alignof(bf16) == 2 && std::is_trivially_copyable_v<bf16> && std::is_trivial_v<bf16>);
static_assert(sizeof(f16) == 2 && alignof(f16) == 2 && std::is_trivially_copyable_v<f16> && std::is_trivial_v<f16>);

/// What a tensor may be made of.
template <class T>
concept element =
    std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, bf16> || std::is_same_v<T, f16>;

/// The type of parameters, of their gradients, and of what enters and leaves a model, where activations are T. 16 bits
/// are for what a pass stores in between.
template <element T>
using parameter_t = std::conditional_t<sizeof(T) == 2, float, T>;

/// The name of an element type as it is written in messages and tables.
template <element T>
inline constexpr std::string_view element_name = std::is_same_v<T, float>    ? "float"
                                                 : std::is_same_v<T, double> ? "double"
                                                 : std::is_same_v<T, bf16>   ? "bf16"
                                                                             : "f16";

}  // namespace radapt
