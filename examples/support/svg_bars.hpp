#pragma once
/// A bar chart: groups of bars side by side, such as the accuracy of several methods per shift.
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"

#include "svg_axis.hpp"
#include "svg_canvas.hpp"

namespace example {

/// One bar per group. `errors` are half lengths of error bars, one per group, or empty for none.
struct BarSeries {
  std::string name = {};
  std::vector<double> values = {};
  std::vector<double> errors = {};
};

struct BarChart {
  ChartOptions options = {};
  std::string x_title = {};
  AxisOptions y = {};
  std::vector<std::string> groups = {};
  std::vector<BarSeries> series = {};
};

/// Breaks a text at spaces into lines of at most `width` pixels where its words allow that.
inline std::vector<std::string> wrapped(const std::string& text, double width, double size) {
  std::vector<std::string> lines(1);
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    const std::string longer = lines.back().empty() ? word : lines.back() + " " + word;
    if (lines.back().empty() || text_width(longer, size) <= width) {
      lines.back() = longer;
    } else {
      lines.push_back(word);
    }
    start = end + 1;
  }
  return lines;
}

/// Draws a bar chart. The y axis always contains zero, because a bar is read by its length.
/// Errors: no groups or series, a series whose length is not that of the groups, a number that is not finite, a
/// negative error.
inline std::string to_svg(const BarChart& chart) {
  const std::string where = "the bar chart '" + chart.options.title + "'";
  if (chart.groups.empty() || chart.series.empty()) {
    radapt::fail(
        {.what = where,
         .expected = "at least one group and one series",
         .got = std::to_string(chart.groups.size()) + " groups, " + std::to_string(chart.series.size()) + " series",
         .hint = "Add what was measured"});
  }
  double low = 0;
  double high = 0;
  std::vector<LegendEntry> legend;
  for (const BarSeries& series : chart.series) {
    const std::string which = where + ", series '" + series.name + "'";
    const bool errors_fit = series.errors.empty() || series.errors.size() == chart.groups.size();
    if (series.values.size() != chart.groups.size() || !errors_fit) {
      radapt::fail(
          {.what = which,
           .expected =
               "one value per group (" + std::to_string(chart.groups.size()) + "), and one error or none at all",
           .got = std::to_string(series.values.size()) + " values, " + std::to_string(series.errors.size()) + " errors",
           .hint = "Give the series in the order of the groups"});
    }
    for (std::size_t g = 0; g < series.values.size(); ++g) {
      const double error = series.errors.empty() ? 0 : finite(series.errors[g], which);
      if (error < 0) {
        radapt::fail({.what = which,
                      .expected = "errors of at least 0",
                      .got = short_decimal(error, 6),
                      .hint = "An error is a half length, not an end"});
      }
      low = std::min(low, finite(series.values[g], which) - error);
      high = std::max(high, series.values[g] + error);
    }
    legend.push_back({series.name, legend.size(), LegendEntry::Mark::box});
  }

  const double label_size = 11;
  const double group_width = (chart.options.width - 90) / static_cast<double>(chart.groups.size());
  double widest_word = 0;
  double widest = 0;
  std::size_t most_lines = 1;
  for (const std::string& group : chart.groups) {
    const std::vector<std::string> lines = wrapped(group, group_width - 4, label_size);
    for (const std::string& line : lines) { widest_word = std::max(widest_word, text_width(line, label_size)); }
    widest = std::max(widest, text_width(group, label_size));
    most_lines = std::max(most_lines, lines.size());
  }
  const bool slanted = widest_word > group_width - 4;
  // Slanted by 40 degrees: sin 40 = 0.643.
  const double labels_height = slanted ? 14 + widest * 0.643 : 8 + 13 * static_cast<double>(most_lines);

  ChartFrame frame(chart.options, legend, round_axis(low, high, chart.y), labels_height);
  frame.draw_y(chart.y.title);
  frame.draw_x_title(chart.x_title, labels_height);
  const double pitch = (frame.plot.right - frame.plot.left) / static_cast<double>(chart.groups.size());
  const double bar = pitch * 0.8 / static_cast<double>(chart.series.size());
  const double base = frame.y_of(0);
  for (std::size_t g = 0; g < chart.groups.size(); ++g) {
    const double left = frame.plot.left + pitch * static_cast<double>(g);
    const double middle = left + pitch / 2;
    if (slanted) {
      frame.canvas.text({middle + 4, frame.plot.bottom + 13}, chart.groups[g],
                        {.size = label_size, .anchor = "end", .angle = -40});
    } else {
      double y = frame.plot.bottom + 16;
      for (const std::string& line : wrapped(chart.groups[g], group_width - 4, label_size)) {
        frame.canvas.text({middle, y}, line, {.size = label_size, .anchor = "middle"});
        y += 13;
      }
    }
    for (std::size_t s = 0; s < chart.series.size(); ++s) {
      const BarSeries& series = chart.series[s];
      const double value = series.values[g];
      const double error = series.errors.empty() ? 0 : series.errors[g];
      const double x = left + pitch * 0.1 + bar * static_cast<double>(s);
      const double end = frame.y_of(value);
      const std::string text = frame.y_axis.label(value, 1);
      std::string note = chart.groups[g] + ", " + series.name + ": " + text;
      if (error > 0) { note += " \xC2\xB1 " + frame.y_axis.label(error, 1); }
      frame.canvas.box({x + bar * 0.04, std::min(base, end), x + bar * 0.96, std::max(base, end)}, series_colour(s),
                       note);
      if (error > 0) {
        frame.error_bar({x + bar / 2, frame.y_of(value - error)}, {x + bar / 2, frame.y_of(value + error)},
                        text_colour);
      }
      if (text_width(text, 10) <= bar * 1.05) {
        const double y = value < 0 ? frame.y_of(value - error) + 11 : frame.y_of(value + error) - 4;
        frame.canvas.text({x + bar / 2, y}, text, {.size = 10, .anchor = "middle"});
      }
    }
  }
  frame.draw_border();
  if (low < 0) { frame.canvas.line({frame.plot.left, base}, {frame.plot.right, base}, {.colour = text_colour}); }
  return frame.canvas.finish();
}

}  // namespace example
