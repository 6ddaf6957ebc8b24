#pragma once
/// The methods of the retrieval program: zero-shot, FLYP and R-Adapter, each measured in both directions.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/with_adapters.hpp"
#include "radapt/task/retrieval.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/recipes.hpp"

#include "captioned_data.hpp"
#include "retrieval_measure.hpp"
#include "selection.hpp"

namespace example {

/// The settings of the methods.
struct RetrievalOptions {
  PairDrawing drawing = {};
  std::size_t micro_batch = 0;
  std::uint64_t steps = 100;
  std::vector<double> flyp_lrs = {1e-4, 3e-4}, adapter_lrs = {1e-3, 3e-3};
  double momentum = 0.95;     ///< of R-Adapter's moving average; short runs need less than the published 0.999
  std::size_t positives = 2;  ///< captions of one image in a batch of R-Adapter
  std::function<void(const StepRecord&)> log = {};
  RunFiles* run_files = nullptr;  ///< keeps runs while they go on; null: nothing does
};

/// Recalls at one alpha, 0 to 1.
struct RetrievalPoint {
  double alpha = 0, validation = 0;
  radapt::task::Retrieval test = {};
};

/// One method's outcome.
struct RetrievalMethod {
  std::string name = {}, type = {};
  std::size_t trained_parameters = 0;
  radapt::task::Retrieval test = {};
  RetrievalSamples samples = {};
  double validation = 0, lr = 0, alpha = 0, seconds = 0;
  std::vector<TriedRate> tried = {};
  std::vector<RetrievalPoint> curve = {};  ///< by ascending alpha; empty for a method without alpha
  std::vector<double> losses = {};
};

/// The mean of R@1, R@5 and R@10 in both directions: what rates and alpha are chosen by.
inline double mean_recall(const radapt::task::Retrieval& found) {
  double sum = 0;
  for (const Index k : {Index{1}, Index{5}, Index{10}}) {
    sum += found.image_to_text.recall(k) + found.text_to_image.recall(k);
  }
  return sum / 6;
}

/// Runs the methods on one CLIP of architecture Arch. Rates and alpha are chosen on `validation`.
template <class Arch>
class RetrievalStudy {
 public:
  using Backend = radapt::onednn;
  using Clip = radapt::Clip<Arch>;
  using Adapted = typename radapt::recipe::r_adapter<Arch>::trained;

  /// All must outlive the study.
  RetrievalStudy(const radapt::Weights<Clip>& base, const CaptionedSet& train, const CaptionedSet& validation,
                 const CaptionedSet& test, const radapt::Preprocess& rules, const RetrievalOptions& options)
      : base_(base), train_(train), validation_(validation), test_(test), rules_(rules), options_(options) {}

  RetrievalMethod zero_shot() {
    RetrievalMethod m{.name = "zero-shot", .type = "Clip<Arch>"};
    m.validation = mean_recall(measured(m.name, base_, validation_));
    m.test = measured(m.name, base_, test_, &m.samples);
    return m;
  }

  /// Everything of both towers under the contrastive loss, one caption of each image of a batch.
  RetrievalMethod flyp() {
    RetrievalMethod m{.name = "FLYP", .type = "recipe::flyp<Arch>", .trained_parameters = radapt::count<Clip>()};
    radapt::TrainOptions o = train_options(0.1);
    const auto trainer = best_trainer<radapt::recipe::flyp<Arch>>(m, base_, options_.flyp_lrs, o, {}, 1);
    m.test = measured(m.name, trainer->weights(), test_, &m.samples);
    return m;
  }

  /// Adapters under MPM-NCE, whose groups are the images: several captions of one image are positives of each other.
  /// Margin, smoothing and the absence of clipping are those of the paper's retrieval runs (methods.md 1.10).
  RetrievalMethod r_adapter() {
    using Recipe = radapt::recipe::r_adapter<Arch>;
    RetrievalMethod m{.name = "R-Adapter",
                      .type = "recipe::r_adapter<Arch>",
                      .trained_parameters = radapt::count<Adapted, typename Recipe::tune>()};
    const auto start =
        radapt::with_adapters<typename Adapted::policy>(radapt::ConstWeights<Clip>(base_), options_.drawing.seed);
    radapt::TrainOptions o = train_options(0.0);
    o.clip_norm = 0;
    o.average.momentum = options_.momentum;
    radapt::loss::MpmNce loss;
    loss.tau = std::exp(-static_cast<double>(*base_.tree().logit_scale.data));
    loss.smoothing = 0;
    const auto trainer = best_trainer<Recipe>(m, start, options_.adapter_lrs, o, loss, options_.positives);
    const std::vector<double> alphas{0, 0.2, 0.4, 0.6, 0.8, 1};
    for (const double alpha : alphas) {
      const std::string who = fmt::format("{}, alpha {:g}", m.name, alpha);
      const radapt::Weights<Clip> merged = radapt::deploy(*trainer, alpha);
      RetrievalSamples samples;
      m.curve.push_back(
          {alpha, mean_recall(measured(who, merged, validation_)), measured(who, merged, test_, &samples)});
      const RetrievalPoint& point = m.curve.back();
      if (alpha == 0 || point.validation > m.validation) {  // of equal ones the smallest, which is closest to the base
        m.validation = point.validation;
        m.alpha = alpha;
        m.test = point.test;
        m.samples = std::move(samples);
      }
    }
    adapted_.emplace(trainer->averaged());
    return m;
  }

  /// The model with the averaged adapters of the last r_adapter(), as save_adapters takes it.
  const radapt::Weights<Adapted>& adapted() const { return adapted_.value(); }

 private:
  radapt::TrainOptions train_options(double weight_decay) const {
    radapt::TrainOptions o;
    o.size = {.batch = options_.drawing.batch, .micro_batch = options_.micro_batch, .longest_caption = 0};
    o.schedule = {.base = 0, .warmup = options_.steps / 10, .total = options_.steps, .minimum = 0};
    o.optimizer.weight_decay = weight_decay;
    o.seed = options_.drawing.seed;
    return o;
  }

  /// Trains at each rate, measures what it leads to at alpha 1, keeps the trainer that does best on validation.
  template <class Recipe, class Start>
  auto best_trainer(RetrievalMethod& method, const Start& start, const std::vector<double>& lrs,
                    radapt::TrainOptions options, typename Recipe::loss loss, std::size_t positives) {
    using Trainer = radapt::Trainer<Recipe, Backend>;
    std::unique_ptr<Trainer> best;
    for (const double lr : lrs) {
      options.schedule.base = lr;
      auto trainer = std::make_unique<Trainer>(start, options, loss);
      PairDrawing drawing = options_.drawing;
      drawing.positives = positives;
      CaptionBatches batches(train_, rules_, drawing, radapt::Captions::of<Clip>());
      const std::string run = fmt::format("{}, lr {:g}", method.name, lr);
      RunSoFar so_far;
      if (options_.run_files != nullptr) { so_far = options_.run_files->resume(run, *trainer); }
      const double seconds_before = so_far.seconds;
      radapt::Progress progress(run, options_.steps);
      for (std::uint64_t step = 0; step < trainer->steps(); ++step) {
        batches.next();  // what these steps saw: the next ones see what comes behind
        progress.advance(1);
      }
      const auto begin = std::chrono::steady_clock::now();
      for (std::uint64_t step = trainer->steps(); step < options_.steps; ++step) {
        const radapt::StepReport report = trainer->step(batches.next());
        so_far.losses.push_back(report.loss);
        so_far.seconds = seconds_before + seconds_since(begin);
        if (options_.log) {
          options_.log({method.name, options_.drawing.seed, step, lr, report.lr, report.loss, report.grad_norm});
        }
        if (options_.run_files != nullptr) { options_.run_files->keep(run, *trainer, options_.steps, so_far); }
        progress.advance(1, fmt::format("loss {:.3f}", report.loss));
      }
      progress.finish();
      method.tried.push_back({lr, mean_recall(measured(method.name, radapt::deploy(*trainer, 1.0), validation_))});
      if (best == nullptr || best_rate(method.tried) + 1 == method.tried.size()) {
        best = std::move(trainer);
        method.lr = lr;
        method.validation = method.tried.back().validation;
        method.losses = so_far.losses;
        method.seconds = so_far.seconds;
      }
    }
    return best;
  }

  radapt::task::Retrieval measured(const std::string& who, const radapt::Weights<Clip>& weights,
                                   const CaptionedSet& set, RetrievalSamples* samples = nullptr) const {
    return measure_retrieval(who, weights, set, rules_, samples);
  }

  const radapt::Weights<Clip>& base_;
  const CaptionedSet& train_;
  const CaptionedSet& validation_;
  const CaptionedSet& test_;
  const radapt::Preprocess& rules_;
  const RetrievalOptions& options_;
  std::optional<radapt::Weights<Adapted>> adapted_;
};

}  // namespace example
