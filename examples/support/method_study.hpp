#pragma once
/// The methods that a study of robust fine-tuning compares, each from the same pre-trained CLIP and under one rule of
/// choice: learning rates, alpha and VRF's a and b on validation images of the training distribution.
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/clip/with_adapters.hpp"
#include "radapt/ensemble/output.hpp"
#include "radapt/ensemble/temperature.hpp"
#include "radapt/ensemble/vrf.hpp"
#include "radapt/train/carry_over.hpp"

#include "study.hpp"

namespace example {

/// Methods that come out of one run: what they are called, and how they are found.
struct MethodGroup {
  std::vector<std::string> names;
  std::function<std::vector<MethodResult>()> run;
};

/// Rates to choose from, by family.
struct MethodRates {
  std::vector<double> full = {3e-5, 1e-4, 3e-4}, head = {1e-3, 3e-3, 1e-2}, adapter = {1e-3, 3e-3, 1e-2};
};

template <class Arch, class Backend = radapt::onednn>
class MethodStudy : public Study<Arch, Backend> {
 public:
  using Base = Study<Arch, Backend>;
  using typename Base::Clip;
  using Classifier = radapt::Classifier<Clip>;

  /// `chosen` holds rates by method that an earlier seed has chosen, and gets those that this one chooses.
  MethodStudy(const radapt::Weights<Clip>& base, const StudyData& data, const StudyOptions& options,
              const MethodRates& rates, std::map<std::string, double>& chosen)
      : Base(base, data, options), rates_(rates), chosen_(chosen) {}

  /// All methods, in the order of the table. The study must outlive them.
  std::vector<MethodGroup> groups() { return groups_of(this, data_.spurious != nullptr); }
  /// Their names alone; StarFT's is among them if there are captions with spurious phrases.
  static std::vector<MethodGroup> names(bool spurious) { return groups_of(nullptr, spurious); }

 private:
  using Base::base_;
  using Base::data_;
  using Base::options_;

  /// The methods of `study`, which is looked at when one runs.
  static std::vector<MethodGroup> groups_of(MethodStudy* study, bool spurious) {
    const auto one = [study](auto&& method) {
      return [study, method] { return std::vector<MethodResult>{(study->*method)()}; };
    };
    std::vector<MethodGroup> all{
        {{"zero-shot"}, one(&MethodStudy::zero_shot)},
        {{"linear probe", "LP-FT"}, [study] { return study->probe_and_lp_ft(); }},
        {{"full fine-tuning", "WiSE-FT", "OSE", "VRF"}, [study] { return study->full_and_ensembles(); }},
        {{"FLYP"},
         [study] {
           return std::vector<MethodResult>{
               study->template contrastive<radapt::recipe::flyp<Arch>>("FLYP", "recipe::flyp<Arch>", false)};
         }},
        {{"LoRA"}, one(&MethodStudy::lora)},
        {{"AdaptFormer"}, one(&MethodStudy::adapt_former)},
        {{"R-Adapter", "R-Adapter, alpha 1", "R-Adapter + VRF"}, [study] { return study->r_adapter_and_vrf(); }},
        {{"R-Adapter, InfoNCE"},
         variant<radapt::loss::Contrastive, radapt::AdapterDrop, radapt::Accumulate>(study, "R-Adapter, InfoNCE",
                                                                                     "loss::Contrastive")},
        {{"R-Adapter, no dropping"},
         variant<radapt::loss::MpmNce, radapt::Accumulate>(study, "R-Adapter, no dropping", "During<Accumulate>")},
        {{"R-Adapter, no average"},
         variant<radapt::loss::MpmNce, radapt::AdapterDrop>(study, "R-Adapter, no average", "During<AdapterDrop>")}};
    if (spurious) {
      all.insert(all.begin() + 4,
                 {{"StarFT"}, [study] {
                    return std::vector<MethodResult>{study->template contrastive<radapt::recipe::star_ft<Arch>>(
                        "StarFT", "recipe::star_ft<Arch>", true)};
                  }});
    }
    return all;
  }

  /// Trains `Recipe` at the rates of the family, or at the one that was chosen before.
  template <class Recipe, class Start, class Step, class Validate>
  auto trained(MethodResult& result, const Start& start, const std::vector<double>& family,
               const radapt::TrainOptions& options, typename Recipe::loss loss, BatchContent content, Step&& step,
               Validate&& validate) {
    const auto found = chosen_.find(result.name);
    const std::vector<double> rates = found == chosen_.end() ? family : std::vector<double>{found->second};
    auto trainer = Base::template best_trainer<Recipe>(result, start, rates, options, loss, content, step, validate);
    chosen_[result.name] = result.lr;
    result.trained_parameters = radapt::count<typename Recipe::trained, typename Recipe::tune>(start.classes());
    return trainer;
  }
  static auto labelled_step() {
    return [](auto& t, const StudyBatch& batch) { return t.step(batch.labelled()); };
  }
  static auto pair_step(bool grouped) {
    return [grouped](auto& t, const StudyBatch& batch) { return t.step(batch.pairs(grouped)); };
  }
  /// The zero-shot head of `weights`, as the classifier that fine-tuning begins with.
  radapt::Weights<Classifier> zero_shot_classifier(const radapt::Weights<Clip>& weights) {
    radapt::Session<Clip, Backend> session(weights);
    return radapt::zero_shot_classifier(weights, this->zero_shot_head(session));
  }
  /// A classifier with adapters of Policy at their first values.
  template <class Policy>
  radapt::Weights<radapt::Classifier<radapt::Clip<Arch, Policy>>> adapted_classifier() {
    const auto plain = zero_shot_classifier(base_);
    radapt::Weights<radapt::Classifier<radapt::Clip<Arch, Policy>>> start(plain.classes());
    radapt::Random random(options_.seed);
    radapt::Classifier<radapt::Clip<Arch, Policy>>::initialise(start.tree(), random);
    radapt::copy_by_name(start, plain);
    return start;
  }
  template <class Score>
  void measure_at_end(MethodResult& r, Score&& score) {
    this->measure(score, r.accuracies, &r.sample_predictions);
  }

  std::vector<MethodResult> probe_and_lp_ft() {
    using Probe = radapt::recipe::linear_probe<Arch>;
    using Full = radapt::recipe::full_fine_tuning<Arch>;
    MethodResult probe{.name = "linear probe", .type = "recipe::linear_probe<Arch>"};
    const auto score = [&](auto& t) { return this->on_validation(this->classifier_score(t.weights())); };
    const auto zero_shot = zero_shot_classifier(base_);
    const auto head =
        trained<Probe>(probe, zero_shot, rates_.head, this->train_options(0.0), {}, {}, labelled_step(), score);
    measure_at_end(probe, this->classifier_score(head->weights()));
    MethodResult both{.name = "LP-FT", .type = "recipe::linear_probe<Arch>, recipe::full_fine_tuning<Arch>"};
    const auto start = radapt::carry_over<Full>(*head);
    const auto tuned =
        trained<Full>(both, start, rates_.full, this->train_options(0.1), {}, {}, labelled_step(), score);
    measure_at_end(both, this->classifier_score(tuned->weights()));
    return {probe, both};
  }

  /// One fine-tuning, and what ensembles of weights and of outputs make of it.
  std::vector<MethodResult> full_and_ensembles() {
    using Full = radapt::recipe::wise_ft<Arch>;
    MethodResult full{.name = "full fine-tuning", .type = "recipe::full_fine_tuning<Arch>"};
    const auto zero_shot = zero_shot_classifier(base_);
    const auto trainer =
        trained<Full>(full, zero_shot, rates_.full, this->train_options(0.1), {}, {}, labelled_step(),
                      [&](auto& t) { return this->on_validation(this->classifier_score(t.weights())); });
    const auto tuned = trainer->weights();
    measure_at_end(full, this->classifier_score(tuned));
    MethodResult wise = ensemble_of(full, "WiSE-FT", "recipe::wise_ft<Arch>");
    std::vector<std::vector<std::int32_t>> samples;
    this->follow_alpha(wise, samples, [&](double alpha, CurvePoint& point, std::vector<std::int32_t>& said) {
      const auto score = this->classifier_score(radapt::deploy(*trainer, alpha));
      this->measure(score, point.accuracies, &said);
      point.validation = this->on_validation(score);
    });
    radapt::Weights<Clip> features_of = base_;
    radapt::copy_by_name(features_of, tuned);
    const OutputPair outputs = outputs_of(features_of, this->classifier_score(tuned), zero_shot);
    return {full, wise, output_ensemble(ensemble_of(full, "OSE", "mix_probabilities"), outputs),
            vrf(ensemble_of(full, "VRF", "vrf"), outputs)};
  }

  /// A contrastive recipe that trains everything.
  template <class Recipe>
  MethodResult contrastive(const std::string& name, const std::string& type, bool spurious) {
    MethodResult r{.name = name, .type = type};
    const auto trainer = trained<Recipe>(r, base_, rates_.full, this->train_options(0.1), {},
                                         {.captions = true, .spurious = spurious}, pair_step(spurious),
                                         [&](auto& t) { return this->on_validation(this->clip_score(t.weights())); });
    this->measure_clip(trainer->weights(), r.accuracies, &r.sample_predictions);
    return r;
  }

  MethodResult lora() {
    using Recipe = radapt::recipe::lora<Arch>;
    MethodResult r{.name = "LoRA", .type = "recipe::lora<Arch>"};
    const auto start = adapted_classifier<radapt::Lora<8>>();
    const auto score = [&](auto& t) { return this->classifier_score(radapt::deploy(t, 1.0)); };
    const auto trainer = trained<Recipe>(r, start, rates_.adapter, this->train_options(0.0), {}, {}, labelled_step(),
                                         [&](auto& t) { return this->on_validation(score(t)); });
    measure_at_end(r, score(*trainer));
    return r;
  }

  MethodResult adapt_former() {
    using Recipe = radapt::recipe::adapt_former<Arch>;
    MethodResult r{.name = "AdaptFormer", .type = "recipe::adapt_former<Arch>"};
    const auto start = adapted_classifier<radapt::AdaptFormer<>>();
    const auto score = [&](auto& t) { return this->classifier_score(t.weights()); };
    const auto trainer = trained<Recipe>(r, start, rates_.adapter, this->train_options(0.0), {}, {}, labelled_step(),
                                         [&](auto& t) { return this->on_validation(score(t)); });
    measure_at_end(r, score(*trainer));
    return r;
  }

  /// The trainer of R-Adapter's recipe with other words, measured along alpha.
  template <class Loss, class... During>
  auto r_adapter_with(MethodResult& r) {
    using Recipe = radapt::Recipe<radapt::Clip<Arch, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>,
                                  radapt::ensemble::During<During...>, radapt::ensemble::After<radapt::Rescale>, Loss>;
    const auto start = radapt::with_adapters<radapt::RAdapter<>>(radapt::ConstWeights<Clip>(base_), options_.seed);
    auto options = this->train_options(0.0);
    options.average.momentum = options_.momentum;
    Loss loss;
    if constexpr (requires { loss.tau; }) {
      loss.tau = options_.tau > 0 ? options_.tau : std::exp(-static_cast<double>(*base_.tree().logit_scale.data));
    }
    auto trainer = trained<Recipe>(r, start, rates_.adapter, options, loss, {.captions = true},
                                   pair_step(std::is_same_v<Loss, radapt::loss::MpmNce>), [&](auto& t) {
                                     return this->on_validation(this->clip_score(radapt::deploy(t, 1.0)));
                                   });
    std::vector<std::vector<std::int32_t>> samples;
    this->follow_alpha(r, samples, [&](double alpha, CurvePoint& point, std::vector<std::int32_t>& said) {
      const auto score = this->clip_score(radapt::deploy(*trainer, alpha));
      this->measure(score, point.accuracies, &said);
      point.validation = this->on_validation(score);
    });
    last_samples_ = samples.back();
    return trainer;
  }
  template <class Loss, class... During>
  static std::function<std::vector<MethodResult>()> variant(MethodStudy* study, const std::string& name,
                                                            const std::string& type) {
    return [study, name, type] {
      MethodResult r{.name = name, .type = type};
      study->template r_adapter_with<Loss, During...>(r);
      return std::vector<MethodResult>{r};
    };
  }
  std::vector<MethodResult> r_adapter_and_vrf() {
    MethodResult r{.name = "R-Adapter", .type = "recipe::r_adapter<Arch>"};
    const auto trainer = r_adapter_with<radapt::loss::MpmNce, radapt::AdapterDrop, radapt::Accumulate>(r);
    this->adapted_.emplace(trainer->averaged());
    MethodResult whole = ensemble_of(r, "R-Adapter, alpha 1", "recipe::r_adapter<Arch>");
    whole.accuracies = r.curve.back().accuracies;
    whole.sample_predictions = last_samples_;
    // VRF is given the adapters in full: choosing how much of them to use is its own part.
    const radapt::Weights<Clip> merged = radapt::deploy(*trainer, 1.0);
    const OutputPair outputs =
        outputs_of(merged, this->classifier_score(zero_shot_classifier(merged)), zero_shot_classifier(base_));
    return {r, whole, vrf(ensemble_of(r, "R-Adapter + VRF", "recipe::r_adapter<Arch>, vrf"), outputs)};
  }

  /// A result of another kind from the same training.
  static MethodResult ensemble_of(const MethodResult& of, const std::string& name, const std::string& type) {
    MethodResult r = of;
    r.name = name;
    r.type = type;
    r.alpha = 0;
    r.curve.clear();
    r.losses.clear();
    r.tried.clear();
    r.accuracies = {};
    r.sample_predictions.clear();
    return r;
  }

  /// What two models say of every set: a fine-tuned one, and the zero-shot one.
  struct SetOutputs {
    std::vector<float> features, tuned, zero_shot;
  };
  struct OutputPair {
    SetOutputs train, validation;
    std::vector<SetOutputs> tests;  ///< the test set, then the shifts
  };
  template <class Score>
  OutputPair outputs_of(const radapt::Weights<Clip>& features_of, Score&& tuned,
                        const radapt::Weights<Classifier>& zero_shot) {
    const std::size_t classes = data_.class_names.size();
    radapt::Session<Clip, Backend> session(features_of, {.images = Base::images_at_once});
    const auto features = [&](std::span<const float> pixels, std::span<float> out) {
      session.encode_images(pixels, out);
    };
    const auto of_zero_shot = this->classifier_score(zero_shot);
    const auto all = [&](const ImageSet& set) {
      return SetOutputs{this->scores_of(set, Arch::embed, features), this->scores_of(set, classes, tuned),
                        this->scores_of(set, classes, of_zero_shot)};
    };
    const ImageSet& train = data_.train_as_tested.size() == 0 ? data_.train : data_.train_as_tested;
    OutputPair out{.train = all(train), .validation = all(data_.validation), .tests = {all(data_.test)}};
    for (const ImageSet& shift : data_.shifts) { out.tests.push_back(all(shift)); }
    return out;
  }
  /// Measures the classes that predict(outputs) finds.
  template <class Predict>
  void measure_outputs(const OutputPair& outputs, Predict&& predict, Accuracies& out,
                       std::vector<std::int32_t>* samples) {
    std::size_t at = 0;
    this->measure_with([&](const ImageSet&) { return predict(outputs.tests[at++]); }, out, samples);
  }

  MethodResult output_ensemble(MethodResult r, const OutputPair& outputs) {
    const std::size_t classes = data_.class_names.size();
    const auto mix = [&](double alpha, const SetOutputs& set) {
      return radapt::predicted_classes(
          radapt::mix_probabilities(alpha, radapt::probabilities(radapt::rows_of(set.tuned, classes)),
                                    radapt::probabilities(radapt::rows_of(set.zero_shot, classes))));
    };
    std::vector<std::vector<std::int32_t>> samples;
    this->follow_alpha(r, samples, [&](double alpha, CurvePoint& point, std::vector<std::int32_t>& said) {
      measure_outputs(
          outputs, [&](const SetOutputs& set) { return mix(alpha, set); }, point.accuracies, &said);
      point.validation = accuracy(mix(alpha, outputs.validation), data_.validation.labels);
    });
    return r;
  }

  /// VRF with temperatures fitted, and a and b chosen, on validation images: of the pairs within one standard error of
  /// the best, the one that trusts the fine-tuned model least.
  MethodResult vrf(MethodResult r, const OutputPair& outputs) {
    const std::size_t classes = data_.class_names.size();
    const auto rows = [&](const std::vector<float>& values) { return radapt::rows_of(values, classes); };
    const radapt::FailureSet<float> failures(radapt::rows_of(outputs.train.features, Arch::embed),
                                             rows(outputs.train.tuned), rows(outputs.train.zero_shot),
                                             data_.train.labels);
    radapt::VrfOptions options;
    options.omega_if_empty = 0.5;
    options.progress.mode = radapt::ProgressOptions::Mode::quiet;
    // Where all validation images are right, or all wrong, none makes confidence equal to that.
    const auto temperature = [&](const std::vector<float>& logits) {
      const auto fit = radapt::fit_temperature(rows(logits), data_.validation.labels, quiet_fit());
      return fit.matched ? fit.temperature : 1.0;
    };
    options.tuned_temperature = temperature(outputs.validation.tuned);
    options.zero_shot_temperature = temperature(outputs.validation.zero_shot);
    radapt::Context<Backend> context;
    const auto predict = [&](const SetOutputs& set) {
      return radapt::vrf(context, failures, radapt::rows_of(set.features, Arch::embed), rows(set.tuned),
                         rows(set.zero_shot), options);
    };
    struct Tried {
      double a, b, accuracy, omega;
    };
    std::vector<Tried> tried;
    for (const double a : {0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5}) {
      for (const double b : {0.02, 0.05, 0.1, 0.2, 0.6}) {
        options.weight = {.a = a, .b = b};
        const auto said = predict(outputs.validation);
        double omega = 0;
        for (const double w : said.omega) { omega += w / static_cast<double>(said.omega.size()); }
        tried.push_back({a, b, accuracy(said.classes, data_.validation.labels), omega});
      }
    }
    double best = 0;
    for (const Tried& t : tried) { best = std::max(best, t.accuracy); }
    const double enough = best - standard_error(best, data_.validation.size());
    const Tried* chosen = nullptr;
    for (const Tried& t : tried) {
      if (t.accuracy >= enough && (chosen == nullptr || t.omega < chosen->omega)) { chosen = &t; }
    }
    options.weight = {.a = chosen->a, .b = chosen->b};
    r.type += " with a " + Base::short_number(chosen->a) + ", b " + Base::short_number(chosen->b) + ", |V| " +
              std::to_string(failures.size()) + (failures.size() == 0 ? ", omega 0.5 for all" : "");
    measure_outputs(
        outputs, [&](const SetOutputs& set) { return predict(set).classes; }, r.accuracies, &r.sample_predictions);
    return r;
  }
  static radapt::TemperatureOptions quiet_fit() {
    radapt::TemperatureOptions o;
    o.progress.mode = radapt::ProgressOptions::Mode::quiet;
    return o;
  }

  MethodRates rates_;
  std::map<std::string, double>& chosen_;
  std::vector<std::int32_t> last_samples_;
};

}  // namespace example
