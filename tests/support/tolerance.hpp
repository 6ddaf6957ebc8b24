#pragma once
/// Errors as the oracle's README defines them, and the bounds that it derives.
#include <algorithm>
#include <cmath>
#include <span>

namespace radapt_test {

/// max |x - expected| / max |expected|; the plain maximum where everything expected is zero.
template <class A, class B>
double normalised_error(const A* x, const B* expected, std::size_t n) {
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double difference = std::abs(static_cast<double>(x[i]) - static_cast<double>(expected[i]));
    error = difference > error || std::isnan(difference) ? difference : error;
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return largest > 0 ? error / largest : error;
}
template <class A, class B>
double normalised_error(const A& x, const B& expected) {
  return x.size() == expected.size() ? normalised_error(x.data(), expected.data(), expected.size()) : INFINITY;
}

/// Bounds of the oracle's README, by element type. The double column: the fixtures are computed in double as well, so
/// what is left is the order of summation, some 1e-13 through a whole model.
template <class T>
struct bounds;
template <>
struct bounds<float> {
  static constexpr double features = 1e-5, loss = 1e-5, gradients = 1e-4, training_loss = 1e-4, grad_norm = 1e-3;
  static constexpr double parameters_mean = 1e-3, merged = 1e-4, tables = 1e-5;
};
template <>
struct bounds<double> {
  static constexpr double features = 1e-10, loss = 1e-10, training_loss = 1e-9, grad_norm = 1e-9, tables = 1e-10;
  static constexpr double gradients = 1e-7;  // expected gradients are stored as F32: half a unit in the last place
  static constexpr double parameters_mean = 1e-5;  // likewise, relative to a learning rate of 1e-2 and weights near 1
  static constexpr double merged = 1e-10;
};

}  // namespace radapt_test
