#pragma once
/// A picture of a segmentation: the image with a colour for every class laid over it.
#include <array>
#include <cstdint>
#include <string>

#include "radapt/io/image_mode.hpp"
#include "radapt/task/label_map.hpp"

namespace radapt::task {

/// The colour of a class in the map of PASCAL VOC: bits of the number, three at a time, go to red, green and blue from
/// the highest bit down. Class 0 is black.
constexpr std::array<std::uint8_t, 3> class_colour(std::uint32_t label) {
  std::array<unsigned, 3> colour{};
  for (unsigned bit = 0; bit < 8; ++bit, label >>= 3) {
    for (unsigned c = 0; c < 3; ++c) { colour[c] |= (label >> c & 1U) << (7U - bit); }
  }
  return {static_cast<std::uint8_t>(colour[0]), static_cast<std::uint8_t>(colour[1]),
          static_cast<std::uint8_t>(colour[2])};
}

/// `image` as RGB, blended with the colours of its classes: opacity / 256 of the colour. Pixels with a negative label
/// stay as they are; label l has class_colour(l + 1), so that class 0 can be seen. Write it with write_png. Errors: a
/// map of another size, an opacity above 256.
inline Image overlay(const Image& image, const LabelMap& map, unsigned opacity = 128) {
  if (map.width != image.width || map.height != image.height || opacity > 256) {
    fail({.what = "overlay",
          .expected = "a map of " + std::to_string(image.width) + " x " + std::to_string(image.height) +
                      " pixels and an opacity of 0 to 256",
          .got = std::to_string(map.width) + " x " + std::to_string(map.height) + " and " + std::to_string(opacity),
          .hint = {}});
  }
  Image out = to_rgb(image);
  for (Index i = 0; i < map.labels.size(); ++i) {
    if (map.labels[i] < 0) { continue; }
    const auto colour = class_colour(static_cast<std::uint32_t>(map.labels[i]) + 1);
    for (Index c = 0; c < 3; ++c) {
      std::uint8_t& value = out.pixels[3 * i + c];
      value = static_cast<std::uint8_t>((opacity * colour[c] + (256 - opacity) * value + 128) >> 8);
    }
  }
  return out;
}

}  // namespace radapt::task
