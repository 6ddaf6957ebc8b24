#pragma once
/// Five steps on the CUDA backends, however their launches and their pixels reach the GPU.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "radapt/backend/cuda/all.hpp"
#include "radapt/clip/with_adapters.hpp"
#include "radapt/core/input_queue.hpp"
#include "radapt/io/prefetch.hpp"
#include "radapt/train/trainer.hpp"
#include "train/small_batches.hpp"

namespace radapt_test {

/// A backend whose steps are graphs, as a program would make one.
template <class Backend>
struct Graphs : Backend {
  Graphs() : Backend(radapt::CudaProducts::vendor, radapt::CudaSteps::graphs) {}
};

struct FiveSteps {
  Index micro_batch = 0;    ///< 0: the whole batch
  bool queued = false;      ///< pixels go through an input queue
  bool made_ahead = false;  ///< pixels are made ahead
  bool apart = false;       ///< adapters lie beside the weights of a plain CLIP, and not in one buffer with them
  bool fails = false;  ///< before the second step come one that is refused, half launched, and one that is not finite

  /// Losses, norms and parameters, as they are left.
  template <class Recipe, class Backend>
  std::vector<double> run() const {
    constexpr std::uint64_t steps = 5;
    radapt::TrainOptions options{.size = {.batch = SmallPairs::batch}};
    options.size.micro_batch = micro_batch;
    options.schedule = {.base = 1e-3, .warmup = 0, .total = 10, .minimum = 0};
    radapt::Trainer<Recipe, Backend> trainer(base<typename Recipe::trained>(), options);
    std::vector<SmallPairs> pairs;  // with captions of other lengths each
    for (std::uint64_t i = 0; i < steps; ++i) { pairs.emplace_back(i); }
    radapt::InputQueue<Backend> queue(trainer.context(), pairs[0].pixels.size());
    const auto send = [&](std::uint64_t i) {
      std::copy(pairs[i].pixels.begin(), pairs[i].pixels.end(), queue.room().begin());
      queue.send(pairs[i].pixels.size());
    };
    radapt::Prefetch<Backend> prefetch(trainer.context(), pairs[0].pixels.size(), steps,
                                       [&](std::uint64_t i, std::span<float> room) {
                                         std::copy(pairs[i].pixels.begin(), pairs[i].pixels.end(), room.begin());
                                       });
    std::vector<double> out;
    if (queued) { send(0); }
    for (std::uint64_t i = 0; i < steps; ++i) {
      if (fails && i == 1) { fail_twice<Recipe>(trainer); }
      const SmallBatch<Recipe> batch(pairs[i]);
      std::span<const float> pixels = pairs[i].pixels;
      if (queued) {
        if (i + 1 < steps) { send(i + 1); }
        pixels = queue.receive();
      }
      if (made_ahead) { pixels = prefetch.next(); }
      const auto report = trainer.step(batch.view(pixels));
      out.push_back(report.loss);
      out.push_back(report.grad_norm);
    }
    out.insert(out.end(), trainer.state().parameter_buffer().begin(), trainer.state().parameter_buffer().end());
    return out;
  }

 private:
  template <class Model>
  radapt::ConstWeights<Model> base() const {
    if constexpr (requires { requires !std::is_same_v<typename Model::policy, radapt::NoAdapter>; }) {
      using Plain = radapt::Clip<typename Model::arch>;
      if (apart) {
        return radapt::with_adapters<typename Model::policy>(radapt::ConstWeights<Plain>(small_weights<Plain>()), 1);
      }
    }
    return small_weights<Model>();
  }
  template <class Recipe>
  static void fail_twice(auto& trainer) {
    SmallPairs bad;
    bad.groups.pop_back();
    CHECK_THROWS_AS(trainer.step(SmallBatch<Recipe>(bad).view()), radapt::error);
    bad.groups.push_back(0);
    std::fill(bad.pixels.begin(), bad.pixels.end(), std::numeric_limits<float>::quiet_NaN());
    CHECK_THROWS_WITH_AS(trainer.step(SmallBatch<Recipe>(bad).view()), doctest::Contains("not finite"), radapt::error);
  }
};

}  // namespace radapt_test
