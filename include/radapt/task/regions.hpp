#pragma once
/// Classifying given regions of an image one by one: each is cut out, its surroundings blanked (OVSeg; Liang et al.,
/// CVPR 2023), classified as an image, and put back.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/clip/preprocess.hpp"
#include "radapt/task/label_map.hpp"

namespace radapt::task {

/// The pixels of one region: nonzero inside, (height, width), as large as the image.
struct RegionMask {
  Index width = 0, height = 0;
  std::vector<std::uint8_t> inside;
};

/// The mask of a label in a map: a region proposal made from the truth, or from another segmenter.
inline RegionMask mask_of(const LabelMap& map, std::int32_t label) {
  RegionMask mask{.width = map.width, .height = map.height, .inside = {}};
  for (const std::int32_t l : map.labels) { mask.inside.push_back(l == label ? 1 : 0); }
  return mask;
}

/// The smallest window that holds a region. Errors: a mask without a pixel, sizes that do not fit.
inline Window bounding_box(const RegionMask& mask) {
  if (mask.inside.size() != mask.width * mask.height) {
    fail({.what = "bounding_box",
          .expected = std::to_string(mask.width) + " x " + std::to_string(mask.height) + " pixels",
          .got = std::to_string(mask.inside.size()),
          .hint = {}});
  }
  Index left = mask.width, top = mask.height, right = 0, bottom = 0;
  for (Index y = 0; y < mask.height; ++y) {
    for (Index x = 0; x < mask.width; ++x) {
      if (mask.inside[y * mask.width + x] == 0) { continue; }
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = std::max(bottom, y + 1);
    }
  }
  if (right == 0) { fail({.what = "bounding_box", .expected = "a region with pixels", .got = "none", .hint = {}}); }
  return {.left = left, .top = top, .width = right - left, .height = bottom - top};
}

/// The mean colour of a preprocessing as bytes, which becomes almost zero when it is normalised.
inline std::array<std::uint8_t, 3> mean_colour(const Preprocess& preprocess) {
  std::array<std::uint8_t, 3> colour{};
  for (Index c = 0; c < 3; ++c) {
    colour[c] = static_cast<std::uint8_t>(std::clamp(preprocess.mean[c] * 255.0f + 0.5f, 0.0f, 255.0f));
  }
  return colour;
}

/// The bounding box of a region cut out of `image` as RGB, with `colour` wherever the region is not. Resize it with
/// ResizeMode::squash, as OVSeg does. Errors: a mask of another size than the image or without a pixel.
inline Image cut_out(const Image& image, const RegionMask& mask, const std::array<std::uint8_t, 3>& colour) {
  if (mask.width != image.width || mask.height != image.height) {
    fail({.what = "cut_out",
          .expected = "a mask of " + std::to_string(image.width) + " x " + std::to_string(image.height) + " pixels",
          .got = std::to_string(mask.width) + " x " + std::to_string(mask.height),
          .hint = {}});
  }
  const Window box = bounding_box(mask);
  Image part = to_rgb(
      crop(image, static_cast<std::ptrdiff_t>(box.left), static_cast<std::ptrdiff_t>(box.top), box.width, box.height));
  for (Index y = 0; y < box.height; ++y) {
    for (Index x = 0; x < box.width; ++x) {
      if (mask.inside[(box.top + y) * mask.width + box.left + x] == 0) {
        std::copy(colour.begin(), colour.end(), part.row(y) + 3 * x);
      }
    }
  }
  return part;
}

/// Pixels of regions for a model, (regions, 3, size, size): each cut out, blanked with the mean colour, resized to the
/// square and normalised. `preprocess.resize_mode` should be squash. Errors: as cut_out.
inline std::vector<float> region_pixels(const Image& image, std::span<const RegionMask> masks,
                                        const Preprocess& preprocess) {
  const auto colour = mean_colour(preprocess);
  std::vector<float> pixels(masks.size() * preprocess.elements());
  for (Index r = 0; r < masks.size(); ++r) {
    preprocess(cut_out(image, masks[r], colour),
               std::span(pixels).subspan(r * preprocess.elements(), preprocess.elements()));
  }
  return pixels;
}

/// A map from classified regions: a pixel takes the class with the largest sum of scores over the regions that hold it,
/// of equal ones the first, and `background` where there is none. `scores` (regions, classes) are probabilities, so
/// that regions that overlap are weighed by how sure they are. Errors: no regions, masks of different sizes, another
/// number of scores.
inline LabelMap assemble_regions(std::span<const RegionMask> masks, std::span<const float> scores, Index classes,
                                 std::int32_t background) {
  const bool same = std::all_of(masks.begin(), masks.end(), [&](const RegionMask& mask) {
    return mask.width == masks[0].width && mask.height == masks[0].height &&
           mask.inside.size() == mask.width * mask.height;
  });
  if (masks.empty() || classes == 0 || !same || scores.size() != masks.size() * classes) {
    fail({.what = "assemble_regions",
          .expected = "masks of one size, at least one, and scores (masks, " + std::to_string(classes) + ")",
          .got = std::to_string(masks.size()) + " masks and " + std::to_string(scores.size()) + " scores",
          .hint = {}});
  }
  LabelMap map(masks[0].width, masks[0].height, background);
  std::vector<float> sums(classes);
  for (Index i = 0; i < map.labels.size(); ++i) {
    bool covered = false;
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (Index r = 0; r < masks.size(); ++r) {
      if (masks[r].inside[i] == 0) { continue; }
      covered = true;
      for (Index c = 0; c < classes; ++c) { sums[c] += scores[r * classes + c]; }
    }
    if (covered) {
      map.labels[i] = static_cast<std::int32_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
    }
  }
  return map;
}

}  // namespace radapt::task
