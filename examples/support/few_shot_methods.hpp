#pragma once
/// Methods that work on the features of a frozen CLIP, each trained on a few shots and tuned on validation samples of
/// the same classes.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/ensemble/output.hpp"
#include "radapt/ensemble/sweep.hpp"
#include "radapt/ensemble/temperature.hpp"
#include "radapt/ensemble/vrf.hpp"
#include "radapt/task/accuracy.hpp"
#include "radapt/task/feature_classifier.hpp"
#include "radapt/task/label_projection.hpp"
#include "radapt/task/tip_adapter.hpp"
#include "radapt/train/trainer.hpp"

#include "feature_data.hpp"

namespace example {

/// What methods are trained on. The first `trained_classes` classes have samples in `train` and `validation`; the
/// others, if there are any, have a text and nothing else.
struct FewShotTask {
  FeatureSet train = {}, validation = {};
  Index classes = 0, trained_classes = 0;
  std::vector<float> texts = {};  ///< (classes, width) of unit length; empty: there are none, and no novel classes

  std::span<const float> trained_texts() const {
    return texts.empty() ? std::span<const float>()
                         : std::span<const float>(texts).first(trained_classes * train.width);
  }
};

/// How methods are trained, and what is chosen from.
struct FewShotOptions {
  std::uint64_t steps = 100, seed = 0;
  double scale = 100;  ///< exp(logit_scale) of the CLIP
  std::vector<double> head_lrs = {1e-3, 1e-2, 1e-1}, adapter_lrs = {1e-5, 1e-4, 1e-3};
};

/// The classes that a method sees in features (N, width), of those that a projection keeps.
using PredictClasses =
    std::function<std::vector<std::int32_t>(const std::vector<float>& features, const radapt::task::LabelProjection&)>;

/// A method with what was chosen for it.
struct FewShotMethod {
  std::string name = {};
  PredictClasses predict = {};
  nlohmann::ordered_json chosen = nlohmann::ordered_json::object();
};

/// How well validation samples are classified: by accuracy and, of equal ones, by cross entropy. Few samples make many
/// equal accuracies.
struct ValidationScore {
  double accuracy = -1, cross_entropy = 0;
  bool operator>(const ValidationScore& other) const {
    return accuracy > other.accuracy || (accuracy == other.accuracy && cross_entropy < other.cross_entropy);
  }
};

/// All methods for one draw of shots, on features of width Width.
template <Index Width>
class FewShotMethods {
 public:
  using Backend = radapt::onednn;
  using Probe = radapt::task::FeatureClassifier<Width>;
  using Adapter = radapt::task::ClipAdapter<Width>;

  /// `task` must outlive this and what it returns.
  FewShotMethods(const FewShotTask& task, const FewShotOptions& options) : task_(task), options_(options) {}

  /// In the order of the table. Without texts there are only those that need none.
  std::vector<FewShotMethod> all() {
    std::vector<FewShotMethod> methods;
    if (!task_.texts.empty()) {
      const auto zero_shot = std::make_shared<const radapt::Weights<Probe>>(
          radapt::task::feature_classifier<Width>(task_.texts, options_.scale));
      const auto start = radapt::task::feature_classifier<Width>(task_.trained_texts(), options_.scale);
      methods.push_back({"zero-shot", by_logits(zero_shot)});
      FewShotMethod probe{"linear probe"};
      const radapt::Weights<Probe> tuned = trained<Probe, radapt::role::head>(start, options_.head_lrs, probe.chosen);
      const auto whole = std::make_shared<const radapt::Weights<Probe>>(with_novel_rows(tuned, *zero_shot));
      probe.predict = by_logits(whole);
      methods.push_back(probe);
      methods.push_back(wise_ft(start, tuned, *zero_shot));
      methods.push_back(output_ensemble(whole, zero_shot));
      methods.push_back(vrf(whole, zero_shot));
      methods.push_back(clip_adapter());
    }
    tip_adapters(methods);
    if (task_.classes == task_.trained_classes) {
      FewShotMethod probe{"linear probe from zero"};
      const radapt::Weights<Probe> zeros(task_.classes);
      probe.predict = by_logits(std::make_shared<const radapt::Weights<Probe>>(
          trained<Probe, radapt::role::head>(zeros, options_.head_lrs, probe.chosen)));
      methods.push_back(probe);
    }
    return methods;
  }

 private:
  template <class M>
  static radapt::Scores<float> logits_of(const radapt::Weights<M>& weights, const std::vector<float>& features) {
    const Index rows = features.size() / Width;
    radapt::ClassifierSession<M, Backend> session(weights, {.images = 256});
    radapt::Scores<float> scores{.values = std::vector<float>(rows * weights.classes()), .width = weights.classes()};
    session.logits(features, scores.values);
    return scores;
  }
  template <class M>
  static PredictClasses by_logits(const std::shared_ptr<const radapt::Weights<M>>& weights) {
    return [weights](const std::vector<float>& features, const radapt::task::LabelProjection& kept) {
      return radapt::predicted_classes(radapt::project_labels(logits_of(*weights, features), kept));
    };
  }

  /// Of probabilities (N, classes) on the validation samples.
  ValidationScore score_of(const radapt::Scores<float>& probabilities) const {
    ValidationScore score{
        .accuracy = radapt::task::accuracy(radapt::predicted_classes(probabilities), task_.validation.labels)};
    for (Index i = 0; i < task_.validation.size(); ++i) {
      const double p = static_cast<double>(probabilities.row(i)[static_cast<Index>(task_.validation.labels[i])]);
      score.cross_entropy -= std::log(std::max(p, 1e-30)) / static_cast<double>(task_.validation.size());
    }
    return score;
  }
  template <class M>
  ValidationScore validated(const radapt::Weights<M>& weights) const {
    return score_of(radapt::probabilities(logits_of(weights, task_.validation.features)));
  }

  /// Trains on all shots at once at every rate and keeps the weights that do best on the validation samples.
  template <class M, class Role>
  radapt::Weights<M> trained(const radapt::Weights<M>& start, const std::vector<double>& rates,
                             nlohmann::ordered_json& chosen) const {
    using Recipe = radapt::Recipe<M, radapt::tune::only<Role>, radapt::ensemble::During<>, radapt::ensemble::After<>,
                                  radapt::loss::CrossEntropy>;
    radapt::Weights<M> best = start;
    ValidationScore best_score;
    for (const double rate : rates) {
      radapt::TrainOptions o;
      o.size.batch = task_.train.size();
      o.schedule = {.base = rate, .warmup = 0, .total = options_.steps, .minimum = 0};
      o.clip_norm = 0;
      o.seed = options_.seed;
      radapt::Trainer<Recipe, Backend> trainer(start, o);
      while (trainer.steps() < options_.steps) {
        trainer.step({.pixels = task_.train.features, .labels = task_.train.labels});
      }
      radapt::Weights<M> tuned = trainer.weights();
      const ValidationScore score = validated(tuned);
      if (score > best_score) {
        best_score = score;
        best = std::move(tuned);
        chosen["lr"] = rate;
      }
    }
    chosen["validation"] = best_score.accuracy;
    return best;
  }

  /// The rows of a head for the trained classes, and those of `zero_shot` for the others.
  radapt::Weights<Probe> with_novel_rows(const radapt::Weights<Probe>& trained,
                                         const radapt::Weights<Probe>& zero_shot) const {
    radapt::Weights<Probe> whole = zero_shot;
    const auto& from = radapt::child<"head">(trained.tree());
    auto& to = radapt::child<"head">(whole.tree());
    std::copy_n(from.weight.data, from.weight.size(), to.weight.data);
    std::copy_n(from.bias.data, from.bias.size(), to.bias.data);
    return whole;
  }

  /// A point of a curve for WiSE-FT and OSE; alpha rises along it, so of equal points the one nearest to zero-shot
  /// wins.
  using Curve = std::vector<radapt::CurvePoint<ValidationScore>>;
  static radapt::ProgressOptions quiet() {
    radapt::ProgressOptions shown;
    shown.mode = radapt::ProgressOptions::Mode::quiet;
    return shown;
  }
  static double chosen_on(const Curve& curve, nlohmann::ordered_json& chosen) {
    const auto& best = radapt::best_point(curve);
    chosen["alpha"] = best.alpha;
    chosen["validation"] = best.value.accuracy;
    return best.alpha;
  }

  FewShotMethod wise_ft(const radapt::Weights<Probe>& start, const radapt::Weights<Probe>& tuned,
                        const radapt::Weights<Probe>& zero_shot) {
    FewShotMethod method{"WiSE-FT"};
    const Curve curve = radapt::alpha_sweep(
        radapt::alpha_grid(), start, tuned, [&](const auto& weights) { return validated(weights); }, quiet());
    const double alpha = chosen_on(curve, method.chosen);
    method.predict = by_logits(std::make_shared<const radapt::Weights<Probe>>(
        with_novel_rows(radapt::interpolate(alpha, start, tuned), zero_shot)));
    return method;
  }

  /// Projects on the classes that have samples, for what is chosen on validation.
  radapt::task::LabelProjection trained_classes() const {
    std::vector<std::int32_t> first(task_.trained_classes);
    for (Index c = 0; c < first.size(); ++c) { first[c] = static_cast<std::int32_t>(c); }
    return radapt::task::LabelProjection::subset(task_.classes, first);
  }

  using Held = std::shared_ptr<const radapt::Weights<Probe>>;
  FewShotMethod output_ensemble(const Held& tuned, const Held& zero_shot) {
    FewShotMethod method{"OSE"};
    const auto mixed = [tuned, zero_shot](double alpha, const std::vector<float>& features, const auto& kept) {
      const auto of = [&](const Held& weights) {
        return radapt::probabilities(radapt::project_labels(logits_of(*weights, features), kept));
      };
      return radapt::mix_probabilities(alpha, of(tuned), of(zero_shot));
    };
    const auto kept = trained_classes();
    const Curve curve = radapt::sweep(
        radapt::alpha_grid(), [&](double alpha) { return score_of(mixed(alpha, task_.validation.features, kept)); },
        quiet());
    const double alpha = chosen_on(curve, method.chosen);
    method.predict = [mixed, alpha](const std::vector<float>& features, const radapt::task::LabelProjection& classes) {
      return radapt::predicted_classes(mixed(alpha, features, classes));
    };
    return method;
  }

  /// VRF with the linear probe as the fine-tuned model, whose features are those of the frozen CLIP. Where the shots
  /// hold nothing that the probe has learned and the zero-shot head did not know, omega is the constant 0.5.
  FewShotMethod vrf(const Held& tuned, const Held& zero_shot) {
    FewShotMethod method{"VRF"};
    const auto kept = trained_classes();
    const auto of = [&](const Held& weights, const FeatureSet& set) {
      return radapt::project_labels(logits_of(*weights, set.features), kept);
    };
    const auto failures = std::make_shared<const radapt::FailureSet<float>>(
        radapt::rows_of(task_.train.features, Width), of(tuned, task_.train), of(zero_shot, task_.train),
        task_.train.labels);
    radapt::VrfOptions options{.omega_if_empty = 0.5, .progress = quiet()};
    const auto temperature = [&](const Held& weights) {
      // Where all validation samples are right, or all wrong, no temperature makes confidence equal to that: the fit
      // ends at an end of its range, which would make a step of the softmax. The model's own temperature stays then.
      const auto fit =
          radapt::fit_temperature(of(weights, task_.validation), task_.validation.labels, {.progress = quiet()});
      return fit.matched ? fit.temperature : 1.0;
    };
    options.tuned_temperature = temperature(tuned);
    options.zero_shot_temperature = temperature(zero_shot);
    const auto mixed = [failures, tuned, zero_shot](const radapt::VrfOptions& o, const std::vector<float>& features,
                                                    const radapt::task::LabelProjection& classes) {
      return radapt::vrf(*failures, radapt::rows_of(features, Width), logits_of(*tuned, features),
                         logits_of(*zero_shot, features), o, classes);
    };
    ValidationScore best;
    for (const double a : {0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5}) {
      for (const double b : {0.02, 0.05, 0.1, 0.2, 0.6}) {
        radapt::VrfOptions tried = options;
        tried.weight = {.a = a, .b = b};
        const ValidationScore score = score_of(mixed(tried, task_.validation.features, kept).probabilities);
        if (score > best) {
          best = score;
          options.weight = tried.weight;
        }
      }
    }
    method.chosen = {{"a", options.weight.a},
                     {"b", options.weight.b},
                     {"tuned_temperature", options.tuned_temperature},
                     {"zero_shot_temperature", options.zero_shot_temperature},
                     {"failures", failures->size()},
                     {"validation", best.accuracy}};
    method.predict = [mixed, options](const std::vector<float>& features,
                                      const radapt::task::LabelProjection& classes) {
      return mixed(options, features, classes).classes;
    };
    return method;
  }

  FewShotMethod clip_adapter() {
    FewShotMethod method{"CLIP-Adapter"};
    const auto start = radapt::task::clip_adapter<Adapter>(task_.trained_texts(), options_.scale, options_.seed);
    const auto tuned = trained<Adapter, radapt::role::adapter>(start, options_.adapter_lrs, method.chosen);
    // The adapter does not know how many classes there are: it goes in front of all texts.
    auto whole = radapt::task::clip_adapter<Adapter>(task_.texts, options_.scale, options_.seed);
    const auto& from = radapt::child<"adapter">(tuned.tree());
    auto& to = radapt::child<"adapter">(whole.tree());
    const auto copy = [](auto& out, const auto& in) { std::copy_n(in.data, in.size(), out.data); };
    copy(radapt::child<"fc1">(to).matrix, radapt::child<"fc1">(from).matrix);
    copy(radapt::child<"fc2">(to).matrix, radapt::child<"fc2">(from).matrix);
    method.predict = by_logits(std::make_shared<const radapt::Weights<Adapter>>(std::move(whole)));
    return method;
  }

  /// Tip-Adapter and Tip-Adapter-F. Alpha and beta are chosen among the classes that have shots.
  void tip_adapters(std::vector<FewShotMethod>& methods) {
    using Tip = radapt::task::TipAdapter<Backend>;
    Tip tip(task_.train.features, task_.train.labels, task_.trained_texts(), task_.trained_classes, Width,
            {.scale = options_.scale});
    const std::string kind = task_.texts.empty() ? " without a head" : "";
    const auto add = [&](const std::string& name) {
      FewShotMethod method{name + kind};
      const radapt::task::TipChoice choice =
          tip.search(task_.validation.features, task_.validation.labels, {.beta_steps = 50});
      method.chosen = {{"alpha", choice.alpha}, {"beta", choice.beta}, {"validation", choice.accuracy}};
      radapt::task::TipSettings settings = tip.settings();
      settings.trained_keys = true;
      const auto whole =
          std::make_shared<Tip>(tip.keys(), task_.train.labels, task_.texts, task_.classes, Width, settings);
      method.predict = [whole](const std::vector<float>& features, const radapt::task::LabelProjection& kept) {
        return radapt::task::predict(kept(whole->logits(features)), kept.classes());
      };
      methods.push_back(method);
    };
    add("Tip-Adapter");
    tip.set(1.17, 1.0);  // training begins at the published values, whatever was chosen for the cache as it is
    tip.train(task_.train.features, task_.train.labels, {.seed = options_.seed});
    add("Tip-Adapter-F");
  }

  const FewShotTask& task_;
  FewShotOptions options_;
};

}  // namespace example
