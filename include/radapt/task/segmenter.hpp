#pragma once
/// Open-vocabulary segmentation without training: every patch takes the caption that it is nearest to.
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/clip/preprocess.hpp"
#include "radapt/task/dense_features.hpp"
#include "radapt/task/sliding_window.hpp"

namespace radapt::task {

/// How an image is gone through.
struct SegmenterOptions {
  Index short_side = 0;  ///< the image is resized to this, bicubic, if it is not 0; at least the model's image size
  Index stride = 0;      ///< pixels between windows; 0: half a window
};

/// Labels the pixels of an image with the classes of a zero-shot head: the image is resized, covered by windows of the
/// model's size, the cosines of patch features and head rows are resized to pixels and averaged where windows overlap.
template <class M, class Backend>
class Segmenter {
 public:
  /// `head` (classes, embed) has rows of unit length, as zero_shot_weights gives; `weights` must outlive this. Only
  /// mean and std of `preprocess` are used. Errors: no whole rows, a short side below the model's image size, a stride
  /// of more than that.
  Segmenter(const Weights<M>& weights, std::vector<float> head, const Preprocess& preprocess = Preprocess::openai(),
            SegmenterOptions options = {})
      : session_(weights, 1), head_(std::move(head)), preprocess_(preprocess), options_(options) {
    preprocess_.size = size;
    if (options_.stride == 0) { options_.stride = std::max<Index>(size / 2, 1); }
    if (head_.empty() || head_.size() % embed != 0) {
      fail({.what = "Segmenter",
            .expected = "a head with rows of " + std::to_string(embed),
            .got = std::to_string(head_.size()) + " numbers",
            .hint = {}});
    }
    if ((options_.short_side != 0 && options_.short_side < size) || options_.stride > size) {
      fail({.what = "Segmenter",
            .expected = "a short side from " + std::to_string(size) + " and a stride up to " + std::to_string(size),
            .got = std::to_string(options_.short_side) + " and " + std::to_string(options_.stride),
            .hint = {}});
    }
  }

  Index classes() const { return head_.size() / embed; }

  /// Mean cosines (classes, height, width) of the resized image.
  WindowAverage scores(const Image& image) {
    const Image rgb = fitted(to_rgb(image));
    WindowAverage average(classes(), rgb.width, rgb.height);
    for (const Window& window : sliding_windows(rgb.width, rgb.height, size, options_.stride)) {
      average.add(window, window_scores(crop(rgb, static_cast<std::ptrdiff_t>(window.left),
                                             static_cast<std::ptrdiff_t>(window.top), size, size)));
    }
    return average;
  }

  /// A class for every pixel of `image` as it came: the map of the resized image, brought back by the nearest pixel.
  LabelMap operator()(const Image& image) {
    const LabelMap resized = scores(image).labels();
    LabelMap map(image.width, image.height, 0);
    for (Index y = 0; y < map.height; ++y) {
      for (Index x = 0; x < map.width; ++x) {
        map.at(x, y) =
            resized.at((2 * x + 1) * resized.width / (2 * map.width), (2 * y + 1) * resized.height / (2 * map.height));
      }
    }
    return map;
  }

 private:
  static constexpr Index size = M::arch::image, embed = M::arch::embed;
  using Dense = DenseSession<M, Backend>;

  /// Resized so that the shorter side is `short_side`, or the model's size where the image is smaller.
  Image fitted(Image rgb) const {
    const Index shorter = std::min(rgb.width, rgb.height);
    const Index wanted = options_.short_side != 0 ? options_.short_side : std::max(shorter, size);
    if (shorter == wanted) {
      check_size(rgb.width, rgb.height);
      return rgb;
    }
    const auto scaled = [&](Index side) { return std::max((side * wanted + shorter / 2) / shorter, wanted); };
    const Index width = scaled(rgb.width), height = scaled(rgb.height);
    check_size(width, height);
    return resize(rgb, width, height, Interpolation::bicubic);
  }
  /// Scores of all classes are kept for every pixel of the resized image.
  void check_size(Index width, Index height) const {
    constexpr Index most_side = 32768, most_bytes = Index{1} << 32;
    if (width <= most_side && height <= most_side && width * height * classes() * sizeof(float) <= most_bytes) {
      return;
    }
    fail({.what = "labelling an image of " + std::to_string(width) + " x " + std::to_string(height) + " pixels",
          .expected = "sides of at most " + std::to_string(most_side) + ", and at most 4 GiB of scores of its " +
                      std::to_string(classes()) + " classes",
          .got = "more",
          .hint = "Take a smaller short side, or cut what is long and narrow"});
  }
  /// Cosines (classes, size, size) of one window.
  std::vector<float> window_scores(const Image& rgb) {
    pixels_.resize(preprocess_.elements());
    features_.resize(Dense::patches * embed);
    preprocess_.normalise(rgb, pixels_);
    session_.encode(pixels_, features_);
    std::vector<float> cells(Dense::patches), scores;
    std::vector<float> lengths(Dense::patches);
    for (Index p = 0; p < Dense::patches; ++p) {
      float squares = 0.0f;
      for (Index e = 0; e < embed; ++e) { squares += features_[p * embed + e] * features_[p * embed + e]; }
      lengths[p] = std::max(std::sqrt(squares), 1e-12f);
    }
    for (Index c = 0; c < classes(); ++c) {
      for (Index p = 0; p < Dense::patches; ++p) {
        float cosine = 0.0f;
        for (Index e = 0; e < embed; ++e) { cosine += features_[p * embed + e] * head_[c * embed + e]; }
        cells[p] = cosine / lengths[p];
      }
      const auto resized = resize_bilinear(cells, Dense::grid, Dense::grid, size, size);
      scores.insert(scores.end(), resized.begin(), resized.end());
    }
    return scores;
  }

  Dense session_;
  std::vector<float> head_;
  Preprocess preprocess_;
  SegmenterOptions options_;
  std::vector<float> pixels_, features_;
};

}  // namespace radapt::task
