#pragma once
/// A line chart: several series over one axis, such as losses over steps.
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"

#include "svg_axis.hpp"
#include "svg_canvas.hpp"

namespace example {

/// A named line through points, drawn in the order given.
struct LineSeries {
  std::string name = {};
  std::vector<XY> points = {};
  std::vector<double> errors = {};  ///< half the length of a bar at every point, such as a standard deviation; or none
};

struct LineChart {
  ChartOptions options = {};
  AxisOptions x = {};
  AxisOptions y = {};
  std::vector<LineSeries> series = {};
};

/// Draws a line chart. Errors: no series, a series without points, a number that is not finite, errors that are
/// negative or not one for each point.
inline std::string to_svg(const LineChart& chart) {
  const std::string where = "the line chart '" + chart.options.title + "'";
  if (chart.series.empty()) {
    radapt::fail({.what = where, .expected = "at least one series", .got = "none", .hint = "Add what was measured"});
  }
  std::vector<LegendEntry> legend;
  XY low, high;
  bool first = true;
  for (const LineSeries& series : chart.series) {
    const std::string which = where + ", series '" + series.name + "'";
    if (series.points.empty()) {
      radapt::fail(
          {.what = which, .expected = "at least one point", .got = "none", .hint = "Leave an empty series out"});
    }
    const bool has_errors = !series.errors.empty();
    if (has_errors && series.errors.size() != series.points.size()) {
      radapt::fail({.what = which,
                    .expected = std::to_string(series.points.size()) + " errors, one for each point, or none",
                    .got = std::to_string(series.errors.size()),
                    .hint = "Use 0 where nothing is known of a point's error"});
    }
    for (std::size_t i = 0; i < series.points.size(); ++i) {
      const double error = has_errors ? finite(series.errors[i], which) : 0;
      if (error < 0) {
        radapt::fail({.what = which,
                      .expected = "errors of at least 0",
                      .got = short_decimal(error, 6),
                      .hint = "An error is a half length, not an end"});
      }
      const XY at{finite(series.points[i].x, which), finite(series.points[i].y, which)};
      low = first ? XY{at.x, at.y - error} : XY{std::min(low.x, at.x), std::min(low.y, at.y - error)};
      high = first ? XY{at.x, at.y + error} : XY{std::max(high.x, at.x), std::max(high.y, at.y + error)};
      first = false;
    }
    legend.push_back({series.name, legend.size(), LegendEntry::Mark::line});
  }
  const Axis x_axis = round_axis(low.x, high.x, chart.x);
  ChartFrame frame(chart.options, legend, round_axis(low.y, high.y, chart.y), 20);
  frame.draw_y(chart.y.title);
  frame.draw_x(x_axis, chart.x.title);
  frame.draw_border();
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const LineSeries& series = chart.series[i];
    std::vector<XY> places;
    for (const XY& point : series.points) { places.push_back({frame.x_of(x_axis, point.x), frame.y_of(point.y)}); }
    frame.canvas.polyline(places, {.colour = series_colour(i), .width = 1.8, .dash = series_dash(i)});
    for (std::size_t k = 0; k < series.errors.size(); ++k) {
      const double y = series.points[k].y, error = series.errors[k];
      frame.error_bar({places[k].x, frame.y_of(y - error)}, {places[k].x, frame.y_of(y + error)}, series_colour(i));
    }
    if (places.size() > 24) { continue; }  // markers would hide the line
    for (std::size_t k = 0; k < places.size(); ++k) {
      const std::string note =
          series.name + ": " + x_axis.label(series.points[k].x) + ", " + frame.y_axis.label(series.points[k].y, 2);
      frame.canvas.marker(places[k], i, note, 0.7);
    }
  }
  return frame.canvas.finish();
}

}  // namespace example
