#pragma once
/// Position embeddings for another resolution or context length than a checkpoint was trained with
/// (clip_compat.md 2.1).
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"

namespace radapt {

/// How a table of position embeddings is resampled. All rules align half-pixel centres: the middle of the first row is
/// half a row from the edge, in the old table as in the new one.
enum class PositionResize {
  open_clip,  ///< images: bicubic with a = -0.5, stretched when shrinking (antialias); what open_clip does on loading
  transformers,  ///< images: bicubic with a = -0.75 and repeated edges; transformers' `interpolate_pos_encoding`
};

namespace position_detail {

/// One new position as a weighted sum of old ones: (old position, weight).
using Taps = std::vector<std::pair<std::size_t, double>>;

/// The cubic convolution kernel at `x`, with the slope a at its zero crossing; zero from 2 on.
inline double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
  if (x < 2) { return (((x - 5) * x + 8) * x - 4) * a; }
  return 0;
}
inline double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

/// Taps of a kernel of the given radius that grows with the step when shrinking. Weights beyond the edge are left out
/// and the others brought to the sum 1.
template <class Kernel>
std::vector<Taps> antialiased_taps(std::size_t old_size, std::size_t new_size, double radius, Kernel kernel) {
  const double step = static_cast<double>(old_size) / static_cast<double>(new_size);
  const double stretch = std::max(step, 1.0);
  std::vector<Taps> taps(new_size);
  for (std::size_t i = 0; i < new_size; ++i) {
    const double centre = step * (static_cast<double>(i) + 0.5);
    const double reach = radius * stretch;
    const auto first = static_cast<std::size_t>(std::max(centre - reach + 0.5, 0.0));
    const auto last = static_cast<std::size_t>(std::min(centre + reach + 0.5, static_cast<double>(old_size)));
    double sum = 0;
    for (std::size_t j = first; j < last; ++j) {
      const double weight = kernel((static_cast<double>(j) - centre + 0.5) / stretch);
      taps[i].emplace_back(j, weight);
      sum += weight;
    }
    for (auto& tap : taps[i]) { tap.second /= sum; }
  }
  return taps;
}

/// Four taps around each position; positions beyond the edge are the edge.
inline std::vector<Taps> clamped_cubic_taps(std::size_t old_size, std::size_t new_size, double a) {
  const double step = static_cast<double>(old_size) / static_cast<double>(new_size);
  const auto edge = static_cast<std::ptrdiff_t>(old_size) - 1;
  std::vector<Taps> taps(new_size);
  for (std::size_t i = 0; i < new_size; ++i) {
    const double position = step * (static_cast<double>(i) + 0.5) - 0.5;
    const double below = std::floor(position);
    for (int j = -1; j <= 2; ++j) {
      const auto at = std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(below) + j, 0, edge);
      taps[i].emplace_back(static_cast<std::size_t>(at), cubic(position - below - j, a));
    }
  }
  return taps;
}

/// Resamples the middle extent of [outer, old, inner]; the sums are in double.
inline std::vector<double> resample(const std::vector<double>& table, std::size_t outer, std::size_t inner,
                                    std::size_t old_size, const std::vector<Taps>& taps) {
  std::vector<double> result(outer * taps.size() * inner, 0.0);
  for (std::size_t o = 0; o < outer; ++o) {
    for (std::size_t i = 0; i < taps.size(); ++i) {
      double* const to = result.data() + (o * taps.size() + i) * inner;
      for (const auto& [old_position, weight] : taps[i]) {
        const double* const from = table.data() + (o * old_size + old_position) * inner;
        for (std::size_t c = 0; c < inner; ++c) { to[c] += weight * from[c]; }
      }
    }
  }
  return result;
}

/// The side of the grid behind a table of 1 + side * side rows. Error: there is no such side above zero.
inline std::size_t grid_side(std::size_t rows, const std::string& whose) {
  const std::size_t cells = rows == 0 ? 0 : rows - 1;
  const auto side = static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  if (side == 0 || side * side != cells) {
    fail({.what = "resizing the position embedding of images",
          .expected = "1 + n * n rows in the " + whose + " table",
          .got = std::to_string(rows),
          .hint = "Only square grids with one class token can be resized"});
  }
  return side;
}

/// Number of rows of a table. Error: it is not a whole number above zero.
inline std::size_t row_count(std::size_t elements, std::size_t width) {
  if (width == 0 || elements == 0 || elements % width != 0) {
    fail({.what = "resizing a position embedding",
          .expected = "a whole number of rows of " + std::to_string(width) + " elements",
          .got = std::to_string(elements) + " elements",
          .hint = {}});
  }
  return elements / width;
}

}  // namespace position_detail

/// The position embedding of an image tower for another grid. `table` is [1 + g * g, width] with the class token's row
/// first, which stays as it is; then the grid, row by row. The result is [rows, width], rows = 1 + h * h; it equals
/// `table` where the number of rows is the same. Errors: `table` or `rows` is not of that form.
template <class T>
requires std::is_same_v<T, float> || std::is_same_v<T, double> std::vector<T> resize_image_positions(
    std::span<const T> table, std::size_t width, std::size_t rows, PositionResize rule) {
  namespace detail = position_detail;
  const std::size_t old_rows = detail::row_count(table.size(), width);
  const std::size_t old_side = detail::grid_side(old_rows, "old");
  const std::size_t side = detail::grid_side(rows, "new");
  if (old_side == side) { return {table.begin(), table.end()}; }
  const std::vector<detail::Taps> taps =
      rule == PositionResize::open_clip
          ? detail::antialiased_taps(old_side, side, 2, [](double x) { return detail::cubic(x, -0.5); })
          : detail::clamped_cubic_taps(old_side, side, -0.75);
  const std::vector<double> grid(table.begin() + static_cast<std::ptrdiff_t>(width), table.end());
  const std::vector<double> across = detail::resample(grid, old_side, width, old_side, taps);
  const std::vector<double> resized = detail::resample(across, 1, side * width, old_side, taps);
  std::vector<T> result(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(width));
  result.reserve(rows * width);
  for (const double value : resized) { result.push_back(static_cast<T>(value)); }
  return result;
}

/// The position embedding of a text tower for another context length: `table` is [positions, width], the result
/// [rows, width], interpolated linearly along the positions (antialiased when it gets shorter). It equals `table` where
/// the number of rows is the same. Errors: `table` is not whole rows; `rows` is zero.
template <class T>
requires std::is_same_v<T, float> || std::is_same_v<T, double> std::vector<T> resize_text_positions(
    std::span<const T> table, std::size_t width, std::size_t rows) {
  namespace detail = position_detail;
  const std::size_t old_rows = detail::row_count(table.size(), width);
  if (rows == 0) {
    fail({.what = "resizing the position embedding of texts",
          .expected = "a context of at least one position",
          .got = "0",
          .hint = {}});
  }
  if (rows == old_rows) { return {table.begin(), table.end()}; }
  const std::vector<double> old(table.begin(), table.end());
  const std::vector<double> resized =
      detail::resample(old, 1, width, old_rows, detail::antialiased_taps(old_rows, rows, 1, detail::triangle));
  std::vector<T> result;
  result.reserve(resized.size());
  for (const double value : resized) { result.push_back(static_cast<T>(value)); }
  return result;
}

}  // namespace radapt
