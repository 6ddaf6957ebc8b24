#pragma once
/// What the retrieval program is told, and how it tells what it found: tables, charts, the report.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "domains.hpp"
#include "fine_tune_report.hpp"
#include "retrieval_study.hpp"

namespace example {

/// The options of retrieval.
struct RetrievalSettings {
  CaptionFile captions = {};
  std::size_t captions_per_image = 5;
  std::filesystem::path from = {}, save = {}, report = "report.html", log = "retrieval.jsonl", figure = {};
  std::string vocabulary = {}, command = {};
  std::uint64_t pretrain_steps = 1000;
  double pretrain_lr = 1e-3, pretrain_crop = 0.6;
  bool flyp = true;
  RetrievalOptions study = {};
  std::filesystem::path checkpoints = {};  ///< where runs are kept while they go on; empty: nowhere
  std::uint64_t checkpoint_every = 100;    ///< steps from one to the next
};

/// What a run was.
struct RetrievalFacts {
  std::size_t parameters = 0, pretraining = 0, train = 0, validation = 0, test = 0, test_captions = 0, skipped = 0,
              overlapping = 0;
  Index image = 0;
  double pretraining_seconds = 0, seconds = 0;
  std::vector<double> pretraining_losses = {};
};

/// Said on the terminal and in the report, since figures of a data set that overlaps cannot be compared.
inline std::string overlap_sentence(std::size_t images) {
  return fmt::format(
      "{} images are listed in more than one part. They count once, for testing first, and were left out of the "
      "others.",
      images);
}

inline ReportTable recall_table(const std::vector<RetrievalMethod>& methods) {
  ReportTable table;
  table.caption = "Recall in % and median rank on the test set";
  table.columns = {"method", "trained"};
  for (const char* direction : {"image to text", "text to image"}) {
    for (const char* column : {"R@1", "R@5", "R@10", "median"}) {
      table.columns.push_back(std::string(direction) + " " + column);
    }
  }
  for (const RetrievalMethod& m : methods) {
    std::vector<std::string> row{m.name, fmt::format("{}", m.trained_parameters)};
    for (const radapt::task::RetrievalResult* r : {&m.test.image_to_text, &m.test.text_to_image}) {
      for (const Index k : {Index{1}, Index{5}, Index{10}}) {
        row.push_back(fmt::format("{:.1f}", 100 * r->recall(k)));
      }
      row.push_back(fmt::format("{:.0f}", r->median_rank()));
    }
    table.rows.push_back(row);
  }
  return table;
}

inline ReportTable recall_choice_table(const std::vector<RetrievalMethod>& methods) {
  ReportTable table;
  table.caption = "Chosen on the validation images: the best mean of R@1, R@5 and R@10 in both directions";
  table.columns = {"method", "learning rate",    "mean recall in % by rate",
                   "alpha",  "mean recall in %", "seconds to train"};
  for (const RetrievalMethod& m : methods) {
    std::string tried;
    for (const TriedRate& t : m.tried) {
      tried += fmt::format("{}{:g}: {:.1f}", tried.empty() ? "" : ", ", t.lr, 100 * t.validation);
    }
    const bool trains = m.trained_parameters > 0;
    table.rows.push_back({m.name, trains ? fmt::format("{:g}", m.lr) : "", tried,
                          m.curve.empty() ? "" : fmt::format("{:g}", m.alpha),
                          fmt::format("{:.1f}", 100 * m.validation), trains ? fmt::format("{:.1f}", m.seconds) : ""});
  }
  return table;
}

inline std::string recall_figure(const std::vector<RetrievalMethod>& methods) {
  BarChart chart;
  chart.options.title = "Recall on the test set";
  chart.y = {.title = "recall", .unit = "%"};
  chart.groups = {"image to text R@1", "image to text R@5", "image to text R@10",
                  "text to image R@1", "text to image R@5", "text to image R@10"};
  for (const RetrievalMethod& m : methods) {
    BarSeries series{.name = m.name};
    for (const radapt::task::RetrievalResult* r : {&m.test.image_to_text, &m.test.text_to_image}) {
      for (const Index k : {Index{1}, Index{5}, Index{10}}) { series.values.push_back(100 * r->recall(k)); }
    }
    chart.series.push_back(series);
  }
  return to_svg(chart);
}

inline std::string recall_alpha_figure(const RetrievalMethod& method) {
  LineChart chart;
  chart.options.title = "What alpha does to R-Adapter";
  chart.x = {.title = "alpha: 0 is zero-shot, 1 all that was trained"};
  chart.y = {.title = "mean recall", .unit = "%"};
  LineSeries validation{.name = "validation"}, test{.name = "test"};
  for (const RetrievalPoint& p : method.curve) {
    validation.points.push_back({p.alpha, 100 * p.validation});
    test.points.push_back({p.alpha, 100 * mean_recall(p.test)});
  }
  chart.series = {validation, test};
  return to_svg(chart);
}

inline nlohmann::ordered_json recall_record(const RetrievalMethod& m) {
  nlohmann::ordered_json record{{"result", m.name}, {"lr", m.lr}, {"alpha", m.alpha}, {"validation", m.validation}};
  const auto add = [&record](const char* direction, const radapt::task::RetrievalResult& r) {
    record[direction] = {{"r1", r.recall(1)}, {"r5", r.recall(5)}, {"r10", r.recall(10)}, {"median", r.median_rank()}};
  };
  add("image_to_text", m.test.image_to_text);
  add("text_to_image", m.test.text_to_image);
  return record;
}

/// The first test images with what each method finds for them, and the first captions, hits marked. Methods have the
/// samples of one test set.
inline void write_retrieval_samples(Report& report, const std::vector<RetrievalMethod>& methods,
                                    const CaptionedSet& test) {
  const radapt::CaptionList list = test.list();
  report.heading("Captions for images");
  std::vector<Tile> tiles;
  for (std::size_t i = 0; i < methods[0].samples.captions_of_image.size(); ++i) {
    Tile tile{.picture = picture_of(test.images[i]), .title = test.captions[i][0]};
    for (const RetrievalMethod& m : methods) {
      const std::size_t found = m.samples.captions_of_image[i][0];
      tile.verdicts.push_back({m.name, list.captions[found], static_cast<std::size_t>(list.image_of_text[found]) == i});
    }
    tiles.push_back(tile);
  }
  report.tiles(tiles,
               "The first test images with one of their captions, and the caption that each method ranks first.");
  report.heading("Images for captions");
  for (std::size_t i = 0; i < methods[0].samples.images_of_caption.size(); ++i) {
    tiles.clear();
    for (const RetrievalMethod& m : methods) {
      for (std::size_t rank = 0; rank < m.samples.images_of_caption[i].size(); ++rank) {
        const std::size_t found = m.samples.images_of_caption[i][rank];
        tiles.push_back({.picture = picture_of(test.images[found]),
                         .title = fmt::format("{}, rank {}", m.name, rank + 1),
                         .verdicts = {{"", found == i ? "its image" : "another image", found == i}}});
      }
    }
    report.tiles(tiles, test.captions[i][0]);
  }
}

/// Writes report.html, and the chart of recalls as a file of its own if asked for.
inline void write_retrieval_report(const RetrievalSettings& settings, const RetrievalFacts& facts,
                                   const std::vector<RetrievalMethod>& methods, const CaptionedSet& test) {
  Report report("radapt retrieval: images and captions that find each other", encode_png);
  report.paragraph(fmt::format(
      "A CLIP with {} parameters and {} x {} pixel images {} It was then fine-tuned on {} images with their captions; "
      "{} "
      "others were for choosing rates and alpha, and {} with {} captions for testing, from which training saw nothing.",
      facts.parameters, facts.image, facts.image,
      settings.from.empty()
          ? fmt::format("was pre-trained for {} steps of {} pairs on {} images of the training split.",
                        settings.pretrain_steps, settings.study.drawing.batch, facts.pretraining)
          : fmt::format("was loaded from {}.", settings.from.string()),
      facts.train, facts.validation, facts.test, facts.test_captions));
  report.code(settings.command);
  if (facts.skipped > 0) {
    report.paragraph(fmt::format("{} images could not be read and were left out.", facts.skipped));
  }
  if (facts.overlapping > 0) { report.paragraph(overlap_sentence(facts.overlapping)); }
  report.heading("Results");
  report.table(recall_table(methods));
  report.paragraph(fmt::format("An answer at random has a R@1 of {:.2f} % in either direction.",
                               100.0 / static_cast<double>(facts.test)));
  report.figure(recall_figure(methods), "Share of the queries with a true match among the first 1, 5 and 10.");
  report.table(recall_choice_table(methods));
  for (const RetrievalMethod& m : methods) {
    if (!m.curve.empty()) { report.figure(recall_alpha_figure(m), "Chosen on validation, shown on both."); }
  }
  std::vector<LineSeries> losses;
  for (const RetrievalMethod& m : methods) {
    if (!m.losses.empty()) { losses.push_back(loss_series(m.name, m.losses)); }
  }
  report.figure(loss_figure("Fine-tuning losses", losses), "The losses are different functions: compare shapes only.");
  if (!facts.pretraining_losses.empty()) {
    report.figure(loss_figure("Pre-training loss", {loss_series("contrastive", facts.pretraining_losses)}),
                  "Contrastive loss of the small CLIP that all methods start from.");
  }

  write_retrieval_samples(report, methods, test);
  report.paragraph(
      fmt::format("{:.0f} seconds in all, {:.0f} of them pre-training.", facts.seconds, facts.pretraining_seconds));
  report.write(settings.report);
  if (!settings.figure.empty()) { radapt::write_text_atomically(settings.figure, recall_figure(methods)); }
}

}  // namespace example
