#pragma once
/// The derivatives of a sum along a few directions of one tensor, to compare a gradient with.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/test/central_difference.hpp"
#include "radapt/test/check_options.hpp"
#include "radapt/test/report.hpp"

namespace radapt::test {

/// Takes the derivatives once; compares any number of gradients with them.
class GradientProbe {
 public:
  /// `data` (size elements) is moved and put back; loss() evaluates the sum.
  GradientProbe(std::string name, double* data, Index size, const DifferenceOptions& options, Random& random,
                const std::function<Sum()>& loss)
      : name_(std::move(name)), size_(size), bound_(options.bound) {
    if (size == 0) { return; }
    const std::vector<double> first(data, data + size);
    const auto add = [&](const char* title, std::vector<double> direction) {
      const auto derivative = central_difference(options.step, [&](double t) {
        for (Index i = 0; i < size; ++i) { data[i] = first[i] + t * direction[i]; }
        return loss();
      });
      std::copy(first.begin(), first.end(), data);
      probes_.push_back({title, std::move(direction), derivative});
    };
    std::vector<double> direction(size);
    for (double& d : direction) { d = random.normal(); }
    add("along a random direction", direction);
    for (Index i = 0; i < options.elements && size > 1; ++i) {
      std::fill(direction.begin(), direction.end(), 0.0);
      direction[random.below(static_cast<std::uint32_t>(size))] = 1;
      add("along a single element", direction);
    }
  }

  /// Holds `gradient` (size elements) against the derivatives.
  void compare(Report& report, const std::string& where, const double* gradient) const {
    double squares = 0, largest = 0;
    for (Index i = 0; i < size_; ++i) {
      squares += gradient[i] * gradient[i];
      largest = std::max(largest, std::abs(gradient[i]));
    }
    for (const Probe& probe : probes_) {
      double computed = 0;
      for (Index i = 0; i < size_; ++i) { computed += gradient[i] * probe.direction[i]; }
      const double expected = probe.derivative.value, error = std::abs(computed - expected);
      const bool whole = &probe == probes_.data();
      const double size = std::max(whole ? std::sqrt(squares) : largest, std::abs(expected));
      const double bound = bound_ * size + probe.derivative.rounding;
      const bool within = error <= bound;
      report.expect(within, where + ": " + name_ + ", " + probe.title + ": computed " + Report::spelt(computed) +
                                ", central differences give " + Report::spelt(expected) + ", error " +
                                Report::spelt(error) + ", bound " + Report::spelt(bound));
      if (within && size > 0) { report.passed(error / size, where + ": " + name_); }
    }
  }

 private:
  struct Probe {
    const char* title;
    std::vector<double> direction;
    Derivative derivative;
  };
  std::string name_;
  Index size_;
  double bound_;
  std::vector<Probe> probes_;
};

}  // namespace radapt::test
