#pragma once
/// The main job of the example programs: fine-tune a CLIP in several ways, and measure what each costs under
/// distribution shift.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/with_adapters.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/io/prefetch.hpp"
#include "radapt/train/deploy.hpp"
#include "radapt/train/progress.hpp"
#include "radapt/train/recipes.hpp"

#include "pretrain.hpp"
#include "selection.hpp"
#include "study_data.hpp"

namespace example {

/// What batches of a study hold beside images and their classes.
struct BatchContent {
  bool captions = false;  ///< for each image one of its class
  bool spurious = false;  ///< for each image a further one that also names something spurious, as StarFT reads it
};

/// One of them; what it refers to stays until the next.
struct StudyBatch {
  std::span<const float> pixels;
  std::span<const std::int32_t> labels;
  const radapt::Captions& captions;

  radapt::LabelledBatch<float> labelled() const { return {.pixels = pixels, .labels = labels}; }
  radapt::PairBatch<float> pairs(bool grouped) const {
    return {.pixels = pixels, .captions = &captions, .groups = grouped ? labels : std::span<const std::int32_t>()};
  }
};

/// Batches of the training set, a new order every epoch, the same for the same seed.
template <class Clip, class Backend>
class TrainingBatches {
 public:
  /// Those from step `first` on. All but `content` must outlive this.
  TrainingBatches(radapt::Context<Backend>& context, const StudyData& data, const StudyOptions& options,
                  BatchContent content, std::uint64_t first = 0)
      : data_(data),
        options_(options),
        content_(content),
        sampler_(data.train.size(), options.seed + 1),
        places_(Pixels::alive),
        pixels_(context, options.batch * Clip::PixelRow::width, options.steps - first,
                [this, first](std::uint64_t number, std::span<float> room) { fill(number, first + number, room); }) {
    for (std::uint64_t drawn = 0; drawn < first * options.batch; ++drawn) { sampler_.next(); }
  }
  TrainingBatches(const TrainingBatches&) = delete;
  TrainingBatches& operator=(const TrainingBatches&) = delete;

  StudyBatch next() {
    const std::span<const float> pixels = pixels_.next();
    const Place& place = places_[taken_++ % Pixels::alive];
    return {.pixels = pixels, .labels = place.labels, .captions = place.captions};
  }

 private:
  using Pixels = radapt::Prefetch<Backend>;
  struct Place {
    std::vector<std::size_t> images;
    std::vector<std::int32_t> labels;
    radapt::Captions captions = radapt::Captions::of<Clip>();
  };

  void fill(std::uint64_t number, std::uint64_t step, std::span<float> room) {
    Place& place = places_[number % Pixels::alive];
    place.images.clear();
    place.labels.clear();
    place.captions.clear();
    radapt::Random choice(options_.seed, 1000 + step);
    for (std::size_t row = 0; row < options_.batch; ++row) {
      const std::size_t image = sampler_.next();
      const std::int32_t label = data_.train.labels[image];
      place.images.push_back(image);
      place.labels.push_back(label);
      if (!content_.captions) { continue; }
      const Texts& texts = data_.captions[static_cast<std::size_t>(label)];
      place.captions.add(texts[choice.below(static_cast<std::uint32_t>(texts.size()))]);
    }
    const auto draw = [&](std::size_t row) { return options_.seed << 32U | (step * options_.batch + row); };
    for (std::size_t row = 0; content_.spurious && row < options_.batch; ++row) {
      place.captions.add(data_.spurious(place.labels[row], draw(row)));
    }
    for_each_row(options_.batch, [&](std::size_t row) {
      data_.train.copy(place.images[row], draw(row), room.subspan(row * Clip::PixelRow::width, Clip::PixelRow::width));
    });
  }

  const StudyData& data_;
  const StudyOptions& options_;
  BatchContent content_;
  Sampler sampler_;
  std::vector<Place> places_;
  std::uint64_t taken_ = 0;
  Pixels pixels_;
};

/// Runs the methods on one pre-trained CLIP of architecture Arch.
template <class Arch, class Backend = radapt::onednn>
class Study {
 public:
  using Clip = radapt::Clip<Arch>;
  using Adapted = typename radapt::recipe::r_adapter<Arch>::trained;
  static constexpr std::size_t pixels_per_image = Clip::PixelRow::width;
  static constexpr std::size_t samples_per_shift = 3;  ///< pictures of each shift shown with their predictions

  /// All three must outlive the study.
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
    radapt::Session<Clip, Backend> session(base_);
    const auto classifier = radapt::zero_shot_classifier(base_, zero_shot_head(session));
    const auto trainer = best_trainer<Recipe>(
        full, classifier, rates(options_.full_lrs, options_.full_lr), train_options(0.1), {}, {},
        [](auto& t, const StudyBatch& batch) { return t.step(batch.labelled()); },
        [&](auto& t) { return on_validation(classifier_score(t.averaged())); });
    full.trained_parameters = radapt::count<typename Recipe::trained>(classifier.classes());
    MethodResult wise = full;
    wise.name = "WiSE-FT";
    wise.type = "recipe::wise_ft<Arch>";
    wise.losses.clear();
    wise.tried.clear();
    std::vector<std::vector<std::int32_t>> samples;
    follow_alpha(wise, samples, [&](double alpha, CurvePoint& point, std::vector<std::int32_t>& said) {
      const auto score = classifier_score(radapt::deploy(*trainer, alpha));
      measure(score, point.accuracies, &said);
      point.validation = on_validation(score);
    });
    full.accuracies = wise.curve.back().accuracies;  // alpha 1
    full.sample_predictions = samples.back();
    return {full, wise};
  }

  /// FLYP: everything of both towers under the contrastive loss.
  MethodResult flyp() {
    using Recipe = radapt::recipe::flyp<Arch>;
    MethodResult r{.name = "FLYP", .type = "recipe::flyp<Arch>"};
    const auto trainer = best_trainer<Recipe>(
        r, base_, rates(options_.flyp_lrs, options_.flyp_lr), train_options(0.1), {}, {.captions = true},
        [](auto& t, const StudyBatch& batch) { return t.step(batch.pairs(false)); },
        [&](auto& t) { return on_validation(clip_score(t.weights())); });
    r.trained_parameters = radapt::count<Clip>();
    measure_clip(trainer->weights(), r.accuracies, &r.sample_predictions);
    return r;
  }

  /// The paper's method: adapters with dropping and accumulation under MPM-NCE, rescaled and merged.
  MethodResult r_adapter() {
    using Recipe = radapt::recipe::r_adapter<Arch>;
    MethodResult r{.name = "R-Adapter", .type = "recipe::r_adapter<Arch>"};
    const auto start =
        radapt::with_adapters<typename Adapted::policy>(radapt::ConstWeights<Clip>(base_), options_.seed);
    auto options = train_options(0.0);
    options.average.momentum = options_.momentum;
    radapt::loss::MpmNce loss;
    loss.tau = options_.tau > 0 ? options_.tau : std::exp(-static_cast<double>(*base_.tree().logit_scale.data));
    const auto trainer = best_trainer<Recipe>(
        r, start, rates(options_.adapter_lrs, options_.adapter_lr), options, loss, {.captions = true},
        [](auto& t, const StudyBatch& batch) { return t.step(batch.pairs(true)); },
        [&](auto& t) { return on_validation(clip_score(radapt::deploy(t, 1.0))); });
    r.trained_parameters = radapt::count<Adapted, typename Recipe::tune>();
    std::vector<std::vector<std::int32_t>> samples;
    follow_alpha(r, samples, [&](double alpha, CurvePoint& point, std::vector<std::int32_t>& said) {
      const auto score = clip_score(radapt::deploy(*trainer, alpha));
      measure(score, point.accuracies, &said);
      point.validation = on_validation(score);
    });
    adapted_.emplace(trainer->averaged());
    return r;
  }

  /// The model with the averaged adapters of the last r_adapter(), as save_adapters takes it.
  const radapt::Weights<Adapted>& adapted() const { return adapted_.value(); }

 protected:
  std::vector<double> alphas() const {
    std::vector<double> all{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
    if (std::find(all.begin(), all.end(), options_.alpha) == all.end()) { all.push_back(options_.alpha); }
    std::sort(all.begin(), all.end());
    return all;
  }
  static std::vector<double> rates(const std::vector<double>& several, double one) {
    return several.empty() ? std::vector<double>{one} : several;
  }
  radapt::TrainOptions train_options(double weight_decay) const {
    radapt::TrainOptions o;
    o.size.batch = options_.batch;
    o.size.micro_batch = options_.micro_batch;
    o.schedule = {.base = 0, .warmup = options_.steps / 10, .total = options_.steps, .minimum = 0};
    o.optimizer.weight_decay = weight_decay;
    o.seed = options_.seed;
    return o;
  }
  radapt::ProgressOptions shown() const {
    radapt::ProgressOptions p;
    if (options_.quiet) { p.mode = radapt::ProgressOptions::Mode::quiet; }
    return p;
  }

  /// Trains at each rate with step(trainer, batch) and keeps the trainer that does best on the validation set; notes
  /// how it went in `result`.
  template <class Recipe, class Start, class Step, class Validate>
  auto best_trainer(MethodResult& result, const Start& start, const std::vector<double>& lrs,
                    radapt::TrainOptions options, typename Recipe::loss loss, BatchContent content, Step&& step,
                    Validate&& validate) {
    using Trainer = radapt::Trainer<Recipe, Backend>;
    std::unique_ptr<Trainer> best;
    for (const double lr : lrs) {
      options.schedule.base = lr;
      auto trainer = std::make_unique<Trainer>(start, options, loss);
      const std::string run = result.name + " lr " + short_number(lr) + " seed " + std::to_string(options_.seed);
      RunSoFar so_far;
      if (options_.run_files != nullptr) { so_far = options_.run_files->resume(run, *trainer); }
      const std::uint64_t first = trainer->steps();
      const double before = so_far.seconds;
      TrainingBatches<Clip, Backend> batches(trainer->context(), data_, options_, content, first);
      const auto begin = std::chrono::steady_clock::now();
      const std::string rate = lrs.size() > 1 ? ", lr " + short_number(lr) : std::string();
      radapt::Progress progress(result.name + rate, options_.steps, shown());
      if (first > 0) { progress.advance(first); }
      for (std::uint64_t i = first; i < options_.steps; ++i) {
        const radapt::StepReport report = step(*trainer, batches.next());
        so_far.losses.push_back(report.loss);
        so_far.seconds = before + seconds_since(begin);
        if (options_.log) {
          options_.log({result.name, options_.seed, i, lr, report.lr, report.loss, report.grad_norm});
        }
        if (options_.run_files != nullptr) { options_.run_files->keep(run, *trainer, options_.steps, so_far); }
        progress.advance(1, "loss " + std::to_string(report.loss));
      }
      progress.finish();
      if (data_.validation.size() > 0) { result.tried.push_back({lr, validate(*trainer)}); }
      if (best == nullptr || best_rate(result.tried) + 1 == result.tried.size()) {
        best = std::move(trainer);
        result.lr = lr;
        result.losses = so_far.losses;
        result.seconds = so_far.seconds;
      }
    }
    return best;
  }
  static std::string short_number(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", x);
    return text;
  }

  /// Measures at every alpha and reports at the one that the validation set chooses, or at the option's.
  template <class At>
  void follow_alpha(MethodResult& result, std::vector<std::vector<std::int32_t>>& samples, At&& at) const {
    const std::vector<double> all = alphas();
    radapt::Progress progress("measuring " + result.name, all.size(), shown());
    for (const double alpha : all) {
      CurvePoint point{.alpha = alpha};
      samples.emplace_back();
      at(alpha, point, samples.back());
      result.curve.push_back(point);
      progress.advance();
    }
    result.alpha = data_.validation.size() > 0 ? chosen_alpha(result.curve, data_.validation.size()) : options_.alpha;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i] == result.alpha) {
        result.accuracies = result.curve[i].accuracies;
        result.sample_predictions = samples[i];
      }
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

  static constexpr Index images_at_once = 128;

  /// What scores images: holds weights and a session on them, is called with (pixels, scores).
  auto clip_score(radapt::Weights<Clip> weights) const {
    struct Held {
      explicit Held(radapt::Weights<Clip> weights) : session(std::move(weights), {.images = images_at_once}) {}
      radapt::Session<Clip, Backend> session;
      std::vector<float> head, features;
    };
    const auto held = std::make_shared<Held>(std::move(weights));
    held->head = zero_shot_head(held->session);
    return [held](std::span<const float> pixels, std::span<float> scores) {
      held->features.resize(pixels.size() / pixels_per_image * Arch::embed);
      held->session.encode_images(pixels, held->features);
      const std::size_t classes = held->head.size() / Arch::embed;
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const float* image = held->features.data() + i / classes * Arch::embed;
        const float* text = held->head.data() + i % classes * Arch::embed;
        float dot = 0;  // the length of the image feature does not change which class wins
        for (std::size_t e = 0; e < Arch::embed; ++e) { dot += image[e] * text[e]; }
        scores[i] = dot;
      }
    };
  }
  /// The same for a classifier, of a model with adapters as well.
  template <class M>
  auto classifier_score(radapt::Weights<radapt::Classifier<M>> weights) const {
    using Session = radapt::ClassifierSession<radapt::Classifier<M>, Backend>;
    const auto session = std::make_shared<Session>(std::move(weights), radapt::SessionSize{.images = images_at_once});
    return [session](std::span<const float> pixels, std::span<float> scores) { session->logits(pixels, scores); };
  }

  /// What score(pixels, scores) says of every image of a set, `width` numbers each: scores of classes, or features.
  template <class Score>
  std::vector<float> scores_of(const ImageSet& set, std::size_t width, Score&& score) const {
    std::vector<float> scores(set.size() * width), pixels;
    for (std::size_t first = 0; first < set.size(); first += images_at_once) {
      const std::size_t n = std::min<std::size_t>(images_at_once, set.size() - first);
      pixels.resize(n * pixels_per_image);
      for_each_row(n, [&](std::size_t i) {
        set.copy(first + i, 0, std::span<float>(pixels).subspan(i * pixels_per_image, pixels_per_image));
      });
      score(pixels, std::span<float>(scores).subspan(first * width, n * width));
    }
    return scores;
  }
  /// The class that score(pixels, scores) finds for every image of a set.
  template <class Score>
  std::vector<std::int32_t> classify(const ImageSet& set, Score&& score) const {
    const std::size_t classes = data_.class_names.size();
    return predictions(scores_of(set, classes, score), classes);
  }
  template <class Score>
  double on_validation(Score&& score) const {
    return accuracy(classify(data_.validation, score), data_.validation.labels);
  }
  /// Accuracies on every test set, and the predictions for the first images of each shift.
  template <class Score>
  void measure(Score&& score, Accuracies& out, std::vector<std::int32_t>* samples) const {
    measure_with([&](const ImageSet& set) { return classify(set, score); }, out, samples);
  }
  /// The same for predict(set), the classes of all images of a set.
  template <class Predict>
  void measure_with(Predict&& predict, Accuracies& out, std::vector<std::int32_t>* samples) const {
    out.id = accuracy(predict(data_.test), data_.test.labels);
    for (const ImageSet& shift : data_.shifts) {
      const auto predicted = predict(shift);
      out.shifts.push_back(accuracy(predicted, shift.labels));
      const auto shown = static_cast<std::ptrdiff_t>(std::min(samples_per_shift, predicted.size()));
      samples->insert(samples->end(), predicted.begin(), predicted.begin() + shown);
    }
  }
  void measure_clip(const radapt::Weights<Clip>& weights, Accuracies& out, std::vector<std::int32_t>* samples) const {
    measure(clip_score(weights), out, samples);
  }

  const radapt::Weights<Clip>& base_;
  const StudyData& data_;
  StudyOptions options_;
  std::optional<radapt::Weights<Adapted>> adapted_;
};

}  // namespace example
