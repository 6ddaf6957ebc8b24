#pragma once
/// Scores of an image that is larger than a model takes: windows that cover it, and the mean where they overlap.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/resize.hpp"
#include "radapt/task/label_map.hpp"

namespace radapt::task {

/// Windows of size x size pixels every `stride` pixels that cover width x height pixels, rows from the top; the last of
/// a row or column is moved back so that it ends with the image. Errors: a size or stride of 0, a stride that leaves
/// gaps, an image smaller than a window.
inline std::vector<Window> sliding_windows(Index width, Index height, Index size, Index stride) {
  if (size == 0 || stride == 0 || stride > size || width < size || height < size) {
    fail({.what = "sliding_windows",
          .expected = "0 < stride <= size <= both sides of the image",
          .got = "stride " + std::to_string(stride) + ", size " + std::to_string(size) + " and " +
                 std::to_string(width) + " x " + std::to_string(height) + " pixels",
          .hint = "Resize the image so that its shorter side is at least a window"});
  }
  const auto starts = [&](Index length) {
    std::vector<Index> at;
    for (Index i = 0; i + size < length; i += stride) { at.push_back(i); }
    at.push_back(length - size);
    return at;
  };
  std::vector<Window> windows;
  for (const Index top : starts(height)) {
    for (const Index left : starts(width)) {
      windows.push_back({.left = left, .top = top, .width = size, .height = size});
    }
  }
  return windows;
}

/// (rows, columns) numbers resized to (height, width) by linear interpolation between cell centres, the outermost cells
/// held beyond theirs: torch's interpolate with mode bilinear and align_corners false. Error: a side of 0.
inline std::vector<float> resize_bilinear(std::span<const float> cells, Index rows, Index columns, Index height,
                                          Index width) {
  if (rows == 0 || columns == 0 || height == 0 || width == 0 || cells.size() != rows * columns) {
    fail(
        {.what = "resize_bilinear",
         .expected = std::to_string(rows) + " x " + std::to_string(columns) + " numbers and sides of at least 1",
         .got = std::to_string(cells.size()) + " numbers for " + std::to_string(height) + " x " + std::to_string(width),
         .hint = {}});
  }
  struct Tap {
    Index low, high;
    float share;
  };
  const auto taps = [](Index from, Index to) {
    std::vector<Tap> all;
    for (Index i = 0; i < to; ++i) {
      const double scale = static_cast<double>(from) / static_cast<double>(to);
      const double at = std::max((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0);
      const Index low = std::min(static_cast<Index>(at), from - 1);
      all.push_back({low, std::min(low + 1, from - 1), static_cast<float>(at - static_cast<double>(low))});
    }
    return all;
  };
  const auto down = taps(rows, height), across = taps(columns, width);
  std::vector<float> out(height * width);
  for (Index y = 0; y < height; ++y) {
    const float* const upper = cells.data() + down[y].low * columns;
    const float* const lower = cells.data() + down[y].high * columns;
    for (Index x = 0; x < width; ++x) {
      const Tap& t = across[x];
      const float above = upper[t.low] + t.share * (upper[t.high] - upper[t.low]);
      const float below = lower[t.low] + t.share * (lower[t.high] - lower[t.low]);
      out[y * width + x] = above + down[y].share * (below - above);
    }
  }
  return out;
}

/// Sums up scores of windows and gives their mean at every pixel.
class WindowAverage {
 public:
  /// Memory: classes * width * height floats.
  WindowAverage(Index classes, Index width, Index height)
      : classes_(classes), width_(width), height_(height), sums_(classes * width * height), counts_(width * height) {
    if (classes == 0 || width == 0 || height == 0) {
      fail({.what = "WindowAverage", .expected = "at least one class and pixel", .got = "none", .hint = {}});
    }
  }

  /// Adds a window's scores (classes, window.height, window.width). Error: a window that is not inside, another number.
  void add(const Window& window, std::span<const float> scores) {
    if (window.left + window.width > width_ || window.top + window.height > height_ ||
        scores.size() != classes_ * window.width * window.height) {
      fail({.what = "WindowAverage::add",
            .expected = "scores (" + std::to_string(classes_) + ", height, width) of a window inside " +
                        std::to_string(width_) + " x " + std::to_string(height_) + " pixels",
            .got = std::to_string(scores.size()) + " numbers for " + std::to_string(window.width) + " x " +
                   std::to_string(window.height),
            .hint = {}});
    }
    const float* from = scores.data();
    for (Index c = 0; c < classes_; ++c) {
      for (Index y = window.top; y < window.top + window.height; ++y, from += window.width) {
        float* const to = sums_.data() + (c * height_ + y) * width_ + window.left;
        for (Index x = 0; x < window.width; ++x) { to[x] += from[x]; }
      }
    }
    for (Index y = window.top; y < window.top + window.height; ++y) {
      for (Index x = window.left; x < window.left + window.width; ++x) { ++counts_[y * width_ + x]; }
    }
  }

  /// Mean scores (classes, height, width). Error: a pixel that no window covers.
  std::vector<float> mean() const {
    for (Index i = 0; i < counts_.size(); ++i) {
      if (counts_[i] == 0) {
        fail({.what = "WindowAverage::mean",
              .expected = "a window over every pixel",
              .got = "none over (" + std::to_string(i % width_) + ", " + std::to_string(i / width_) + ")",
              .hint = {}});
      }
    }
    std::vector<float> out = sums_;
    for (Index i = 0; i < out.size(); ++i) { out[i] /= static_cast<float>(counts_[i % counts_.size()]); }
    return out;
  }

  /// The class with the largest mean score at every pixel, of equal ones the first. Error: as `mean`, and a NaN.
  LabelMap labels() const {
    const std::vector<float> scores = mean();
    LabelMap map(width_, height_, 0);
    for (Index i = 0; i < counts_.size(); ++i) {
      Index best = 0;
      for (Index c = 0; c < classes_; ++c) {
        const float score = scores[c * counts_.size() + i];
        if (score != score) {
          fail({.what = "WindowAverage::labels", .expected = "numbers", .got = "NaN", .hint = {}});
        }
        best = score > scores[best * counts_.size() + i] ? c : best;
      }
      map.labels[i] = static_cast<std::int32_t>(best);
    }
    return map;
  }

 private:
  Index classes_, width_, height_;
  std::vector<float> sums_;
  std::vector<std::uint32_t> counts_;
};

}  // namespace radapt::task
