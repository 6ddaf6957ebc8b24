#pragma once
/// What fine_tune is told, and how it tells what it found: records of the log, tables, the report.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "radapt/io/atomic_file.hpp"

#include "picture_file.hpp"
#include "study_report.hpp"

namespace example {

/// The options of fine_tune.
struct FineTuneSettings {
  std::filesystem::path data = {}, from = {}, save = {}, report = "report.html", log = "fine_tune.jsonl", figure = {};
  std::string vocabulary = {}, id = {}, command = {}, device = "cpu";
  std::vector<std::string> ood = {};
  std::uint64_t seeds = 1, pretrain_steps = 1500, split_seed = 0;
  double pretrain_lr = 1e-3;
  std::optional<double> pretraining_share = {};  ///< of every domain; 0.5 where this program pre-trains, else 0
  double pretraining_crop = 0.4, crop = 0.8;     ///< least share of a picture's area that a training crop shows
  std::size_t limit = 0;                         ///< images of each class and domain; 0 is all
  std::filesystem::path checkpoints = {};        ///< where runs are kept while they go on; empty: nowhere
  std::uint64_t checkpoint_every = 100;          ///< steps
  bool flyp = true;
  StudyOptions study = {};
};

/// How many images each part has.
struct DataCounts {
  std::size_t pretraining = 0, train = 0, validation = 0, skipped = 0;
  std::vector<std::size_t> test = {};  ///< by domain
};

/// What a run was.
struct RunFacts {
  DataCounts counts = {};
  std::size_t parameters = 0;
  Index image = 0;
  double pretraining_seconds = 0, seconds = 0;
};

inline nlohmann::ordered_json run_record(const FineTuneSettings& s, const DataCounts& n) {
  return {{"run", s.command}, {"pretraining", n.pretraining}, {"train", n.train}, {"validation", n.validation},
          {"test", n.test},   {"skipped", n.skipped},         {"seeds", s.seeds}, {"steps", s.study.steps}};
}
inline nlohmann::ordered_json step_record(const StepRecord& r) {
  return {{"method", r.method}, {"seed", r.seed}, {"base_lr", r.base_lr},    {"step", r.step},
          {"lr", r.lr},         {"loss", r.loss}, {"grad_norm", r.grad_norm}};
}
inline nlohmann::ordered_json result_record(const MethodResult& r, std::uint64_t seed) {
  nlohmann::ordered_json record{{"result", r.name},    {"seed", seed},          {"lr", r.lr},
                                {"alpha", r.alpha},    {"id", r.accuracies.id}, {"shifts", r.accuracies.shifts},
                                {"seconds", r.seconds}};
  for (const TriedRate& t : r.tried) { record["tried"].push_back({{"lr", t.lr}, {"validation", t.validation}}); }
  for (const CurvePoint& p : r.curve) {
    record["curve"].push_back(
        {{"alpha", p.alpha}, {"validation", p.validation}, {"id", p.accuracies.id}, {"shifts", p.accuracies.shifts}});
  }
  return record;
}

/// What validation chose: a row for each method that trains.
inline ReportTable choice_table(const StudyOutcome& outcome) {
  ReportTable table;
  table.caption = "Chosen on the validation set of the training distribution";
  table.columns = {"method", "learning rate", "validation accuracy in % by rate", "alpha by seed", "seconds to train"};
  for (std::size_t m = 0; m < outcome.methods(); ++m) {
    const MethodResult& r = outcome.runs[0][m];
    if (r.trained_parameters == 0) { continue; }
    std::string tried, alphas;
    for (const TriedRate& t : r.tried) {
      tried += fmt::format("{}{:g}: {:.1f}", tried.empty() ? "" : ", ", t.lr, t.validation);
    }
    for (const auto& run : outcome.runs) {
      if (!r.curve.empty()) { alphas += fmt::format("{}{:g}", alphas.empty() ? "" : ", ", run[m].alpha); }
    }
    table.rows.push_back({r.name, fmt::format("{:g}", r.lr), tried, alphas, fmt::format("{:.1f}", r.seconds)});
  }
  return table;
}

/// Writes report.html, and the scatter chart as a file of its own if asked for. `more`, if given, adds parts behind the
/// samples.
inline void write_fine_tune_report(const FineTuneSettings& settings, const RunFacts& facts, const StudyOutcome& outcome,
                                   const StudyData& data, const std::vector<Picture>& pictures,
                                   const std::function<void(Report&)>& more = {}) {
  const DataCounts& n = facts.counts;
  Report report("radapt fine_tune: " + settings.id + ", measured under shift", encode_png);
  report.paragraph(fmt::format(
      "A CLIP with {} parameters and {} x {} pixel images {} It was then fine-tuned on {} images of '{}' and tested on "
      "{} "
      "other images of it and on the other domains, from which fine-tuning saw nothing.",
      facts.parameters, facts.image, facts.image,
      settings.from.empty() ? fmt::format("was pre-trained for {} steps of {} pairs on {} images of all domains.",
                                          settings.pretrain_steps, settings.study.batch, n.pretraining)
                            : fmt::format("was loaded from {}.", settings.from.string()),
      n.train, settings.id, n.test[0]));
  report.paragraph(fmt::format(
      "Learning rates and alpha were chosen on {} further images of '{}', never on a test set: the rate with the best "
      "accuracy in the first seed, and the smallest alpha within one standard error of the best. The seeds repeat the "
      "fine-tuning, not the pre-training and not the split.",
      n.validation, settings.id));
  report.code(settings.command);
  if (n.skipped > 0) { report.paragraph(fmt::format("{} images could not be read and were left out.", n.skipped)); }
  write_study(report, outcome, data, pictures);
  if (more) { more(report); }
  report.heading("How it was chosen, how long it took");
  report.table(choice_table(outcome));
  report.paragraph(fmt::format("{} seconds in all, {:.0f} of them pre-training.", static_cast<long>(facts.seconds),
                               facts.pretraining_seconds));
  report.write(settings.report);
  if (!settings.figure.empty()) {
    radapt::write_text_atomically(settings.figure, robustness_figure(outcome, data.test.name));
  }
}

}  // namespace example
