#pragma once
/// Position embeddings for another resolution or another caption length than a checkpoint was trained with.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt {

/// Whose rule resizes the grid of the image tower (clip_compat.md 2.1). The results differ.
enum class GridResize {
  open_clip,     ///< when loading: cubic with a = -0.5, widened where the grid shrinks (antialiased), normalised
  transformers,  ///< in every forward pass: cubic with a = -0.75 of the four nearest rows, never widened
};

namespace position_detail {

/// Output position = sum of weight * input position over its taps.
struct Tap {
  Index position;
  double weight;
};
using Taps = std::vector<std::vector<Tap>>;

/// Keys' cubic kernel with parameter `a` at distance x.
inline double cubic(double x, double a) {
  const double r = std::abs(x);
  if (r < 1) { return ((a + 2) * r - (a + 3)) * r * r + 1; }
  if (r < 2) { return ((a * r - 5 * a) * r + 8 * a) * r - 4 * a; }
  return 0;
}

/// Pixel centres are at half numbers; the kernel is as wide as an output pixel where the grid shrinks. Taps outside
/// the grid are left out and the rest is normalised.
inline Taps antialiased_cubic(Index from, Index to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double widening = std::max(scale, 1.0), support = 2 * widening;
  Taps taps(to);
  for (Index i = 0; i < to; ++i) {
    const double centre = scale * (static_cast<double>(i) + 0.5);
    const auto first = static_cast<Index>(std::max(centre - support + 0.5, 0.0));
    const auto last = std::min(static_cast<Index>(centre + support + 0.5), from);
    double sum = 0;
    for (Index j = first; j < last; ++j) {
      const double weight = cubic((static_cast<double>(j) + 0.5 - centre) / widening, -0.5);
      taps[i].push_back({j, weight});
      sum += weight;
    }
    for (Tap& tap : taps[i]) { tap.weight /= sum; }
  }
  return taps;
}

/// The four nearest positions; those outside the grid count as its edge.
inline Taps plain_cubic(Index from, Index to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  Taps taps(to);
  for (Index i = 0; i < to; ++i) {
    const double source = scale * (static_cast<double>(i) + 0.5) - 0.5;
    const double below = std::floor(source);
    for (int k = -1; k <= 2; ++k) {
      const double position = std::clamp(below + k, 0.0, static_cast<double>(from - 1));
      taps[i].push_back({static_cast<Index>(position), cubic(source - (below + k), -0.75)});
    }
  }
  return taps;
}

/// The two nearest positions; before the first and after the last, the edge.
inline Taps linear(Index from, Index to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  Taps taps(to);
  for (Index i = 0; i < to; ++i) {
    const double source = std::max(scale * (static_cast<double>(i) + 0.5) - 0.5, 0.0);
    const auto below = std::min(static_cast<Index>(source), from - 1);
    const double share = source - static_cast<double>(below);
    taps[i] = {{below, 1 - share}, {std::min(below + 1, from - 1), share}};
  }
  return taps;
}

/// out row i of `width` numbers = weighted sum of the rows of `in` that taps[i] names; a row lies every `stride` rows.
inline void blend(const std::vector<Tap>& taps, const double* in, Index stride, Index width, double* out) {
  std::fill(out, out + width, 0.0);
  for (const Tap& tap : taps) {
    const double* const row = in + tap.position * stride * width;
    for (Index c = 0; c < width; ++c) { out[c] += tap.weight * row[c]; }
  }
}

/// The side of a square of `cells`; 0 if there is none.
inline Index side_of(Index cells) {
  const auto side = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(cells))));
  return side * side == cells ? side : 0;
}

/// Rows of a table of `size` numbers in rows of `width`. Error: they do not fill whole rows, at least one.
inline Index rows_of(Index size, Index width, const std::string& what) {
  if (width == 0 || size == 0 || size % width != 0) {
    fail({.what = what,
          .expected = "whole rows of " + std::to_string(width),
          .got = std::to_string(size) + " numbers",
          .hint = {}});
  }
  return size / width;
}

}  // namespace position_detail

/// The image tower's position embedding (1 + g*g, width), resized to (1 + to*to, width) for a grid of side `to`. The
/// first row belongs to the class token and is kept; the others are interpolated as a g x g picture (row-major y, x),
/// in double precision and rounded at the end. The same side gives the same values. Errors: rows that are no square
/// grid and one row more; `to` outside 1 to 4096.
template <class T>
requires std::is_same_v<T, float> || std::is_same_v<T, double> std::vector<T> resize_image_positions(
    std::span<const T> table, Index width, Index to, GridResize rule) {
  namespace detail = position_detail;
  const std::string what = "resizing the image tower's position embedding";
  const Index rows = detail::rows_of(table.size(), width, what);
  const Index from = detail::side_of(rows - 1);
  if (from == 0) {
    fail({.what = what,
          .expected = "the rows of a square grid and one for the class token",
          .got = std::to_string(rows) + " rows",
          .hint = {}});
  }
  if (to == 0 || to > 4096) {
    fail({.what = what, .expected = "a grid of 1 to 4096", .got = std::to_string(to), .hint = {}});
  }
  if (from == to) { return {table.begin(), table.end()}; }
  const detail::Taps taps =
      rule == GridResize::open_clip ? detail::antialiased_cubic(from, to) : detail::plain_cubic(from, to);
  const std::vector<double> grid(table.begin() + static_cast<std::ptrdiff_t>(width), table.end());
  std::vector<double> narrow(from * to * width), square(to * to * width);
  for (Index y = 0; y < from; ++y) {
    for (Index x = 0; x < to; ++x) {
      detail::blend(taps[x], grid.data() + y * from * width, 1, width, narrow.data() + (y * to + x) * width);
    }
  }
  for (Index y = 0; y < to; ++y) {
    for (Index x = 0; x < to; ++x) {
      detail::blend(taps[y], narrow.data() + x * width, to, width, square.data() + (y * to + x) * width);
    }
  }
  std::vector<T> out(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(width));
  out.reserve((1 + to * to) * width);
  for (const double value : square) { out.push_back(static_cast<T>(value)); }
  return out;
}

/// The text tower's position embedding (context, width), resized to (to, width) by linear interpolation between
/// neighbouring positions (position centres at half numbers, edges held), never widened where the table shrinks. That
/// is what open_clip 3.3.0 does when it is run, though clip_compat.md 2.1 says antialiased. The same length gives the
/// same values. Errors: no whole rows; `to` outside 1 to 2^20.
template <class T>
requires std::is_same_v<T, float> || std::is_same_v<T, double> std::vector<T> resize_text_positions(
    std::span<const T> table, Index width, Index to) {
  namespace detail = position_detail;
  const std::string what = "resizing the text tower's position embedding";
  const Index from = detail::rows_of(table.size(), width, what);
  if (to == 0 || to > (Index{1} << 20)) {
    fail({.what = what, .expected = "a context of 1 to 1048576", .got = std::to_string(to), .hint = {}});
  }
  if (from == to) { return {table.begin(), table.end()}; }
  const detail::Taps taps = detail::linear(from, to);
  const std::vector<double> rows(table.begin(), table.end());
  std::vector<double> row(width);
  std::vector<T> out;
  out.reserve(to * width);
  for (Index i = 0; i < to; ++i) {
    detail::blend(taps[i], rows.data(), 1, width, row.data());
    for (const double value : row) { out.push_back(static_cast<T>(value)); }
  }
  return out;
}

}  // namespace radapt
