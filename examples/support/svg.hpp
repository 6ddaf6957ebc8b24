#pragma once
/// Charts as SVG text: `to_svg` of a ScatterChart, a LineChart or a BarChart.
#include "svg_bars.hpp"     // IWYU pragma: export
#include "svg_lines.hpp"    // IWYU pragma: export
#include "svg_scatter.hpp"  // IWYU pragma: export
