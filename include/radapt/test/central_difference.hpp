#pragma once
/// Derivatives by central differences, with an estimate of their own rounding.
#include <limits>

namespace radapt::test {

/// A sum in double, and the sum of the magnitudes of its terms: how much its rounding can be.
struct Sum {
  double value = 0, magnitude = 0;

  constexpr void add(double term) {
    value += term;
    magnitude += term < 0 ? -term : term;
  }
};

/// A derivative, and the rounding error that the differences it was made from may have left in it.
struct Derivative {
  double value = 0, rounding = 0;
};

/// df/dt at t = 0 by the five-point formula; f takes t and returns a Sum.
///
/// The formula leaves step^4 f^(5) / 30, and the roundings of f divided by the step. With variables near one, a step of
/// 1e-3 makes the first about 1e-13 and the second 1e-12: two points would need a step of 1e-5, where 1e-10 is left.
template <class F>
Derivative central_difference(double step, F&& f) {
  const Sum far_below = f(-2 * step), below = f(-step), above = f(step), far_above = f(2 * step);
  // A value is off by a few roundings of its terms, for which 8 stands; the weights of the formula add up to 18 / 12.
  constexpr double roundings = 8 * std::numeric_limits<double>::epsilon() * 18 / 12;
  return {(far_below.value - 8 * below.value + 8 * above.value - far_above.value) / (12 * step),
          roundings * (above.magnitude + below.magnitude) / 2 / step};
}

}  // namespace radapt::test
