#pragma once
/// The EXIF orientation: how to find it in an EXIF block and how to turn an image upright by it.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "radapt/io/image_mode.hpp"

namespace radapt {

/// The orientation (tag 0x0112 of the first directory) in an EXIF block, which is a TIFF file without pixels: 1 to 8.
/// 1, "as stored", for a block that has none, or a value that EXIF does not define, or cannot be read: like PIL, an
/// image is not refused for its metadata.
inline unsigned exif_orientation(std::span<const std::byte> block) {
  if (block.size() < 8) { return 1; }
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint32_t>(block[at]); };
  const bool little = byte(0) == 'I' && byte(1) == 'I';
  if (!little && !(byte(0) == 'M' && byte(1) == 'M')) { return 1; }
  const auto two = [&](std::size_t at) { return little ? byte(at) | byte(at + 1) << 8 : byte(at) << 8 | byte(at + 1); };
  const auto four = [&](std::size_t at) { return little ? two(at) | two(at + 2) << 16 : two(at) << 16 | two(at + 2); };
  if (two(2) != 42) { return 1; }
  const std::size_t directory = four(4);
  if (directory > block.size() - 2) { return 1; }
  const std::size_t entries = two(directory);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry > block.size() || block.size() - entry < 12) { return 1; }
    if (two(entry) != 0x0112) { continue; }
    // Type 3 is a 16-bit number, which stands at the start of the value field; 4 is a 32-bit one.
    const std::uint32_t type = two(entry + 2);
    const std::uint32_t value = type == 3 ? two(entry + 8) : type == 4 ? four(entry + 8) : 1;
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/// `image` turned and mirrored as its `orientation` asks, which becomes 1.
/// The tag says where the top row and the left column of the stored pixels belong: 2 mirrored, 3 by 180 degrees,
/// 4 upside down, 5 transposed, 6 a quarter clockwise, 7 transposed about the other diagonal, 8 a quarter back.
inline Image apply_orientation(Image image) {
  check_image(image, "applying the EXIF orientation");
  const unsigned orientation = std::exchange(image.orientation, 1u);
  if (orientation < 2 || orientation > 8) { return image; }
  const bool swap = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const Index bytes = bytes_per_pixel(image.mode);
  std::vector<std::uint8_t> turned(image.pixels.size());
  const Index width = swap ? image.height : image.width, height = swap ? image.width : image.height;
  std::uint8_t* out = turned.data();
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x, out += bytes) {
      const Index u = swap ? y : x, v = swap ? x : y;
      const Index column = from_right ? image.width - 1 - u : u, row = from_bottom ? image.height - 1 - v : v;
      std::memcpy(out, image.row(row) + column * bytes, bytes);
    }
  }
  image.pixels = std::move(turned);
  image.width = width;
  image.height = height;
  return image;
}

}  // namespace radapt
