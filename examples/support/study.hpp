#pragma once
/// The main job of the example programs: pre-train a small CLIP, fine-tune it in three ways, measure what each costs
/// under distribution shift.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/progress.hpp"

namespace example {

using radapt::Index;

/// Normalised images with their class ids; `pixels` is (images, 3 S S).
struct ImageSet {
  std::string name = {};
  std::vector<float> pixels = {};
  std::vector<std::int32_t> labels = {};
  std::size_t size() const { return labels.size(); }
};

/// Token ids of texts, one row per text, from start to end of text.
using Texts = std::vector<std::vector<std::int64_t>>;

/// What a study works on. Prompts are used for zero-shot heads, captions for contrastive training.
struct StudyData {
  ImageSet train = {}, test = {};
  std::vector<ImageSet> shifts = {};
  std::vector<std::string> class_names = {};
  std::vector<Texts> prompts = {};   ///< by class
  std::vector<Texts> captions = {};  ///< by class: one is drawn for every image and step
};

/// How long and how hard the methods train.
struct StudyOptions {
  std::uint64_t seed = 0;
  Index batch = 64;
  std::uint64_t steps = 300;
  double full_lr = 1e-3;     ///< full fine-tuning
  double adapter_lr = 5e-3;  ///< R-Adapter
  double momentum = 0.98;    ///< of the moving average; short runs need less than the published 0.999
  double alpha = 0.5;        ///< what is reported for the methods that have one
  bool quiet = false;
};

/// Accuracy in percent: on the test set of the training distribution, and on every shift.
struct Accuracies {
  double id = 0;
  std::vector<double> shifts = {};
  double ood() const {
    double sum = 0;
    for (const double x : shifts) { sum += x; }
    return shifts.empty() ? 0 : sum / static_cast<double>(shifts.size());
  }
};

struct CurvePoint {
  double alpha = 0;
  Accuracies accuracies = {};
};

/// One method's outcome. `curve` runs from zero-shot (alpha 0) to fully fine-tuned (1), where a method has such a line.
struct MethodResult {
  std::string name = {};
  std::string type = {};  ///< the C++ type that spells it
  Accuracies accuracies = {};
  std::vector<CurvePoint> curve = {};
  std::vector<double> losses = {};
  double seconds = 0;
  std::size_t trained_parameters = 0;
  std::vector<std::int32_t> sample_predictions = {};  ///< of the first images of each shift, in order
};

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Class ids with the largest score; scores are (images, classes).
inline std::vector<std::int32_t> predictions(std::span<const float> scores, std::size_t classes) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i + classes <= scores.size(); i += classes) {
    const auto row = scores.subspan(i, classes);
    out.push_back(static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return out;
}

inline double accuracy(const std::vector<std::int32_t>& predicted, const std::vector<std::int32_t>& labels) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) { right += predicted[i] == labels[i] ? 1U : 0U; }
  return labels.empty() ? 0 : 100.0 * static_cast<double>(right) / static_cast<double>(labels.size());
}

/// Draws batches without replacement: a new order every epoch, the same for the same seed.
class Sampler {
 public:
  Sampler(std::size_t samples, std::uint64_t seed) : order_(samples), seed_(seed) {
    for (std::size_t i = 0; i < samples; ++i) { order_[i] = i; }
    at_ = samples;
  }
  std::size_t next() {
    if (at_ >= order_.size()) {
      radapt::Random random(seed_, epoch_++);
      for (std::size_t i = order_.size(); i > 1; --i) {
        std::swap(order_[i - 1], order_[random.below(static_cast<std::uint32_t>(i))]);
      }
      at_ = 0;
    }
    return order_[at_++];
  }

 private:
  std::vector<std::size_t> order_;
  std::uint64_t seed_, epoch_ = 0;
  std::size_t at_ = 0;
};

/// Runs the methods on one pre-trained CLIP of architecture Arch.
template <class Arch>
class Study {
 public:
  using Backend = radapt::onednn;
  using Clip = radapt::Clip<Arch>;
  static constexpr std::size_t pixels_per_image = Clip::PixelRow::width;
  static constexpr std::size_t samples_per_shift = 3;  ///< pictures of each shift shown with their predictions

  Study(const radapt::Weights<Clip>& base, const StudyData& data, const StudyOptions& options)
      : base_(base), data_(data), options_(options) {}

  MethodResult zero_shot() {
    MethodResult r{.name = "zero-shot", .type = "Clip<Arch>"};
    const auto start = std::chrono::steady_clock::now();
    measure_clip(base_, r.accuracies, &r.sample_predictions);
    r.seconds = seconds_since(start);
    return r;
  }

  /// Full fine-tuning of the image tower and a zero-shot-initialised head; WiSE-FT is its curve.
  std::vector<MethodResult> full_and_wise_ft() {
    using Recipe = radapt::recipe::wise_ft<Arch>;
    MethodResult full{.name = "full fine-tuning", .type = "recipe::full_fine_tuning<Arch>"};
    const auto start = std::chrono::steady_clock::now();
    radapt::Session<Clip, Backend> session(base_);
    const auto head = zero_shot_head(session);
    const auto classifier = radapt::zero_shot_classifier(base_, head);
    radapt::Trainer<Recipe, Backend> trainer(classifier, train_options(options_.full_lr, 0.1));
    std::vector<float> pixels(options_.batch * pixels_per_image);
    std::vector<std::int32_t> labels(options_.batch);
    Sampler sampler(data_.train.size(), options_.seed + 1);
    train("full fine-tuning", full, [&](std::uint64_t) {
      for (std::size_t i = 0; i < options_.batch; ++i) { labels[i] = take(sampler.next(), i, pixels); }
      return trainer.step({.pixels = pixels, .labels = labels});
    });
    full.seconds = seconds_since(start);
    full.trained_parameters = radapt::count<typename Recipe::trained>(classifier.classes());
    MethodResult wise{.name = "WiSE-FT", .type = "recipe::wise_ft<Arch>", .seconds = full.seconds};
    wise.trained_parameters = full.trained_parameters;
    for (const double alpha : alphas()) {
      CurvePoint point{.alpha = alpha};
      std::vector<std::int32_t> samples;
      measure_classifier(radapt::deploy(trainer, alpha), point.accuracies, &samples);
      if (alpha == 1.0) {
        full.accuracies = point.accuracies;
        full.sample_predictions = samples;
      }
      if (alpha == options_.alpha) {
        wise.accuracies = point.accuracies;
        wise.sample_predictions = samples;
      }
      wise.curve.push_back(point);
    }
    return {full, wise};
  }

  /// The paper's method: adapters with dropping and accumulation under MPM-NCE, rescaled and merged.
  MethodResult r_adapter() {
    using Recipe = radapt::recipe::r_adapter<Arch>;
    MethodResult r{.name = "R-Adapter", .type = "recipe::r_adapter<Arch>"};
    const auto start = std::chrono::steady_clock::now();
    radapt::Weights<typename Recipe::trained> adapted;
    radapt::copy_by_name(adapted, base_);
    radapt::Random random(options_.seed);
    Recipe::trained::initialise(adapted.tree(), random);
    auto options = train_options(options_.adapter_lr, 0.0);
    options.average.momentum = options_.momentum;
    radapt::Trainer<Recipe, Backend> trainer(adapted, options);
    std::vector<float> pixels(options_.batch * pixels_per_image);
    std::vector<std::int32_t> labels(options_.batch);
    auto captions = radapt::Captions::of<Clip>();
    Sampler sampler(data_.train.size(), options_.seed + 1);
    train("R-Adapter", r, [&](std::uint64_t step) {
      radapt::Random choice(options_.seed, 1000 + step);
      captions.clear();
      for (std::size_t i = 0; i < options_.batch; ++i) {
        labels[i] = take(sampler.next(), i, pixels);
        const Texts& texts = data_.captions[static_cast<std::size_t>(labels[i])];
        captions.add(texts[choice.below(static_cast<std::uint32_t>(texts.size()))]);
      }
      return trainer.step({.pixels = pixels, .captions = &captions, .groups = labels});
    });
    r.seconds = seconds_since(start);
    r.trained_parameters = radapt::count<typename Recipe::trained, typename Recipe::tune>();
    for (const double alpha : alphas()) {
      CurvePoint point{.alpha = alpha};
      std::vector<std::int32_t> samples;
      measure_clip(radapt::deploy(trainer, alpha), point.accuracies, &samples);
      if (alpha == options_.alpha) {
        r.accuracies = point.accuracies;
        r.sample_predictions = samples;
      }
      r.curve.push_back(point);
    }
    return r;
  }

 private:
  std::vector<double> alphas() const {
    std::vector<double> all{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
    if (std::find(all.begin(), all.end(), options_.alpha) == all.end()) { all.push_back(options_.alpha); }
    std::sort(all.begin(), all.end());
    return all;
  }
  radapt::TrainOptions train_options(double lr, double weight_decay) const {
    radapt::TrainOptions o;
    o.size.batch = options_.batch;
    o.schedule = {.base = lr, .warmup = options_.steps / 10, .total = options_.steps, .minimum = 0};
    o.optimizer.weight_decay = weight_decay;
    o.seed = options_.seed;
    return o;
  }
  /// Copies a training image into row `row` of a batch and returns its label.
  std::int32_t take(std::size_t image, std::size_t row, std::vector<float>& pixels) const {
    const auto from = data_.train.pixels.begin() + static_cast<std::ptrdiff_t>(image * pixels_per_image);
    std::copy(from, from + static_cast<std::ptrdiff_t>(pixels_per_image),
              pixels.begin() + static_cast<std::ptrdiff_t>(row * pixels_per_image));
    return data_.train.labels[image];
  }
  template <class Step>
  void train(const char* label, MethodResult& result, Step&& step) {
    radapt::ProgressOptions shown;
    if (options_.quiet) { shown.mode = radapt::ProgressOptions::Mode::quiet; }
    radapt::Progress progress(label, options_.steps, shown);
    for (std::uint64_t i = 0; i < options_.steps; ++i) {
      const radapt::StepReport report = step(i);
      result.losses.push_back(report.loss);
      progress.advance(1, "loss " + std::to_string(report.loss));
    }
  }

  std::vector<float> zero_shot_head(radapt::Session<Clip, Backend>& session) const {
    auto captions = radapt::Captions::of<Clip>();
    std::vector<Index> per_class;
    for (const Texts& texts : data_.prompts) {
      for (const auto& ids : texts) { captions.add(ids); }
      per_class.push_back(texts.size());
    }
    return radapt::zero_shot_weights(session, captions, per_class);
  }

  /// Calls score(pixels, scores) for every test set and fills in the accuracies.
  template <class Score>
  void measure(Score&& score, Accuracies& out, std::vector<std::int32_t>* samples) const {
    const std::size_t classes = data_.class_names.size();
    const auto one = [&](const ImageSet& set) {
      std::vector<float> scores(set.size() * classes);
      score(set.pixels, scores);
      return predictions(scores, classes);
    };
    out.id = accuracy(one(data_.test), data_.test.labels);
    for (const ImageSet& shift : data_.shifts) {
      const auto predicted = one(shift);
      out.shifts.push_back(accuracy(predicted, shift.labels));
      if (samples != nullptr) {
        for (std::size_t i = 0; i < std::min(samples_per_shift, predicted.size()); ++i) {
          samples->push_back(predicted[i]);
        }
      }
    }
  }
  void measure_clip(const radapt::Weights<Clip>& weights, Accuracies& out, std::vector<std::int32_t>* samples) const {
    radapt::Session<Clip, Backend> session(weights, {.images = 128});
    const auto head = zero_shot_head(session);
    measure(
        [&](const std::vector<float>& pixels, std::vector<float>& scores) {
          std::vector<float> features(pixels.size() / pixels_per_image * Arch::embed);
          session.encode_images(pixels, features);
          const std::size_t classes = head.size() / Arch::embed;
          for (std::size_t i = 0; i < scores.size(); ++i) {
            const float* image = features.data() + i / classes * Arch::embed;
            const float* text = head.data() + i % classes * Arch::embed;
            float dot = 0;  // the length of the image feature does not change which class wins
            for (std::size_t e = 0; e < Arch::embed; ++e) { dot += image[e] * text[e]; }
            scores[i] = dot;
          }
        },
        out, samples);
  }
  void measure_classifier(const radapt::Weights<radapt::Classifier<Clip>>& weights, Accuracies& out,
                          std::vector<std::int32_t>* samples) const {
    radapt::ClassifierSession<radapt::Classifier<Clip>, Backend> session(weights, {.images = 128});
    measure([&](const std::vector<float>& pixels, std::vector<float>& scores) { session.logits(pixels, scores); }, out,
            samples);
  }

  const radapt::Weights<Clip>& base_;
  const StudyData& data_;
  StudyOptions options_;
};

/// A batch of pairs for pre-training.
struct PairSource {
  /// Fills row `row` of `pixels` and returns the ids of its caption.
  std::function<std::vector<std::int64_t>(std::size_t row, std::vector<float>& pixels)> next = {};
};

/// Pre-trains a CLIP from scratch with the contrastive loss. Returns its weights and appends the losses.
template <class Arch>
radapt::Weights<radapt::Clip<Arch>> pretrain(const PairSource& source, Index batch, std::uint64_t steps, double lr,
                                             std::uint64_t seed, std::vector<double>& losses) {
  using Recipe = radapt::recipe::flyp<Arch>;
  radapt::Weights<radapt::Clip<Arch>> first;
  radapt::initialise_clip(first, seed);
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = lr, .warmup = steps / 20, .total = steps, .minimum = 0};
  o.optimizer = {.beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.1};
  o.seed = seed;
  radapt::Trainer<Recipe, radapt::onednn> trainer(first, o);
  std::vector<float> pixels(batch * radapt::Clip<Arch>::PixelRow::width);
  auto captions = radapt::Captions::of<radapt::Clip<Arch>>();
  radapt::Progress progress("pre-training", steps);
  for (std::uint64_t step = 0; step < steps; ++step) {
    captions.clear();
    for (std::size_t i = 0; i < batch; ++i) { captions.add(source.next(i, pixels)); }
    const auto report = trainer.step({.pixels = pixels, .captions = &captions});
    losses.push_back(report.loss);
    progress.advance(1, "loss " + std::to_string(report.loss));
  }
  return trainer.weights();
}

}  // namespace example
