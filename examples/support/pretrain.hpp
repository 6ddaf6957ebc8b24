#pragma once
/// Pre-training a small CLIP from nothing.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/train/progress.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

#include "study_data.hpp"

namespace example {

/// Pairs for pre-training, one by one.
struct PairSource {
  /// Fills row `row` of `pixels` and returns the ids of its caption.
  std::function<std::vector<std::int64_t>(std::size_t row, std::vector<float>& pixels)> next = {};
};
/// Whole batches for pre-training; what one refers to stays until the next.
using BatchSource = std::function<radapt::PairBatch<float>()>;

/// Pre-trains a CLIP from scratch with the contrastive loss. Returns its weights and appends the losses.
template <class Arch, class Backend = radapt::onednn>
radapt::Weights<radapt::Clip<Arch>> pretrain(const BatchSource& next, Index batch, std::uint64_t steps, double lr,
                                             std::uint64_t seed, std::vector<double>& losses,
                                             const std::function<void(const StepRecord&)>& log = {}) {
  using Recipe = radapt::recipe::flyp<Arch>;
  radapt::Weights<radapt::Clip<Arch>> first;
  radapt::initialise_clip(first, seed);
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = lr, .warmup = steps / 20, .total = steps, .minimum = 0};
  o.optimizer = {.beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.1};
  o.seed = seed;
  radapt::Trainer<Recipe, Backend> trainer(first, o);
  radapt::Progress progress("pre-training", steps);
  for (std::uint64_t step = 0; step < steps; ++step) {
    const radapt::StepReport report = trainer.step(next());
    losses.push_back(report.loss);
    if (log) { log({"pre-training", seed, step, lr, report.lr, report.loss, report.grad_norm}); }
    progress.advance(1, "loss " + std::to_string(report.loss));
  }
  return trainer.weights();
}

/// The same from pairs one by one.
template <class Arch, class Backend = radapt::onednn>
radapt::Weights<radapt::Clip<Arch>> pretrain(const PairSource& source, Index batch, std::uint64_t steps, double lr,
                                             std::uint64_t seed, std::vector<double>& losses,
                                             const std::function<void(const StepRecord&)>& log = {}) {
  std::vector<float> pixels(batch * radapt::Clip<Arch>::PixelRow::width);
  auto captions = radapt::Captions::of<radapt::Clip<Arch>>();
  const BatchSource next = [&]() -> radapt::PairBatch<float> {
    captions.clear();
    for (std::size_t i = 0; i < batch; ++i) { captions.add(source.next(i, pixels)); }
    return {.pixels = pixels, .captions = &captions};
  };
  return pretrain<Arch, Backend>(next, batch, steps, lr, seed, losses, log);
}

}  // namespace example
