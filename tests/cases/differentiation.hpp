#pragma once
/// A function and its gradient as an operation computes it, in double on the reference backend: what a case with a
/// backward operation hands to the gradient test.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/test/central_difference.hpp"

namespace radapt_test {

using radapt::Index;

/// What an operation does with the gradient of a variable.
enum class Gradient {
  assigned,      ///< must be written whole: begins as NaN
  added,         ///< begins as noise that is subtracted afterwards
  of_some_rows,  ///< rows that are not kept are left alone: begins as zero, which is their derivative
};

/// The function is sum over results of <dy, y>; `forward` computes every y from the variables, `backward` every
/// gradient from the variables and what the last `forward` left.
class Differentiation {
 public:
  struct Variable {
    double *x, *dx;
    Index size;
    Gradient gradient;
    std::vector<double> noise;
  };
  struct Result {
    double *y, *dy;
    Index size;
  };

  const Variable& variable(Index n, Gradient gradient, double low = -1, double high = 1) {
    Variable v{constant(n, low, high), nullptr, n, gradient, std::vector<double>(n, 0.0)};
    for (double& noise : v.noise) {
      noise = gradient == Gradient::assigned ? NAN : gradient == Gradient::added ? random_.uniform(-1, 1) : 0.0;
    }
    v.dx = keep(v.noise);
    variables_.push_back(std::move(v));
    return variables_.back();
  }
  double* constant(Index n, double low = -1, double high = 1) {
    std::vector<double> values(n);
    for (double& x : values) { x = random_.uniform(low, high); }
    return keep(std::move(values));
  }
  double* given(std::vector<double> values) { return keep(std::move(values)); }
  /// Token ids and labels.
  const std::int32_t* whole(std::vector<std::int32_t> values) {
    whole_.push_back(std::move(values));
    return whole_.back().data();
  }
  /// Memory that forward fills for backward: statistics, workspace.
  double* intermediate(Index n) { return keep(std::vector<double>(n)); }
  const Result& result(Index n) {
    double* const dy = constant(n);
    results_.push_back({intermediate(n), dy, n});
    return results_.back();
  }
  /// A loss of which `backward` computes `weight` times the gradient.
  double* loss(double weight = 1) {
    results_.push_back({intermediate(1), keep({weight}), 1});
    return results_.back().y;
  }

  std::function<void()> forward, backward;
  double step = 1e-3;  ///< of the differences, in units of the variables

  const std::deque<Variable>& variables() const { return variables_; }

  /// The gradient of a variable as `backward` computes it.
  std::vector<double> gradient(const Variable& v) const {
    forward();
    for (const Variable& each : variables_) { std::copy(each.noise.begin(), each.noise.end(), each.dx); }
    backward();
    std::vector<double> g(v.dx, v.dx + v.size);
    for (Index i = 0; i < v.size; ++i) { g[i] -= v.gradient == Gradient::assigned ? 0.0 : v.noise[i]; }
    return g;
  }
  /// The derivative of the function when `v` moves along `direction`.
  radapt::test::Derivative along(const Variable& v, const std::vector<double>& direction) const {
    const std::vector<double> before(v.x, v.x + v.size);
    const auto derivative = radapt::test::central_difference(step, [&](double t) {
      for (Index i = 0; i < v.size; ++i) { v.x[i] = before[i] + t * direction[i]; }
      forward();
      radapt::test::Sum sum;
      for (const Result& r : results_) {
        for (Index i = 0; i < r.size; ++i) { sum.add(r.dy[i] * r.y[i]); }
      }
      return sum;
    });
    std::copy(before.begin(), before.end(), v.x);
    return derivative;
  }

 private:
  double* keep(std::vector<double> values) {
    values.reserve(1);  // so that a buffer without elements has an address, too
    memory_.push_back(std::move(values));
    return memory_.back().data();
  }

  radapt::Random random_{4321};
  std::deque<std::vector<double>> memory_;
  std::deque<std::vector<std::int32_t>> whole_;
  std::deque<Variable> variables_;
  std::deque<Result> results_;
};

}  // namespace radapt_test
