#pragma once
/// A scatter chart: labelled points with error bars, and curves through points with marked ends.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"

#include "svg_axis.hpp"
#include "svg_canvas.hpp"

namespace example {

/// One labelled point. Errors are half lengths of the error bars; 0 draws none.
struct ScatterPoint {
  std::string label = {};
  XY at = {};
  double x_error = 0;
  double y_error = 0;
};

/// A line through points in order, such as accuracies over alpha.
struct ScatterCurve {
  std::string name = {};  ///< for the legend
  std::vector<XY> points = {};
  std::string first_label = {};  ///< at the first point, such as "alpha = 0"
  std::string last_label = {};   ///< at the last point
};

struct ScatterChart {
  ChartOptions options = {};
  AxisOptions x = {};
  AxisOptions y = {};
  std::vector<ScatterPoint> points = {};
  std::vector<ScatterCurve> curves = {};
};

/// Puts labels beside the points of a chart where they hide nothing, nearest place first.
class LabelPlacer {
 public:
  explicit LabelPlacer(const Area& plot) : plot_(plot) {}

  void keep_clear(const Area& area) { taken_.push_back(area); }
  /// Keeps clear of a straight line, in steps of a few pixels.
  void keep_clear(XY from, XY to) {
    for (const XY& at : steps(from, to)) { keep_clear({at.x - 1.5, at.y - 1.5, at.x + 1.5, at.y + 1.5}); }
  }

  /// The place of the label of a point, `width` x `height` pixels. It is kept clear from then on.
  Area place(XY point, double width, double height) {
    Area best;
    double least = -1;
    for (const double away : {9.0, 16.0, 28.0, 44.0, 64.0}) {
      for (const auto& [right, down] : sides) {
        const double x = point.x + right * (width / 2 + (down == 0 ? away : 0));
        const double y = point.y + down * (away + height / 2);
        const Area area{x - width / 2, y - height / 2, x + width / 2, y + height / 2};
        // Distance costs a little, hiding something much more, leaving the plot most.
        double cost = away + 20 * (width * height - area.overlap(plot_));
        for (const Area& other : taken_) { cost += 10 * area.overlap(other); }
        for (const XY& at : steps(point, nearest(area, point))) {
          const Area dot{at.x - 1, at.y - 1, at.x + 1, at.y + 1};
          for (const Area& label : labels_) { cost += 10 * dot.overlap(label); }
        }
        if (least < 0 || cost < least) {
          best = area;
          least = cost;
        }
      }
    }
    keep_clear(best);
    labels_.push_back(best);
    return best;
  }

  /// The point of an area that is nearest to a point.
  static XY nearest(const Area& area, XY point) {
    return {std::clamp(point.x, area.left, area.right), std::clamp(point.y, area.top, area.bottom)};
  }

 private:
  static std::vector<XY> steps(XY from, XY to) {
    const int count = 1 + static_cast<int>(std::hypot(to.x - from.x, to.y - from.y) / 4);
    std::vector<XY> all;
    for (int i = 0; i <= count; ++i) {
      all.push_back({from.x + (to.x - from.x) * i / count, from.y + (to.y - from.y) * i / count});
    }
    return all;
  }

  // Beside the point, above and below it, and above and below with either end or a quarter of the label at the point.
  static constexpr std::array<std::pair<double, double>, 12> sides{{{1, 0},
                                                                    {-1, 0},
                                                                    {0, -1},
                                                                    {0, 1},
                                                                    {0.5, -1},
                                                                    {0.5, 1},
                                                                    {-0.5, -1},
                                                                    {-0.5, 1},
                                                                    {1, -1},
                                                                    {1, 1},
                                                                    {-1, -1},
                                                                    {-1, 1}}};
  Area plot_;
  std::vector<Area> taken_;
  std::vector<Area> labels_;
};

/// Draws a scatter chart. The axes need not start at zero: a scatter compares places, not lengths.
/// Errors: no points and no curves, an empty curve, a number that is not finite, a negative error.
inline std::string to_svg(const ScatterChart& chart) {
  const std::string where = "the scatter chart '" + chart.options.title + "'";
  if (chart.points.empty() && chart.curves.empty()) {
    radapt::fail(
        {.what = where, .expected = "at least one point or curve", .got = "none", .hint = "Add what was measured"});
  }
  std::vector<XY> all;
  for (const ScatterPoint& point : chart.points) {
    const std::string which = where + ", point '" + point.label + "'";
    if (finite(point.x_error, which) < 0 || finite(point.y_error, which) < 0) {
      radapt::fail({.what = which,
                    .expected = "errors of at least 0",
                    .got = short_decimal(std::min(point.x_error, point.y_error), 6),
                    .hint = "An error is a half length, not an end"});
    }
    all.push_back({finite(point.at.x, which) - point.x_error, finite(point.at.y, which) - point.y_error});
    all.push_back({point.at.x + point.x_error, point.at.y + point.y_error});
  }
  for (const ScatterCurve& curve : chart.curves) {
    const std::string which = where + ", curve '" + curve.name + "'";
    if (curve.points.empty()) {
      radapt::fail(
          {.what = which, .expected = "at least one point", .got = "none", .hint = "Leave an empty curve out"});
    }
    for (const XY& point : curve.points) { all.push_back({finite(point.x, which), finite(point.y, which)}); }
  }
  XY low = all.front();
  XY high = all.front();
  for (const XY& point : all) {
    low = {std::min(low.x, point.x), std::min(low.y, point.y)};
    high = {std::max(high.x, point.x), std::max(high.y, point.y)};
  }
  const Axis x_axis = round_axis(low.x, high.x, chart.x);
  std::vector<LegendEntry> legend;
  for (std::size_t i = 0; i < chart.curves.size(); ++i) {
    // Curves take the colours after those of the points, so that no two things look alike.
    if (!chart.curves[i].name.empty()) {
      legend.push_back({chart.curves[i].name, chart.points.size() + i, LegendEntry::Mark::line});
    }
  }
  ChartFrame frame(chart.options, legend, round_axis(low.y, high.y, chart.y), 20);
  frame.draw_y(chart.y.title);
  frame.draw_x(x_axis, chart.x.title);
  frame.draw_border();

  const auto on_sheet = [&](XY point) { return XY{frame.x_of(x_axis, point.x), frame.y_of(point.y)}; };
  const auto described = [&](const std::string& label, XY at) {
    return label + ": " + x_axis.label(at.x, 1) + ", " + frame.y_axis.label(at.y, 1);
  };
  LabelPlacer placer({frame.plot.left + 2, frame.plot.top, frame.plot.right, frame.plot.bottom - 2});
  struct Label {
    std::string text;
    XY at;
  };
  std::vector<Label> labels;
  const auto keep_clear_of_marker = [&](XY at, const std::string& text) {
    placer.keep_clear({at.x - 6, at.y - 6, at.x + 6, at.y + 6});
    if (!text.empty()) { labels.push_back({text, at}); }
  };

  for (std::size_t i = 0; i < chart.curves.size(); ++i) {
    const ScatterCurve& curve = chart.curves[i];
    const std::size_t series = chart.points.size() + i;
    std::vector<XY> places;
    for (const XY& point : curve.points) { places.push_back(on_sheet(point)); }
    frame.canvas.polyline(places, {.colour = series_colour(series), .width = 1.8, .dash = series_dash(series)});
    for (std::size_t k = 0; k < places.size(); ++k) {
      if (k > 0) { placer.keep_clear(places[k - 1], places[k]); }
      const bool end = k == 0 || k + 1 == places.size();
      frame.canvas.marker(places[k], series, described(curve.name, curve.points[k]), end ? 0.9 : 0.5);
    }
    keep_clear_of_marker(places.front(), curve.first_label);
    if (places.size() > 1) { keep_clear_of_marker(places.back(), curve.last_label); }
  }
  for (std::size_t i = 0; i < chart.points.size(); ++i) {
    const ScatterPoint& point = chart.points[i];
    const XY at = on_sheet(point.at);
    const auto bar = [&](XY half) {
      const XY from = on_sheet({point.at.x - half.x, point.at.y - half.y});
      const XY to = on_sheet({point.at.x + half.x, point.at.y + half.y});
      frame.error_bar(from, to, series_colour(i));
      placer.keep_clear(from, to);
    };
    if (point.x_error > 0) { bar({point.x_error, 0}); }
    if (point.y_error > 0) { bar({0, point.y_error}); }
    frame.canvas.marker(at, i, described(point.label, point.at));
    keep_clear_of_marker(at, point.label);
  }
  for (const Label& label : labels) {
    const Area area = placer.place(label.at, text_width(label.text, 12), 14);
    const XY nearest = LabelPlacer::nearest(area, label.at);
    if (std::hypot(nearest.x - label.at.x, nearest.y - label.at.y) > 20) {
      frame.canvas.line(label.at, nearest, {.colour = quiet_colour, .width = 0.7});
    }
    frame.canvas.text({(area.left + area.right) / 2, area.bottom - 3}, label.text, {.anchor = "middle"});
  }
  return frame.canvas.finish();
}

}  // namespace example
