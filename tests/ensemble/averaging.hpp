#pragma once
/// A moving average of given iterates, as the AdamW kernel takes it: at rate zero the parameters stay what they are.
#include <span>
#include <vector>

#include "radapt/backend/run.hpp"
#include "radapt/op/update.hpp"

namespace radapt_test {

/// Follows iterates with a moving average on the backend of S.
template <class S>
class Averaging {
 public:
  using T = typename S::T;

  explicit Averaging(std::vector<T> initial)
      : average_(std::move(initial)),
        gradients_(average_.size()),
        first_moment_(average_.size()),
        second_moment_(average_.size()) {}

  /// average = momentum average + (1 - momentum) iterate.
  const std::vector<T>& follow(std::span<const T> iterate, double momentum) {
    std::vector<T> parameters(iterate.begin(), iterate.end());
    const radapt::Index n = average_.size();
    radapt::run(context_, radapt::op::adamw<T>{.parameters = {parameters.data(), n},
                                               .first_moment = {first_moment_.data(), n},
                                               .second_moment = {second_moment_.data(), n},
                                               .gradients = {gradients_.data(), n},
                                               .average = {average_.data(), n},
                                               .average_momentum = momentum});
    return average_;
  }

 private:
  radapt::Context<typename S::backend> context_;
  std::vector<T> average_, gradients_, first_moment_, second_moment_;
};

}  // namespace radapt_test
