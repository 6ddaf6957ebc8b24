#pragma once
/// A class for every pixel, and drawing polygons into it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/polygon_file.hpp"

namespace radapt::task {

/// One label for each pixel, row by row from the top.
struct LabelMap {
  Index width = 0, height = 0;
  std::vector<std::int32_t> labels;  ///< (height, width)

  LabelMap() = default;
  /// Errors: a side of 0 or more than 32768 pixels.
  LabelMap(Index w, Index h, std::int32_t label) : width(w), height(h) {
    if (w == 0 || h == 0 || w > 32768 || h > 32768) {
      fail({.what = "LabelMap",
            .expected = "sides of 1 to 32768 pixels",
            .got = std::to_string(w) + " x " + std::to_string(h),
            .hint = {}});
    }
    labels.assign(w * h, label);
  }
  std::int32_t& at(Index x, Index y) { return labels[y * width + x]; }
  std::int32_t at(Index x, Index y) const { return labels[y * width + x]; }
};

/// Gives `label` to every pixel whose centre lies inside the polygon; `points` are in pixels of the map, pixel (x, y)
/// reaches from (x, y) to (x + 1, y + 1) and its centre is (x + 1/2, y + 1/2). Inside means that a ray to the left
/// crosses the outline an odd number of times; a centre on the outline belongs to the side to its right, or below where
/// the outline is level. So two polygons that share an edge never both have a pixel, nor leave one between them, and
/// the result does not depend on the direction or the first point of the outline. Parts outside the map are cut off.
/// Errors: fewer than three points, a coordinate that is not finite.
inline void fill_polygon(LabelMap& map, std::span<const Point> points, std::int32_t label) {
  const bool finite = std::all_of(points.begin(), points.end(),
                                  [](const Point& p) { return std::isfinite(p.x) && std::isfinite(p.y); });
  if (points.size() < 3 || !finite) {
    fail({.what = "fill_polygon",
          .expected = "at least three points with finite coordinates",
          .got = std::to_string(points.size()) + " points",
          .hint = {}});
  }
  std::vector<double> crossings;
  for (Index y = 0; y < map.height; ++y) {
    const double line = static_cast<double>(y) + 0.5;
    crossings.clear();
    for (Index i = 0; i < points.size(); ++i) {
      // From top to bottom, whichever way the outline runs: the same edge then gives the same number.
      const Point& a = points[i];
      const Point& b = points[i + 1 == points.size() ? 0 : i + 1];
      const Point& top = a.y < b.y ? a : b;
      const Point& bottom = a.y < b.y ? b : a;
      if (top.y <= line && line < bottom.y) {
        crossings.push_back(top.x + (line - top.y) * (bottom.x - top.x) / (bottom.y - top.y));
      }
    }
    std::sort(crossings.begin(), crossings.end());
    for (Index i = 0; i + 1 < crossings.size(); i += 2) {
      // The first centre at or right of a crossing.
      const auto column = [&](double x) {
        return static_cast<Index>(std::clamp(std::ceil(x - 0.5), 0.0, static_cast<double>(map.width)));
      };
      const Index from = column(crossings[i]), to = column(crossings[i + 1]);
      for (Index x = from; x < to; ++x) { map.at(x, y) = label; }
    }
  }
}

/// The map of an image of width x height pixels with polygons in shares of its sides, drawn in their order: where two
/// overlap, the later one is seen. Other pixels have the label `background`. Errors: as LabelMap and fill_polygon.
inline LabelMap label_map(const std::vector<LabelledPolygon>& polygons, Index width, Index height,
                          std::int32_t background) {
  LabelMap map(width, height, background);
  std::vector<Point> scaled;
  for (const LabelledPolygon& polygon : polygons) {
    scaled.clear();
    for (const Point& p : polygon.points) {
      scaled.push_back({.x = p.x * static_cast<double>(width), .y = p.y * static_cast<double>(height)});
    }
    fill_polygon(map, scaled, polygon.label);
  }
  return map;
}

}  // namespace radapt::task
