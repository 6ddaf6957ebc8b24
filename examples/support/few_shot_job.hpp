#pragma once
/// What few_shot does: methods by number of shots and by draw, or base-to-novel; tables, figures, the report.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "radapt/io/json_lines.hpp"

#include "few_shot_methods.hpp"
#include "study_report.hpp"

namespace example {

/// The options of few_shot.
struct FewShotSettings {
  FeatureFiles files = {};
  std::vector<Index> shots = {1, 2, 4, 8, 16};
  std::uint64_t seeds = 5;
  Index validation_shots = 4;
  bool base_to_novel = false;
  FewShotOptions methods = {};
  std::filesystem::path results = "results.jsonl", report = "report.html", figure = {};
  std::string command = {};
};

/// Accuracies in percent, one for each draw.
using DrawAccuracies = std::vector<double>;

/// What a method reached: by number of shots in the order of the settings, and by column: "accuracy", or those of
/// base-to-novel.
struct FewShotRow {
  std::string method = {};
  std::vector<std::vector<DrawAccuracies>> columns = {};  ///< [column][shots]
};

/// A table of methods on one set of classes.
struct FewShotOutcome {
  std::string title = {};
  std::vector<std::string> class_names = {}, columns = {};
  std::vector<FewShotRow> rows = {};
  Index test_images = 0;
  std::size_t draws_without_failures = 0, draws = 0;  ///< VRF's constant weight was used in the first of the second
};

/// The columns of base-to-novel: each half of the classes by itself, which is CoOp's protocol, and images of each half
/// among all classes, where a model that forgot the novel ones shows it.
inline std::vector<std::string> base_to_novel_columns() {
  return {"base", "novel", "harmonic mean", "base among all", "novel among all", "harmonic mean among all"};
}

/// Accuracies of one method in the order of the columns, in percent.
inline std::vector<double> measured(const FewShotMethod& method, const FeatureData& data, bool base_to_novel) {
  const auto accuracy_on = [&](const FeatureSet& set, const std::vector<std::int32_t>& kept) {
    const auto projection = radapt::task::LabelProjection::subset(data.classes(), kept);
    return radapt::task::accuracy(method.predict(set.features, projection), projection.relabel(set.labels));
  };
  std::vector<std::int32_t> all;
  for (Index c = 0; c < data.classes(); ++c) { all.push_back(static_cast<std::int32_t>(c)); }
  if (!base_to_novel) { return {100 * accuracy_on(data.test, all)}; }
  const radapt::task::BaseNovel split = radapt::task::split_base_novel(data.classes());
  const auto part = [&](const std::vector<std::int32_t>& classes) {
    return data.test.at(radapt::task::samples_of(data.test.labels, classes).samples);
  };
  const FeatureSet base_images = part(split.base), novel_images = part(split.novel);
  std::vector<double> accuracies;
  const auto add = [&](double base, double novel) {
    for (const double x : {base, novel, radapt::task::harmonic_mean(base, novel)}) { accuracies.push_back(100 * x); }
  };
  add(accuracy_on(base_images, split.base), accuracy_on(novel_images, split.novel));
  add(accuracy_on(base_images, all), accuracy_on(novel_images, all));
  return accuracies;
}

/// All methods over all numbers of shots and draws, each result written to `log`.
template <Index Width>
FewShotOutcome few_shot_outcome(const FewShotSettings& settings, const FeatureData& data, const std::string& title,
                                radapt::JsonLines& log) {
  FewShotOutcome outcome{
      .title = title, .class_names = data.class_names, .columns = {"accuracy"}, .test_images = data.test.size()};
  Index trained_classes = data.classes();
  FeatureSet pool = data.train;
  if (settings.base_to_novel) {
    // The base classes are the first ones, so that their labels are the same among themselves and among all.
    const radapt::task::BaseNovel split = radapt::task::split_base_novel(data.classes());
    trained_classes = split.base.size();
    pool = data.train.of_classes(split.base);
    outcome.columns = base_to_novel_columns();
  }
  radapt::Progress progress(title, settings.shots.size() * settings.seeds);
  for (std::size_t k = 0; k < settings.shots.size(); ++k) {
    for (std::uint64_t seed = 0; seed < settings.seeds; ++seed) {
      ShotDraw draw = draw_shots(pool, trained_classes, settings.shots[k], settings.validation_shots, seed);
      const FewShotTask task{.train = std::move(draw.train),
                             .validation = std::move(draw.validation),
                             .classes = data.classes(),
                             .trained_classes = trained_classes,
                             .texts = data.texts};
      FewShotOptions options = settings.methods;
      options.seed = seed;
      const auto methods = FewShotMethods<Width>(task, options).all();
      for (std::size_t m = 0; m < methods.size(); ++m) {
        const std::vector<double> accuracies = measured(methods[m], data, settings.base_to_novel);
        if (outcome.rows.size() == m) {
          outcome.rows.push_back({methods[m].name, {}});
          outcome.rows[m].columns.assign(outcome.columns.size(), std::vector<DrawAccuracies>(settings.shots.size()));
        }
        nlohmann::ordered_json record{{"result", methods[m].name},  {"set", settings.files.set},
                                      {"classes", data.classes()},  {"trained_classes", trained_classes},
                                      {"shots", settings.shots[k]}, {"seed", seed}};
        for (std::size_t c = 0; c < accuracies.size(); ++c) {
          outcome.rows[m].columns[c][k].push_back(accuracies[c]);
          record[outcome.columns[c]] = accuracies[c];
        }
        record["chosen"] = methods[m].chosen;
        log.write(record);
        if (methods[m].chosen.contains("failures")) {
          outcome.draws_without_failures += methods[m].chosen["failures"] == 0 ? 1U : 0U;
          ++outcome.draws;
        }
      }
      progress.advance(1, fmt::format("{} shots", settings.shots[k]));
    }
  }
  return outcome;
}

/// "hamburger, pizza and sushi".
inline std::string enumerated(const std::vector<std::string>& names) {
  if (names.size() < 2) { return fmt::format("{}", fmt::join(names, "")); }
  return fmt::format("{} and {}", fmt::join(names.begin(), names.end() - 1, ", "), names.back());
}

/// Accuracies by shots for a plain study.
inline ReportTable curve_table(const FewShotSettings& settings, const FewShotOutcome& outcome) {
  ReportTable table;
  table.caption = fmt::format(
      "{}: top-1 accuracy in % on {} images by shots for each class{}", outcome.title, outcome.test_images,
      settings.seeds > 1 ? fmt::format(", mean ± standard deviation over {} draws", settings.seeds) : std::string());
  table.columns = {"method"};
  for (const Index shots : settings.shots) { table.columns.push_back(fmt::format("{}", shots)); }
  for (const FewShotRow& row : outcome.rows) {
    table.rows.push_back({row.method});
    for (const DrawAccuracies& draws : row.columns[0]) {
      table.rows.back().push_back(with_spread(Spread::of(draws), settings.seeds > 1));
    }
  }
  return table;
}

/// Base-to-novel at one number of shots.
inline ReportTable base_to_novel_table(const FewShotSettings& settings, const FewShotOutcome& outcome, std::size_t k) {
  ReportTable table;
  const radapt::task::BaseNovel split = radapt::task::split_base_novel(outcome.class_names.size());
  table.caption = fmt::format(
      "{} shots of {} of {} classes: top-1 accuracy in %{}", settings.shots[k], split.base.size(),
      outcome.class_names.size(),
      settings.seeds > 1 ? fmt::format(", mean ± standard deviation over {} draws", settings.seeds) : std::string());
  table.columns = {"method"};
  table.columns.insert(table.columns.end(), outcome.columns.begin(), outcome.columns.end());
  for (const FewShotRow& row : outcome.rows) {
    table.rows.push_back({row.method});
    for (const auto& column : row.columns) {
      table.rows.back().push_back(with_spread(Spread::of(column[k]), settings.seeds > 1));
    }
  }
  return table;
}

/// A column of all methods over the number of shots.
inline std::string few_shot_figure(const FewShotSettings& settings, const FewShotOutcome& outcome, std::size_t column) {
  LineChart chart;
  chart.options = {.title = outcome.title, .width = 760, .height = 480};
  chart.x = {.title = "shots for each class", .doubling = true};
  chart.y = {.title = outcome.columns[column] == "accuracy" ? "accuracy" : "accuracy, " + outcome.columns[column],
             .unit = "%"};
  // Harmonic means of base-to-novel are either high or very low: a deviation would reach beyond 100 %.
  const bool has_bars = settings.seeds > 1 && !settings.base_to_novel;
  for (const FewShotRow& row : outcome.rows) {
    LineSeries series{.name = row.method};
    for (std::size_t k = 0; k < settings.shots.size(); ++k) {
      const Spread s = Spread::of(row.columns[column][k]);
      series.points.push_back({static_cast<double>(settings.shots[k]), s.mean});
      if (has_bars) { series.errors.push_back(s.deviation); }
    }
    chart.series.push_back(series);
  }
  if (settings.seeds > 1) {
    chart.options.note = fmt::format("Means over {} draws of the shots{}", settings.seeds,
                                     has_bars ? ", with bars of one standard deviation" : "");
  }
  return to_svg(chart);
}

/// Tables, figures and what has to be known to read them.
inline void write_few_shot(Report& report, const FewShotSettings& settings, const FewShotOutcome& outcome) {
  report.heading(outcome.title);
  if (settings.base_to_novel) {
    const radapt::task::BaseNovel split = radapt::task::split_base_novel(outcome.class_names.size());
    std::vector<std::string> base, novel;
    for (const auto c : split.base) { base.push_back(outcome.class_names[static_cast<Index>(c)]); }
    for (const auto c : split.novel) { novel.push_back(outcome.class_names[static_cast<Index>(c)]); }
    report.paragraph(fmt::format("Trained on {}; {} have a text and no shots.", enumerated(base), enumerated(novel)));
    for (std::size_t k = 0; k < settings.shots.size(); ++k) { report.table(base_to_novel_table(settings, outcome, k)); }
    report.paragraph(
        "By themselves novel classes are told apart by their texts in every row but that of CLIP-Adapter, whose layers "
        "come before the texts: other methods have nothing that was trained for them, and OSE and VRF mix two equal "
        "answers. Among all classes it counts how the trained classes weigh against the others.");
    const std::size_t among_all = 5;
    if (settings.shots.size() > 1) {
      report.figure(few_shot_figure(settings, outcome, among_all),
                    "Harmonic mean of base and novel among all classes.");
    }
  } else {
    report.paragraph(fmt::format("Classes: {}.", enumerated(outcome.class_names)));
    report.table(curve_table(settings, outcome));
    report.figure(few_shot_figure(settings, outcome, 0), "Mean accuracy on the test images over draws of the shots.");
  }
  if (outcome.draws > 0) {
    report.paragraph(
        fmt::format("VRF: in {} of {} draws the probe got nothing right that the zero-shot head had got wrong; the "
                    "failure set is empty then, and both models count half.",
                    outcome.draws_without_failures, outcome.draws));
  }
}

/// The whole program for features of width Width.
template <Index Width>
void few_shot(const FewShotSettings& settings, const FeatureData& all) {
  const auto start = std::chrono::steady_clock::now();
  const NamedTexts texts = read_texts(settings.files, all.class_names, Width);
  if (texts.classes.size() < (settings.base_to_novel ? 2U : 0U)) {
    radapt::fail({.what = "base-to-novel on '" + settings.files.set + "'",
                  .expected = "at least two classes with a text",
                  .got = std::to_string(texts.classes.size()),
                  .hint = "Say with --same what classes are called among the texts"});
  }
  check_class_sizes(all.train, all.class_names, *std::max_element(settings.shots.begin(), settings.shots.end()),
                    settings.validation_shots);
  radapt::JsonLines log(settings.results);
  log.write({{"run", settings.command}, {"seeds", settings.seeds}, {"validation_shots", settings.validation_shots}});
  std::vector<FewShotOutcome> outcomes;
  if (texts.classes.size() >= 2) {
    outcomes.push_back(few_shot_outcome<Width>(
        settings, with_texts(all, texts),
        fmt::format("{} classes of {} with a head from text", texts.classes.size(), settings.files.set), log));
  }
  // A data set with a text for every class has been measured whole.
  if (!settings.base_to_novel && texts.classes.size() < all.classes()) {
    outcomes.push_back(few_shot_outcome<Width>(
        settings, all, fmt::format("All {} classes of {}, without text", all.classes(), settings.files.set), log));
  }
  const double seconds = seconds_since(start);

  Report report("radapt few_shot: a handful of images on the features of a frozen CLIP");
  report.paragraph(fmt::format(
      "Features of {} numbers that a CLIP gave for {} images to draw shots from and {} others to test on. Rates, "
      "alpha, "
      "beta, temperatures and VRF's a and b were chosen for every draw on validation images of the trained classes, as "
      "many as shots and at most {} of a class, which are neither shots nor test images: the best accuracy and, of "
      "equal ones, the lowest cross entropy (for Tip-Adapter the smallest beta and alpha).",
      Width, all.train.size(), all.test.size(), settings.validation_shots));
  report.code(settings.command);
  for (const FewShotOutcome& outcome : outcomes) {
    if (settings.base_to_novel) {
      for (std::size_t k = 0; k < settings.shots.size(); ++k) { print(base_to_novel_table(settings, outcome, k)); }
    } else {
      print(curve_table(settings, outcome));
    }
    if (outcome.draws > 0) {
      fmt::print("VRF: the failure set was empty in {} of {} draws\n", outcome.draws_without_failures, outcome.draws);
    }
    write_few_shot(report, settings, outcome);
  }
  report.paragraph(fmt::format("{:.0f} seconds in all.", seconds));
  report.write(settings.report);
  if (!settings.figure.empty()) {
    radapt::write_text_atomically(settings.figure,
                                  few_shot_figure(settings, outcomes[0], settings.base_to_novel ? 5 : 0));
  }
  fmt::print("\nresults: {}   report: {}   total time: {:.0f} s\n", settings.results.string(), settings.report.string(),
             seconds);
}

}  // namespace example
