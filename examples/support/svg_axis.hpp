#pragma once
/// Axes with round ticks, and the frame that every chart stands in: title, legend, grid, axis titles, note.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"

#include "markup.hpp"
#include "svg_canvas.hpp"

namespace example {

/// What a user says about an axis.
struct AxisOptions {
  std::string title = {};
  std::string unit = {};            ///< put after every tick, such as "%"
  std::optional<double> low = {};   ///< where the axis starts at the latest; empty: just below the data
  std::optional<double> high = {};  ///< where it ends at the earliest; empty: just above the data
  bool doubling = false;            ///< every power of two is a tick, all as far apart; for numbers above 0
};

/// A range of numbers with evenly spaced round ticks; its two ends are ticks.
struct Axis {
  double low = 0;
  double high = 1;
  double step = 1;
  int decimals = 0;  ///< digits that ticks need
  std::string unit;
  bool doubling = false;  ///< low, high and step are of the logarithm to base 2

  /// Where a value lies between the ends: 0 at the lower, 1 at the upper.
  double share(double value) const { return ((doubling ? std::log2(value) : value) - low) / (high - low); }
  std::vector<double> ticks() const {
    std::vector<double> all;
    const auto count = static_cast<std::size_t>(std::lround((high - low) / step));
    for (std::size_t i = 0; i <= count; ++i) {
      const double at = low + static_cast<double>(i) * step;
      all.push_back(doubling ? std::exp2(at) : at);
    }
    return all;
  }
  std::string label(double value, int more_decimals = 0) const {
    return decimal(value, decimals + more_decimals) + (unit.empty() || unit == "%" ? "" : " ") + unit;
  }
};

/// The axis from the power of two at or below `low` to that at or above `high`. Error: an end that is not above 0.
inline Axis doubling_axis(double low, double high, const AxisOptions& options) {
  if (!(low > 0)) {
    radapt::fail({.what = "the axis '" + options.title + "', whose ticks are powers of two",
                  .expected = "numbers above 0",
                  .got = short_decimal(low, 6),
                  .hint = "Leave zeros out, or use a plain axis"});
  }
  Axis axis{.low = std::floor(std::log2(low)), .high = std::ceil(std::log2(high)), .unit = options.unit};
  axis.high = std::max(axis.high, axis.low + 1);
  // A tick of 1/2^n has n digits behind the point.
  axis.decimals = static_cast<int>(std::max(0.0, -axis.low));
  axis.doubling = true;
  return axis;
}

/// The axis for data in [low, high]: about `wanted` steps of 1, 2, 2.5 or 5 times a power of ten, or one from power of
/// two to power of two where that is asked for.
/// Errors: an end that is not finite, low > high, or a range too small for its numbers to differ.
inline Axis round_axis(double low, double high, const AxisOptions& options = {}, int wanted = 6) {
  const std::string where = "the axis '" + options.title + "'";
  low = std::min(finite(low, where), finite(options.low.value_or(low), where));
  high = std::max(finite(high, where), finite(options.high.value_or(high), where));
  if (options.doubling) { return doubling_axis(low, high, options); }
  if (low == high) {
    const double room = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= room;
    high += room;
  }
  const double width = high - low;
  const double magnitude = std::max(std::abs(low), std::abs(high));
  if (!(width > magnitude * 1e-9) || !std::isfinite(width) || width < 1e-12) {
    radapt::fail({.what = where,
                  .expected = "numbers that differ by more than a billionth of their size",
                  .got = short_decimal(low, 17) + " to " + short_decimal(high, 17),
                  .hint = "Subtract what the numbers have in common before drawing them"});
  }
  const double rough = width / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  Axis axis;
  axis.step = 10 * power;
  for (const double factor : {5.0, 2.5, 2.0, 1.0}) {
    // A step of 2.4 still counts as 2.5, so that the count of ticks stays near what was wanted.
    if (rough <= factor * power * 1.001) { axis.step = factor * power; }
  }
  // Ends that already are a tick stay where they are: a billionth of a step covers the rounding of the division.
  axis.low = std::floor(low / axis.step + 1e-9) * axis.step;
  axis.high = std::ceil(high / axis.step - 1e-9) * axis.step;
  axis.unit = options.unit;
  while (axis.decimals < 12) {
    const double shifted = axis.step * std::pow(10, axis.decimals);
    if (std::abs(shifted - std::round(shifted)) < 1e-6 * shifted) { break; }
    ++axis.decimals;
  }
  return axis;
}

/// One line of a legend.
struct LegendEntry {
  std::string name;
  std::size_t series = 0;
  enum class Mark { point, line, box } mark = Mark::point;
};

/// What all charts have.
struct ChartOptions {
  std::string title = {};
  std::string note = {};  ///< small print below, such as what the error bars mean
  double width = 640;
  double height = 420;
};

/// The sheet of a chart, with everything drawn that lies round the data.
class ChartFrame {
 public:
  /// `bottom_room` is the height between the plot and the title of the x axis.
  ChartFrame(const ChartOptions& options, const std::vector<LegendEntry>& legend, Axis y, double bottom_room)
      : canvas(checked(options.width, "width"), checked(options.height, "height"), options.title),
        y_axis(std::move(y)) {
    double tick_width = 0;
    for (const double tick : y_axis.ticks()) { tick_width = std::max(tick_width, text_width(y_axis.label(tick), 11)); }
    plot = {tick_width + 36, 18, options.width - 24, options.height - bottom_room - 28};
    if (!options.title.empty()) {
      canvas.text({options.width / 2, 24}, options.title, {.size = 15, .anchor = "middle", .bold = true});
      plot.top = 40;
    }
    draw_legend(legend, options.width);
    if (!options.note.empty()) {
      canvas.text({options.width - 24, options.height - 8}, options.note,
                  {.size = 10.5, .anchor = "end", .colour = quiet_colour});
      plot.bottom -= 18;
    }
    if (plot.bottom - plot.top < 40 || plot.right - plot.left < 40) {
      radapt::fail({.what = "drawing the chart '" + options.title + "'",
                    .expected = "room of 40 x 40 pixels for the data",
                    .got = decimal(plot.right - plot.left, 0) + " x " + decimal(plot.bottom - plot.top, 0),
                    .hint = "Make the chart larger, or its legend shorter"});
    }
  }

  double y_of(double value) const { return plot.bottom - y_axis.share(value) * (plot.bottom - plot.top); }
  double x_of(const Axis& axis, double value) const { return plot.left + axis.share(value) * (plot.right - plot.left); }

  /// The horizontal grid, the ticks of y and its title.
  void draw_y(const std::string& title) {
    for (const double tick : y_axis.ticks()) {
      canvas.line({plot.left, y_of(tick)}, {plot.right, y_of(tick)}, {.colour = grid_colour});
      canvas.text({plot.left - 7, y_of(tick) + 4}, y_axis.label(tick), {.size = 11, .anchor = "end"});
    }
    canvas.text({16, (plot.top + plot.bottom) / 2}, title, {.size = 12.5, .anchor = "middle", .angle = -90});
  }
  /// The vertical grid, the ticks of x and its title.
  void draw_x(const Axis& axis, const std::string& title) {
    for (const double tick : axis.ticks()) {
      canvas.line({x_of(axis, tick), plot.top}, {x_of(axis, tick), plot.bottom}, {.colour = grid_colour});
      canvas.text({x_of(axis, tick), plot.bottom + 17}, axis.label(tick), {.size = 11, .anchor = "middle"});
    }
    draw_x_title(title, 20);
  }
  void draw_x_title(const std::string& title, double labels_height) {
    canvas.text({(plot.left + plot.right) / 2, plot.bottom + labels_height + 18}, title,
                {.size = 12.5, .anchor = "middle"});
  }
  /// The two axis lines, over the grid.
  void draw_border() {
    canvas.line({plot.left, plot.top}, {plot.left, plot.bottom}, {.colour = quiet_colour});
    canvas.line({plot.left, plot.bottom}, {plot.right, plot.bottom}, {.colour = quiet_colour});
  }
  void error_bar(XY from, XY to, std::string_view colour) {
    const LineLook look{.colour = colour, .width = 1.3};
    const double across = from.x == to.x ? 1 : 0;
    canvas.line(from, to, look);
    for (const XY end : {from, to}) {
      canvas.line({end.x - 3 * across, end.y - 3 * (1 - across)}, {end.x + 3 * across, end.y + 3 * (1 - across)}, look);
    }
  }

  SvgCanvas canvas;
  Axis y_axis;
  Area plot;  ///< where the data goes

 private:
  static double checked(double side, const char* which) {
    if (!(side >= 100 && side <= 10000)) {
      radapt::fail({.what = std::string("the ") + which + " of a chart",
                    .expected = "100 .. 10000 pixels",
                    .got = std::isfinite(side) ? short_decimal(side, 3) : "no finite number",
                    .hint = "The usual size is 640 x 420"});
    }
    return side;
  }
  /// Above the plot, so that it can never hide data; as many rows as it takes.
  void draw_legend(const std::vector<LegendEntry>& legend, double width) {
    double x = plot.left;
    double y = plot.top + 6;
    for (const LegendEntry& entry : legend) {
      const double wide = 30 + text_width(entry.name, 12);
      if (x > plot.left && x + wide > width - 24) {
        x = plot.left;
        y += 19;
      }
      if (entry.mark == LegendEntry::Mark::line) {
        canvas.line({x, y}, {x + 22, y},
                    {.colour = series_colour(entry.series), .width = 2, .dash = series_dash(entry.series)});
      } else if (entry.mark == LegendEntry::Mark::box) {
        canvas.box({x + 6, y - 6, x + 18, y + 6}, series_colour(entry.series), entry.name);
      } else {
        canvas.marker({x + 12, y}, entry.series, entry.name);
      }
      canvas.text({x + 27, y + 4}, entry.name);
      x += wide + 14;
    }
    if (!legend.empty()) { plot.top = y + 20; }
  }
};

}  // namespace example
