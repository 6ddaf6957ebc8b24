#pragma once
/// What a layer is checked on, and how exact its gradients must be.
#include <cstdint>
#include <vector>

#include "radapt/core/context.hpp"

namespace radapt::test {

/// How derivatives are taken, and how close a gradient must come.
struct DifferenceOptions {
  /// In units of the tensor's elements, which should be near one. A function with a kink is not differentiable within
  /// the step of it: such a layer passes with another seed, or with fewer elements.
  double step = 1e-4;
  /// Of the gradient's length along a random direction, of its largest element along a single one. What the differences
  /// leave is estimated and allowed on top: their truncation is 1e-16 times the fifth derivative, and their rounding
  /// 1e-12. Both grow with the number of layers, to 1e-9 through a tower of two blocks; a wrong gradient is off by
  /// 1e-3.
  double bound = 1e-7;
  Index elements = 3;  ///< single elements that are compared besides the random direction
};

/// What a layer is checked on. The defaults are small: a check takes milliseconds.
struct CheckOptions {
  Index sequences = 3, length = 5;     ///< the uniform batch; no sequences: none
  std::vector<Index> packed{4, 1, 6};  ///< lengths of the sequences of the packed batch; empty: none
  std::vector<Index> pooled{};         ///< position in each packed sequence that pooling reads; empty: first or last
  Index classes = 3;                   ///< value of dynamic extents
  Index vocabulary = 0;                ///< ids are drawn below it; layers on TokenRow need it
  Phase phase{};                       ///< draws of a training step: dropping, masks, alpha
  std::uint64_t seed = 1;              ///< of parameters, inputs and directions
  DifferenceOptions differences{};     ///< how gradients are compared
};

}  // namespace radapt::test
