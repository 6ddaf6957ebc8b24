#pragma once
/// Tables and figures of a study: on the terminal and as report.html.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "report.hpp"
#include "study.hpp"
#include "svg.hpp"

namespace example {

/// Mean and sample standard deviation.
struct Spread {
  double mean = 0, deviation = 0;
  static Spread of(const std::vector<double>& x) {
    Spread s;
    for (const double v : x) { s.mean += v / static_cast<double>(x.size()); }
    for (const double v : x) { s.deviation += (v - s.mean) * (v - s.mean); }
    s.deviation = x.size() < 2 ? 0 : std::sqrt(s.deviation / static_cast<double>(x.size() - 1));
    return s;
  }
};

/// The same methods under several seeds; runs[s][m] is method m under seed s.
struct StudyOutcome {
  std::vector<std::vector<MethodResult>> runs = {};
  std::vector<double> pretraining_losses = {};

  std::size_t methods() const { return runs.empty() ? 0 : runs[0].size(); }
  Spread id(std::size_t m) const {
    return spread(m, [](const MethodResult& r) { return r.accuracies.id; });
  }
  Spread ood(std::size_t m) const {
    return spread(m, [](const MethodResult& r) { return r.accuracies.ood(); });
  }
  Spread shift(std::size_t m, std::size_t s) const {
    return spread(m, [s](const MethodResult& r) { return r.accuracies.shifts[s]; });
  }

 private:
  template <class F>
  Spread spread(std::size_t m, F&& of) const {
    std::vector<double> values;
    for (const auto& run : runs) { values.push_back(of(run[m])); }
    return Spread::of(values);
  }
};

inline std::string with_spread(const Spread& s, bool several) {
  return several ? fmt::format("{:.1f} ± {:.1f}", s.mean, s.deviation) : fmt::format("{:.1f}", s.mean);
}

/// One row per method: accuracy in percent on the test set, on average over the shifts, and on every shift.
inline ReportTable accuracy_table(const StudyOutcome& outcome, const StudyData& data) {
  const bool several = outcome.runs.size() > 1;
  ReportTable table;
  table.caption = several
                      ? fmt::format("Top-1 accuracy in %, mean ± standard deviation over {} seeds", outcome.runs.size())
                      : "Top-1 accuracy in %";
  table.columns = {"method", "trained", data.test.name, "all shifts"};
  for (const ImageSet& shift : data.shifts) { table.columns.push_back(shift.name); }
  for (std::size_t m = 0; m < outcome.methods(); ++m) {
    const MethodResult& r = outcome.runs[0][m];
    std::vector<std::string> row{r.name, r.trained_parameters == 0 ? "0" : fmt::format("{}", r.trained_parameters),
                                 with_spread(outcome.id(m), several), with_spread(outcome.ood(m), several)};
    for (std::size_t s = 0; s < data.shifts.size(); ++s) { row.push_back(with_spread(outcome.shift(m, s), several)); }
    table.rows.push_back(row);
  }
  return table;
}

/// Prints a table with its columns under each other.
inline void print(const ReportTable& table) {
  std::vector<std::size_t> widths;
  const auto length = [](const std::string& text) {
    std::size_t n = 0;
    for (const char c : text) { n += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1U : 0U; }
    return n;
  };
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::size_t widest = length(table.columns[c]);
    for (const auto& row : table.rows) { widest = std::max(widest, length(row[c])); }
    widths.push_back(widest);
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string pad(widths[c] - length(cells[c]), ' ');
      text += c == 0 ? cells[c] + pad : "  " + pad + cells[c];
    }
    fmt::print("{}\n", text);
  };
  fmt::print("\n{}\n", table.caption);
  line(table.columns);
  for (const auto& row : table.rows) { line(row); }
}

/// Test accuracy against mean accuracy over shifts, with the alpha curves of the methods that have one.
inline std::string robustness_figure(const StudyOutcome& outcome, const std::string& test_name) {
  ScatterChart chart;
  chart.options.title = "Accuracy under shift against accuracy on the training distribution";
  chart.x = {.title = "accuracy on " + test_name, .unit = "%"};
  chart.y = {.title = "mean accuracy over shifts", .unit = "%"};
  for (std::size_t m = 0; m < outcome.methods(); ++m) {
    const Spread id = outcome.id(m), ood = outcome.ood(m);
    chart.points.push_back({outcome.runs[0][m].name, {id.mean, ood.mean}, id.deviation, ood.deviation});
    const auto& curve = outcome.runs[0][m].curve;
    if (curve.empty()) { continue; }
    ScatterCurve line{.name = outcome.runs[0][m].name + ", alpha 0 to 1"};
    for (std::size_t p = 0; p < curve.size(); ++p) {
      XY mean{0, 0};
      for (const auto& run : outcome.runs) {
        mean.x += run[m].curve[p].accuracies.id / static_cast<double>(outcome.runs.size());
        mean.y += run[m].curve[p].accuracies.ood() / static_cast<double>(outcome.runs.size());
      }
      line.points.push_back(mean);
    }
    chart.curves.push_back(line);
  }
  if (outcome.runs.size() > 1) {
    chart.options.note = fmt::format("Error bars: one standard deviation over {} seeds", outcome.runs.size());
  }
  return to_svg(chart);
}

/// Accuracy over alpha, on the training distribution and under shift.
inline std::string alpha_figure(const StudyOutcome& outcome) {
  LineChart chart;
  chart.options.title = "What alpha does";
  chart.x = {.title = "alpha: 0 is zero-shot, 1 is fully fine-tuned"};
  chart.y = {.title = "accuracy", .unit = "%"};
  for (std::size_t m = 0; m < outcome.methods(); ++m) {
    const MethodResult& r = outcome.runs[0][m];
    if (r.curve.empty()) { continue; }
    LineSeries id{.name = r.name + ", training distribution"}, ood{.name = r.name + ", shifts"};
    for (const CurvePoint& p : r.curve) {
      id.points.push_back({p.alpha, p.accuracies.id});
      ood.points.push_back({p.alpha, p.accuracies.ood()});
    }
    chart.series.push_back(id);
    chart.series.push_back(ood);
  }
  return to_svg(chart);
}

inline std::string shift_figure(const StudyOutcome& outcome, const StudyData& data) {
  BarChart chart;
  chart.options = {.title = "Accuracy by shift", .width = 860};
  chart.y = {.title = "accuracy", .unit = "%"};
  chart.groups.push_back(data.test.name);
  for (const ImageSet& shift : data.shifts) { chart.groups.push_back(shift.name); }
  for (std::size_t m = 0; m < outcome.methods(); ++m) {
    BarSeries series{.name = outcome.runs[0][m].name};
    const auto add = [&](const Spread& s) {
      series.values.push_back(s.mean);
      if (outcome.runs.size() > 1) { series.errors.push_back(s.deviation); }
    };
    add(outcome.id(m));
    for (std::size_t s = 0; s < data.shifts.size(); ++s) { add(outcome.shift(m, s)); }
    chart.series.push_back(series);
  }
  return to_svg(chart);
}

/// Losses, averaged over windows so that the lines can be read.
inline std::string loss_figure(const std::string& title, const std::vector<LineSeries>& raw) {
  LineChart chart;
  chart.options.title = title;
  chart.x = {.title = "step"};
  chart.y = {.title = "loss, mean over a window"};
  for (const LineSeries& series : raw) {
    const std::size_t window = std::max<std::size_t>(1, series.points.size() / 60);
    LineSeries smooth{.name = series.name};
    for (std::size_t i = 0; i < series.points.size(); i += window) {
      const std::size_t end = std::min(series.points.size(), i + window);
      XY mean{0, 0};
      for (std::size_t k = i; k < end; ++k) {
        mean.x += series.points[k].x / static_cast<double>(end - i);
        mean.y += series.points[k].y / static_cast<double>(end - i);
      }
      smooth.points.push_back(mean);
    }
    chart.series.push_back(smooth);
  }
  return to_svg(chart);
}
inline LineSeries loss_series(const std::string& name, const std::vector<double>& losses) {
  LineSeries s{.name = name};
  for (std::size_t i = 0; i < losses.size(); ++i) { s.points.push_back({static_cast<double>(i), losses[i]}); }
  return s;
}

/// The parts that every study's report has; `pictures` holds the first pictures of each shift, in order.
inline void write_study(Report& report, const StudyOutcome& outcome, const StudyData& data,
                        const std::vector<Picture>& pictures) {
  report.heading("Results");
  report.table(accuracy_table(outcome, data));
  report.figure(robustness_figure(outcome, data.test.name),
                "Up is more robust, right is better on the training distribution. Curves run over alpha.");
  report.figure(shift_figure(outcome, data), "The same numbers, shift by shift.");
  const bool has_curves = std::any_of(outcome.runs[0].begin(), outcome.runs[0].end(),
                                      [](const MethodResult& r) { return !r.curve.empty(); });
  if (has_curves) { report.figure(alpha_figure(outcome), "Accuracy over alpha, first seed."); }
  std::vector<LineSeries> losses;
  for (const MethodResult& r : outcome.runs[0]) {
    if (!r.losses.empty()) { losses.push_back(loss_series(r.name, r.losses)); }
  }
  if (!losses.empty()) {  // a run that found all its results done has none
    report.figure(loss_figure("Fine-tuning losses", losses),
                  "The losses are different functions: compare shapes only.");
  }
  if (!outcome.pretraining_losses.empty()) {
    report.figure(loss_figure("Pre-training loss", {loss_series("contrastive", outcome.pretraining_losses)}),
                  "Contrastive loss of the small CLIP that all methods start from.");
  }
  report.heading("Samples");
  std::vector<Tile> tiles;
  std::size_t at = 0;
  for (const ImageSet& shift : data.shifts) {
    for (std::size_t i = 0; i < 3 && i < shift.size() && at < pictures.size(); ++i, ++at) {
      const auto truth = shift.labels[i];
      Tile tile{.picture = pictures[at],
                .title = shift.name + ": " + data.class_names[static_cast<std::size_t>(truth)]};
      for (const MethodResult& r : outcome.runs[0]) {
        const auto answer = r.sample_predictions[at];
        tile.verdicts.push_back({r.name, data.class_names[static_cast<std::size_t>(answer)], answer == truth});
      }
      tiles.push_back(tile);
    }
  }
  report.tiles(tiles, "The first pictures of every shift, and what each method says.");
}

}  // namespace example
