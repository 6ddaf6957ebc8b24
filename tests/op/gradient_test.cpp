/// Every operation that computes a gradient against central differences of its forward function, in double on the
/// reference backend: along a random direction, and along a handful of single elements.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "cases/all.hpp"
#include "cases/reference_kernels.hpp"
#include "op/threads.hpp"

namespace {

using namespace radapt_test;

// The five-point formula with a step of 1e-3 leaves 1e-12 for smooth functions of variables near one, and its estimate
// of rounding covers sums over the results (see central_difference.hpp). It does not see the sum inside a loss: up to
// 45000 terms, 1e-8 of the largest element of a gradient that is a mean over them. Times ten.
constexpr double tolerance = 1e-7;

/// The derivative along `direction` as the operation gives it and as differences do, relative to `size`.
void compare(const Differentiation& d, const Differentiation::Variable& v, const std::vector<double>& gradient,
             const std::vector<double>& direction, double size) {
  double computed = 0;
  for (Index i = 0; i < v.size; ++i) { computed += gradient[i] * direction[i]; }
  const radapt::test::Derivative expected = d.along(v, direction);
  CAPTURE(computed);
  CAPTURE(expected.value);
  CHECK(std::abs(computed - expected.value) <= tolerance * size + expected.rounding);
}

void check_gradient(const Differentiation& d, const Differentiation::Variable& v) {
  if (v.size == 0) { return; }
  const std::vector<double> gradient = d.gradient(v);
  double squares = 0, largest = 0;
  for (const double g : gradient) {
    squares += g * g;
    largest = std::max(largest, std::abs(g));
  }
  radapt::Random random(77);
  std::vector<double> direction(v.size);
  for (double& x : direction) { x = random.normal(); }
  compare(d, v, gradient, direction, std::sqrt(squares));
  for (int probe = 0; probe < 5; ++probe) {
    const Index i = probe == 0 ? 0 : probe == 1 ? v.size - 1 : random.below(static_cast<std::uint32_t>(v.size));
    CAPTURE(i);
    std::fill(direction.begin(), direction.end(), 0.0);
    direction[i] = 1;
    compare(d, v, gradient, direction, largest);
  }
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("every gradient is the derivative of its function", C, gradients) {
  use_threads(1);  // the problems are too small for more
  if constexpr (cases::differentiates<C>) {
    const auto sizes = cases::differentiated_sizes<C>();
    REQUIRE_FALSE(sizes.empty());
    for (const auto& size : sizes) {
      INFO(size.title());
      Differentiation d;
      C::differentiate(d, size);
      REQUIRE_FALSE(d.variables().empty());
      for (const auto& variable : d.variables()) { check_gradient(d, variable); }
    }
  } else {
    const std::string name = cases::name_of<C>;
    CHECK(name.find("backward") == std::string::npos);
    CHECK(name.find("loss") == std::string::npos);
  }
}
TEST_CASE_TEMPLATE_APPLY(gradients, cases::all);
