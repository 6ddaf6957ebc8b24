#pragma once
/// Pre-training a small CLIP from nothing.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/io/prefetch.hpp"
#include "radapt/train/progress.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"

#include "run_files.hpp"
#include "study_data.hpp"

namespace example {

/// Pairs for pre-training, one by one.
struct PairSource {
  /// Writes the pixels of the next image and returns the ids of its caption.
  std::function<std::vector<std::int64_t>(std::span<float> pixels)> next = {};
};
/// Whole batches for pre-training; what one refers to stays until the next.
using BatchSource = std::function<radapt::PairBatch<float>()>;

/// Pre-trains a CLIP from scratch with the contrastive loss, on the batches of make_next(context). Returns its weights
/// and appends the losses. `runs`, unless null, keeps it while it goes on, and says where an earlier one had come to.
template <class Arch, class Backend, class MakeNext>
radapt::Weights<radapt::Clip<Arch>> pretrain_with(MakeNext&& make_next, Index batch, std::uint64_t steps, double lr,
                                                  std::uint64_t seed, std::vector<double>& losses,
                                                  const std::function<void(const StepRecord&)>& log, RunFiles* runs) {
  using Recipe = radapt::recipe::flyp<Arch>;
  radapt::Weights<radapt::Clip<Arch>> first;
  radapt::initialise_clip(first, seed);
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = lr, .warmup = steps / 20, .total = steps, .minimum = 0};
  o.optimizer = {.beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.1};
  o.seed = seed;
  radapt::Trainer<Recipe, Backend> trainer(first, o);
  auto&& next = make_next(trainer.context());
  const std::string run = fmt::format("pre-training, seed {}", seed);
  RunSoFar so_far;
  if (runs != nullptr) { so_far = runs->resume(run, trainer); }
  radapt::Progress progress("pre-training", steps);
  for (std::uint64_t step = 0; step < trainer.steps(); ++step) {
    next();  // what these steps saw: the next ones see what comes behind
    progress.advance(1);
  }
  for (std::uint64_t step = trainer.steps(); step < steps; ++step) {
    const radapt::StepReport report = trainer.step(next());
    so_far.losses.push_back(report.loss);
    if (log) { log({"pre-training", seed, step, lr, report.lr, report.loss, report.grad_norm}); }
    if (runs != nullptr) { runs->keep(run, trainer, steps, so_far); }
    progress.advance(1, "loss " + std::to_string(report.loss));
  }
  losses.insert(losses.end(), so_far.losses.begin(), so_far.losses.end());
  return trainer.weights();
}

/// On whole batches.
template <class Arch, class Backend = radapt::onednn>
radapt::Weights<radapt::Clip<Arch>> pretrain(const BatchSource& next, Index batch, std::uint64_t steps, double lr,
                                             std::uint64_t seed, std::vector<double>& losses,
                                             const std::function<void(const StepRecord&)>& log = {},
                                             RunFiles* runs = nullptr) {
  const auto as_they_are = [&](auto&) -> const BatchSource& { return next; };
  return pretrain_with<Arch, Backend>(as_they_are, batch, steps, lr, seed, losses, log, runs);
}

/// On pairs one by one, of which the next are made while a GPU works on a batch.
template <class Arch, class Backend = radapt::onednn>
radapt::Weights<radapt::Clip<Arch>> pretrain(const PairSource& source, Index batch, std::uint64_t steps, double lr,
                                             std::uint64_t seed, std::vector<double>& losses,
                                             const std::function<void(const StepRecord&)>& log = {},
                                             RunFiles* runs = nullptr) {
  using Clip = radapt::Clip<Arch>;
  using Pixels = radapt::Prefetch<Backend>;
  std::vector<radapt::Captions> captions(Pixels::alive, radapt::Captions::of<Clip>());
  const auto fill = [&](std::uint64_t step, std::span<float> room) {
    radapt::Captions& of_batch = captions[step % Pixels::alive];
    of_batch.clear();
    for (std::size_t row = 0; row < batch; ++row) {
      of_batch.add(source.next(room.subspan(row * Clip::PixelRow::width, Clip::PixelRow::width)));
    }
  };
  const auto make_next = [&](radapt::Context<Backend>& context) {
    const auto pixels = std::make_shared<Pixels>(context, batch * Clip::PixelRow::width, steps, fill);
    return [&captions, pixels, step = std::uint64_t{0}]() mutable -> radapt::PairBatch<float> {
      const std::span<const float> of_batch = pixels->next();
      return {.pixels = of_batch, .captions = &captions[step++ % Pixels::alive]};
    };
  };
  return pretrain_with<Arch, Backend>(make_next, batch, steps, lr, seed, losses, log, runs);
}

}  // namespace example
