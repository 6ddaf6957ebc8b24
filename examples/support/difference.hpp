#pragma once
/// How far numbers are from others that they should be.
#include <algorithm>
#include <cmath>

namespace example {

/// Over pairs of numbers. What is no number in either stays in `most`, and is within nothing.
struct Difference {
  double most = 0, largest = 0;  ///< |x - expected| and |expected|

  void add(double x, double expected) {
    const double difference = std::abs(x - expected);
    if (!(std::isnan(most) || difference <= most)) { most = difference; }
    largest = std::max(largest, std::abs(expected));
  }
  double share() const { return most == 0 ? 0 : most / largest; }
  bool within(double share_of_largest) const { return most <= share_of_largest * largest; }
};

}  // namespace example
