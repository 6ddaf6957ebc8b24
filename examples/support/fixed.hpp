#pragma once
/// Fixed-point numbers and plane points: whole-number arithmetic, so that every machine draws the same bytes.
#include <cmath>
#include <compare>
#include <cstdint>

namespace example {

/// A number held as a multiple of 1/65536. Meant for values below about 10^4; larger products would overflow.
struct Fixed {
  std::int64_t raw = 0;

  static constexpr std::int64_t unit = 65536;

  /// The whole number `value`.
  static constexpr Fixed of(std::int64_t value) { return Fixed{value * unit}; }
  /// top / bottom, rounded towards zero.
  static constexpr Fixed ratio(std::int64_t top, std::int64_t bottom) { return Fixed{top * unit / bottom}; }

  /// The largest whole number that is not above the value.
  constexpr std::int64_t floor() const { return raw >> 16; }
  /// The nearest whole number; halves go up.
  constexpr std::int64_t round() const { return (raw + unit / 2) >> 16; }

  friend constexpr auto operator<=>(const Fixed&, const Fixed&) = default;
  friend constexpr Fixed operator+(Fixed a, Fixed b) { return Fixed{a.raw + b.raw}; }
  friend constexpr Fixed operator-(Fixed a, Fixed b) { return Fixed{a.raw - b.raw}; }
  friend constexpr Fixed operator-(Fixed a) { return Fixed{-a.raw}; }
  friend constexpr Fixed operator*(Fixed a, Fixed b) { return Fixed{(a.raw * b.raw) >> 16}; }
  friend constexpr Fixed operator/(Fixed a, Fixed b) { return Fixed{a.raw * unit / b.raw}; }
};

inline namespace literals {
/// 0.25_fx. A decimal number times a power of two, rounded to a whole number: the same everywhere.
constexpr Fixed operator""_fx(long double value) { return Fixed{static_cast<std::int64_t>(value * 65536 + 0.5L)}; }
constexpr Fixed operator""_fx(unsigned long long value) { return Fixed::of(static_cast<std::int64_t>(value)); }
}  // namespace literals

constexpr Fixed smaller(Fixed a, Fixed b) { return b < a ? b : a; }
constexpr Fixed larger(Fixed a, Fixed b) { return a < b ? b : a; }
constexpr Fixed magnitude(Fixed a) { return a.raw < 0 ? -a : a; }
constexpr Fixed clamped(Fixed a, Fixed low, Fixed high) { return smaller(larger(a, low), high); }
/// The part after the whole part, in [0, 1).
constexpr Fixed fraction(Fixed a) { return Fixed{a.raw & (Fixed::unit - 1)}; }
/// The smooth step 3t^2 - 2t^3 of a t in [0, 1].
constexpr Fixed smooth(Fixed t) { return t * t * (3_fx - 2_fx * t); }

/// The whole square root, rounded down, of a value in [0, 2^52].
inline std::int64_t whole_root(std::int64_t value) {
  // The hardware root is a first guess only; the whole-number steps below make the result independent of rounding.
  auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(value)));
  while (root * root > value) { --root; }
  while ((root + 1) * (root + 1) <= value) { ++root; }
  return root;
}

/// The sine of `angle`, counted in 1/65536 turns, to 10^-4. A polynomial, because library sines differ in the
/// last bit.
constexpr Fixed sine(std::int64_t angle) {
  const std::int64_t turn = angle & 65535;
  const std::int64_t half = turn & 32767;
  const Fixed t{(half <= 16384 ? half : 32768 - half) * 4};  // 0 .. 1 over a quarter of a turn
  const Fixed s = t * t;
  const Fixed value = t * (1.5707949_fx - s * (0.645921_fx - s * (0.0794877_fx - s * 0.0043625_fx)));
  return turn < 32768 ? value : -value;
}
constexpr Fixed cosine(std::int64_t angle) { return sine(angle + 16384); }

/// A point of the plane, x to the right and y down.
struct Point {
  Fixed x;
  Fixed y;

  friend constexpr Point operator+(Point a, Point b) { return Point{a.x + b.x, a.y + b.y}; }
  friend constexpr Point operator-(Point a, Point b) { return Point{a.x - b.x, a.y - b.y}; }
  friend constexpr Point operator*(Point a, Fixed b) { return Point{a.x * b, a.y * b}; }
};

constexpr Fixed dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
/// The squared length in units of 2^-32, exact.
constexpr std::int64_t square_raw(Point a) { return a.x.raw * a.x.raw + a.y.raw * a.y.raw; }
inline Fixed length(Point a) { return Fixed{whole_root(square_raw(a))}; }

}  // namespace example
