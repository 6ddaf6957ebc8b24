#pragma once
/// Ten steps of R-Adapter with dropped adapters, on any backend.
#include <vector>

#include "radapt/clip/initialise.hpp"
#include "radapt/train/trainer.hpp"
#include "train/small_pairs.hpp"

namespace radapt_test {

/// What they left.
struct TenSteps {
  std::vector<double> losses, norms;
  std::vector<float> parameters;
};

/// `micro_batch` of 0 is the whole batch.
template <class Backend>
TenSteps ten_steps(radapt::Index micro_batch = 0) {
  radapt::Weights<SmallPairs::Model> weights;
  radapt::initialise_clip(weights, 1);
  radapt::TrainOptions options{.size = {.batch = SmallPairs::batch, .micro_batch = micro_batch}};
  options.schedule.base = 1e-3;
  options.schedule.warmup = 2;
  options.schedule.total = 10;
  radapt::Trainer<SmallPairs::Recipe, Backend> trainer(weights, options, {.tau = 0.1});
  const SmallPairs pairs;
  TenSteps out;
  for (int i = 0; i < 10; ++i) {
    const auto report = trainer.step(pairs.view());
    out.losses.push_back(report.loss);
    out.norms.push_back(report.grad_norm);
  }
  const auto& parameters = trainer.state().parameter_buffer();
  out.parameters.assign(parameters.begin(), parameters.end());
  return out;
}

}  // namespace radapt_test
