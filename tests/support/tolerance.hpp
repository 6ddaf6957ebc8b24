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
  static constexpr double whole_gradient = 1e-4;
  static constexpr double parameters_mean = 1e-3, parameters_off = 1e-3, merged = 1e-4, merged_tensors = 1e-4;
  static constexpr double tables = 1e-5;
};
template <>
struct bounds<double> {
  static constexpr double features = 1e-10, loss = 1e-10, training_loss = 1e-9, grad_norm = 1e-9, tables = 1e-10;
  // Expected gradients are stored as F32: half a unit in the last place.
  static constexpr double gradients = 1e-7, whole_gradient = 1e-7;
  static constexpr double parameters_mean = 1e-5;  // likewise, relative to a learning rate of 1e-2 and weights near 1
  static constexpr double parameters_off = 1e-3, merged = 1e-10;
  static constexpr double merged_tensors = 1e-4;  // likewise
};

/// Of the backends that store activations as bf16, or round the factors of products to it: some twelve roundings of
/// 2^-9 a block, which add up like a random walk, so that a feature is off by 2^-7 of the largest through three blocks,
/// and so is what a loss makes of features. In brackets the most that was seen, by onednn_bf16 with and without bf16 in
/// the processor, and by cuda_bf16.
struct bf16_bounds {
  static constexpr double features = 3e-2;       // (1.5e-2)
  static constexpr double loss = 2e-2;           // (5.4e-3)
  static constexpr double training_loss = 2e-2;  // (6.6e-3)
  static constexpr double grad_norm = 5e-2;      // (1.4e-2)
  // A cosine that is off by 0.008 is 0.8 in a logit at temperature 0.01: a softmax between two captions that are nearly
  // equal turns by as much, and with it the largest elements of some gradients (0.19); of all of them together the
  // error is that of the features and of the way back (5.6e-2).
  static constexpr double gradients = 0.4, whole_gradient = 0.1;
  // AdamW divides by the gradient's own size: every element is off by the relative error of its gradient, a few go the
  // other way (5.4e-2 of the rate a step; most by more than a hundredth).
  static constexpr double parameters_mean = 0.15, parameters_off = 1.0;
  static constexpr double merged = 3e-2;          // (1.5e-2)
  static constexpr double merged_tensors = 2e-3;  // five such steps beside weights of a hundred rates (7.4e-4)
};

}  // namespace radapt_test
