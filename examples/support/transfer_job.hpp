#pragma once
/// What transfer does: adapters that were trained on one pre-trained CLIP are moved into another one, and held against
/// doing nothing, copying them, and training them anew.
#include <string>
#include <utility>
#include <vector>

#include "radapt/clip/transfer.hpp"

#include "fine_tune_job.hpp"

namespace example {

/// The options of transfer: those of a study, the second checkpoint, and how spaces are cut.
struct TransferSettings {
  FineTuneSettings study = {};
  std::filesystem::path to = {};  ///< the second checkpoint; where it and `study.from` are absent both are pre-trained
  double energy = 0.95;           ///< share of a weight's energy in its leading space
};

/// A study of the CLIP that adapters are moved into.
template <class Arch>
class TransferStudy : public Study<Arch> {
 public:
  using Base = Study<Arch>;
  using Base::Base;
  using typename Base::Adapted;
  using typename Base::Clip;

  /// The adapters of `adapted` on this study's base as they are: the same tensors.
  MethodResult copied(const radapt::Weights<Adapted>& adapted) {
    radapt::Weights<Adapted> moved = adapted;
    radapt::copy_by_name(moved, this->base_);  // everything but the adapters
    return along_alpha("copied", "merge(alpha, ...)", [&](double alpha) { return radapt::merge(alpha, moved); });
  }
  /// ProLoRA's transfer into this study's base. `table` gets a line for each module.
  MethodResult transferred(const radapt::Weights<Adapted>& adapted, const TransferSettings& settings,
                           std::string& table) {
    radapt::AdapterTransferOptions options{.rank = radapt::RankRule::energy(settings.energy)};
    options.progress = this->shown();
    // The update is linear in alpha: one transfer at 1 gives all of them.
    const auto whole = radapt::transfer_adapters(1.0, adapted, this->base_, options);
    table = radapt::describe(whole.modules);
    return along_alpha("transferred", "transfer_adapters(alpha, ...)",
                       [&](double alpha) { return radapt::interpolate(alpha, this->base_, whole.weights); });
  }

 private:
  template <class At>
  MethodResult along_alpha(const std::string& name, const std::string& type, At&& weights_at) {
    MethodResult r{.name = name, .type = type};
    std::vector<std::vector<std::int32_t>> samples;
    this->follow_alpha(r, samples, [&](double alpha, CurvePoint& point, std::vector<std::int32_t>& said) {
      const auto score = this->clip_score(weights_at(alpha));
      this->measure(score, point.accuracies, &said);
      point.validation = this->on_validation(score);
    });
    return r;
  }
};

/// The whole program for architecture Arch.
template <class Arch>
void transfer(const TransferSettings& settings) {
  using Clip = radapt::Clip<Arch>;
  const FineTuneSettings& s = settings.study;
  const auto start = std::chrono::steady_clock::now();
  const bool pretrains = s.from.empty();
  const radapt::Preprocess rules =
      pretrains ? radapt::Preprocess::openai(Arch::image) : preprocessing_of(s.from, Arch::image);
  Encode encode;
  if (!pretrains || !s.vocabulary.empty()) {
    encode = [tokenizer = tokenizer_of<Arch>(s.from, s.vocabulary)](const std::string& text) {
      return tokenizer.context(text, Arch::context);
    };
  }
  const DomainStudyData domains(s, rules);
  if (!encode) { encode = word_encoder(domains.domain_names, domains.class_names); }
  const StudyData data = domains.study(encode);

  StudyOutcome outcome;
  const auto checkpoint = [&](const std::filesystem::path& folder, std::uint64_t seed) {
    if (!pretrains) { return radapt::load<Clip>(folder); }
    return pretrain<Arch>(domains.pairs(encode, seed), s.study.batch, s.pretrain_steps, s.pretrain_lr, seed,
                          outcome.pretraining_losses);
  };
  const radapt::Weights<Clip> source = checkpoint(s.from, s.split_seed);
  const radapt::Weights<Clip> target = checkpoint(settings.to, s.split_seed + 1);

  TransferStudy<Arch> of_source(source, data, s.study), of_target(target, data, s.study);
  std::vector<MethodResult> run;
  const auto add = [&run](MethodResult r, const std::string& name) {
    r.name = name;
    run.push_back(std::move(r));
  };
  std::string table;
  add(of_source.zero_shot(), "source, zero-shot");
  add(of_source.r_adapter(), "source, trained");
  add(of_target.zero_shot(), "target, zero-shot");
  add(of_target.copied(of_source.adapted()), "target, adapters copied");
  add(of_target.transferred(of_source.adapted(), settings, table), "target, adapters transferred");
  add(of_target.r_adapter(), "target, trained anew");
  outcome.runs.push_back(std::move(run));

  fmt::print("\n{}\n", table);
  print(accuracy_table(outcome, data));
  print(choice_table(outcome));
  ReportTable curves{.caption = "Accuracy in % on " + data.test.name + " / on all shifts, by alpha",
                     .columns = {"method", "chosen alpha"},
                     .rows = {}};
  for (const MethodResult& r : outcome.runs[0]) {
    if (r.curve.empty()) { continue; }
    if (curves.rows.empty()) {
      for (const CurvePoint& p : r.curve) { curves.columns.push_back(fmt::format("{:g}", p.alpha)); }
    }
    std::vector<std::string> row{r.name, fmt::format("{:g}", r.alpha)};
    for (const CurvePoint& p : r.curve) {
      row.push_back(fmt::format("{:.1f} / {:.1f}", p.accuracies.id, p.accuracies.ood()));
    }
    curves.rows.push_back(row);
  }
  print(curves);
  const RunFacts facts{.counts = domains.counts(),
                       .parameters = radapt::count<Clip>(),
                       .image = Arch::image,
                       .seconds = seconds_since(start)};
  write_fine_tune_report(s, facts, outcome, data, domains.samples(TransferStudy<Arch>::samples_per_shift));
  fmt::print("\nreport: {}   total time: {:.0f} s\n", s.report.string(), facts.seconds);
}

}  // namespace example
