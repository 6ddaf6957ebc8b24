#pragma once
/// Decoded images in the modes that PIL opens files in, and what needs no codec: conversion to RGB and cropping.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt {

/// What the bytes of a pixel mean. The mode decides how an image is resized and how it becomes RGB, so that a file must
/// keep the mode in which PIL opens it. PIL's own name stands behind each.
enum class PixelMode : std::uint8_t {
  one_bit,     ///< "1": one byte, 0 or 255
  grey,        ///< "L": one byte
  grey_alpha,  ///< "LA": two bytes, alpha not premultiplied
  rgb,         ///< "RGB": three bytes
  rgba,        ///< "RGBA": four bytes, alpha not premultiplied
  palette,     ///< "P": one byte, a position in Image::palette
  cmyk,        ///< "CMYK": four bytes, 0 is no ink
  integer,     ///< "I": one std::int32_t in the byte order of the machine; 16-bit grey files are opened so
};

/// Bytes of one pixel.
constexpr Index bytes_per_pixel(PixelMode mode) {
  switch (mode) {
    case PixelMode::grey_alpha:
      return 2;
    case PixelMode::rgb:
      return 3;
    case PixelMode::rgba:
    case PixelMode::cmyk:
    case PixelMode::integer:
      return 4;
    case PixelMode::one_bit:
    case PixelMode::grey:
    case PixelMode::palette:
      return 1;
  }
  return 1;
}

/// PIL's name of a mode, for messages.
constexpr const char* pil_name(PixelMode mode) {
  switch (mode) {
    case PixelMode::one_bit:
      return "1";
    case PixelMode::grey:
      return "L";
    case PixelMode::grey_alpha:
      return "LA";
    case PixelMode::rgb:
      return "RGB";
    case PixelMode::rgba:
      return "RGBA";
    case PixelMode::palette:
      return "P";
    case PixelMode::cmyk:
      return "CMYK";
    case PixelMode::integer:
      return "I";
  }
  return "?";
}

/// An image in memory: rows from top to bottom, pixels from left to right, no padding between rows.
struct Image {
  Index width = 0;                                   ///< pixels, at least 1
  Index height = 0;                                  ///< pixels, at least 1
  PixelMode mode = PixelMode::rgb;                   ///< meaning of the bytes
  std::vector<std::uint8_t> pixels;                  ///< height * width * bytes_per_pixel(mode)
  std::vector<std::array<std::uint8_t, 3>> palette;  ///< mode palette: 1 to 256 RGB colours; else empty
  std::vector<std::uint8_t> palette_alpha;           ///< mode palette: alpha of the first colours; RGB ignores it
  unsigned orientation = 1;                          ///< EXIF 1 to 8; the pixels are as stored in the file

  Index row_bytes() const { return width * bytes_per_pixel(mode); }
  const std::uint8_t* row(Index y) const { return pixels.data() + y * row_bytes(); }
  std::uint8_t* row(Index y) { return pixels.data() + y * row_bytes(); }
};

/// An image of zeros: black, but white in mode cmyk, and without a palette.
inline Image zero_image(Index width, Index height, PixelMode mode) {
  const Index bytes = bytes_per_pixel(mode);
  if (width == 0 || height == 0 || width > PTRDIFF_MAX / bytes / height) {
    fail({.what = "making an image",
          .expected = "sides of at least 1 pixel and an area that fits into memory",
          .got = std::to_string(width) + " x " + std::to_string(height),
          .hint = {}});
  }
  Image image;
  image.width = width;
  image.height = height;
  image.mode = mode;
  image.pixels.resize(height * image.row_bytes());
  return image;
}

/// What a decoder accepts. The limits are checked before memory is taken for the pixels.
struct DecodeOptions {
  Index max_pixels = 178'956'970;    ///< width * height; the default is where PIL refuses a "decompression bomb"
  Index max_side = 1'000'000;        ///< pixels of one side; the default is that of libpng
  bool apply_orientation = false;    ///< turn the pixels upright by the file's EXIF tag; PIL's open does not
  bool reject_damaged_jpeg = false;  ///< refuse what libjpeg warns about, such as wrong entropy-coded data
};

/// Fails unless the sizes of `image` agree with each other. Pixels of mode palette are checked where they are used.
inline void check_image(const Image& image, const std::string& what) {
  const Index bytes = bytes_per_pixel(image.mode);
  const bool sides = image.width > 0 && image.height > 0 && image.width <= SIZE_MAX / bytes / image.height;
  if (!sides || image.pixels.size() != image.height * image.row_bytes()) {
    fail({.what = what,
          .expected = "height * width * " + std::to_string(bytes) + " bytes of mode " + pil_name(image.mode),
          .got = std::to_string(image.height) + " * " + std::to_string(image.width) + " pixels in " +
                 std::to_string(image.pixels.size()) + " bytes",
          .hint = {}});
  }
  if (image.mode == PixelMode::palette && (image.palette.empty() || image.palette.size() > 256)) {
    fail({.what = what,
          .expected = "a palette of 1 to 256 colours",
          .got = std::to_string(image.palette.size()),
          .hint = {}});
  }
}

/// Fails if the header of the file `name` claims more pixels than `options` allow, or none.
inline void check_claimed_size(Index width, Index height, const DecodeOptions& options, const std::string& name) {
  const std::string claimed = std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (width == 0 || height == 0) {
    fail({.what = "decoding '" + name + "'", .expected = "pixels", .got = claimed, .hint = {}});
  }
  if (width > options.max_side || height > options.max_side || width > options.max_pixels / height) {
    fail({.what = "decoding '" + name + "'",
          .expected = "at most " + std::to_string(options.max_pixels) + " pixels and sides up to " +
                      std::to_string(options.max_side),
          .got = claimed,
          .hint = "Raise DecodeOptions::max_pixels or max_side if the file is to be trusted."});
  }
}

/// A pixel of mode integer.
inline std::int32_t integer_pixel(const std::uint8_t* at) {
  std::int32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// a * b / 255 for bytes, rounded to the nearest, by the shifts that PIL uses.
constexpr std::uint8_t multiply_bytes(unsigned a, unsigned b) {
  const unsigned product = a * b + 128;
  return static_cast<std::uint8_t>((product + (product >> 8)) >> 8);
}

namespace detail {

template <class Convert>
void convert_pixels(const Image& from, Image& to, const Convert& convert) {
  const Index step = bytes_per_pixel(from.mode);
  const std::uint8_t* in = from.pixels.data();
  std::uint8_t* out = to.pixels.data();
  for (Index left = from.width * from.height; left > 0; --left, in += step, out += 3) { convert(in, out); }
}

inline void set_grey(std::uint8_t* out, std::uint8_t value) { out[0] = out[1] = out[2] = value; }

}  // namespace detail

/// `image` as RGB, by the rules of PIL's convert("RGB"): grey is repeated, alpha is dropped (also that of a palette),
/// CMYK is the product of what each ink and black leave, integers are clipped to 0..255.
/// Fails for a palette position that the palette lacks.
inline Image to_rgb(const Image& image) {
  check_image(image, "converting to RGB");
  if (image.mode == PixelMode::rgb) { return image; }
  Image rgb = zero_image(image.width, image.height, PixelMode::rgb);
  rgb.orientation = image.orientation;
  using Byte = std::uint8_t;
  switch (image.mode) {
    case PixelMode::rgb:
      break;
    case PixelMode::one_bit:
      detail::convert_pixels(image, rgb, [](const Byte* in, Byte* out) { detail::set_grey(out, *in ? 255 : 0); });
      break;
    case PixelMode::grey:
    case PixelMode::grey_alpha:
      detail::convert_pixels(image, rgb, [](const Byte* in, Byte* out) { detail::set_grey(out, *in); });
      break;
    case PixelMode::rgba:
      detail::convert_pixels(image, rgb, [](const Byte* in, Byte* out) { std::memcpy(out, in, 3); });
      break;
    case PixelMode::palette: {
      const Byte highest = *std::max_element(image.pixels.begin(), image.pixels.end());
      if (highest >= image.palette.size()) {
        fail({.what = "converting to RGB",
              .expected = "positions in a palette of " + std::to_string(image.palette.size()) + " colours",
              .got = "position " + std::to_string(highest),
              .hint = {}});
      }
      detail::convert_pixels(image, rgb,
                             [&](const Byte* in, Byte* out) { std::memcpy(out, image.palette[*in].data(), 3); });
      break;
    }
    case PixelMode::cmyk:
      detail::convert_pixels(image, rgb, [](const Byte* in, Byte* out) {
        const unsigned light = 255u - in[3];
        for (int c = 0; c < 3; ++c) { out[c] = static_cast<Byte>(light - multiply_bytes(in[c], light)); }
      });
      break;
    case PixelMode::integer:
      detail::convert_pixels(image, rgb, [](const Byte* in, Byte* out) {
        detail::set_grey(out, static_cast<Byte>(std::clamp(integer_pixel(in), 0, 255)));
      });
      break;
  }
  return rgb;
}

/// The part of `image` that begins at (left, top) and has the given size. It may reach beyond the image: there every
/// channel is `fill` (mode one_bit: 255 unless fill is 0; mode palette: position `fill`).
inline Image crop(const Image& image, std::ptrdiff_t left, std::ptrdiff_t top, Index width, Index height,
                  std::uint8_t fill = 0) {
  check_image(image, "cropping");
  Image part = zero_image(width, height, image.mode);
  part.palette = image.palette;
  part.palette_alpha = image.palette_alpha;
  part.orientation = image.orientation;
  const Index bytes = bytes_per_pixel(image.mode);
  const std::uint8_t value = image.mode == PixelMode::one_bit && fill != 0 ? std::uint8_t{255} : fill;
  if (value != 0) { std::fill(part.pixels.begin(), part.pixels.end(), value); }
  if (image.mode == PixelMode::integer && fill != 0) {
    const std::int32_t wide = fill;
    for (Index i = 0; i < part.pixels.size(); i += sizeof wide) {
      std::memcpy(part.pixels.data() + i, &wide, sizeof wide);
    }
  }
  // The overlap, in coordinates of the part.
  const auto overlap = [](std::ptrdiff_t start, Index length, Index available) {
    const std::ptrdiff_t from = std::max<std::ptrdiff_t>(0, -start);
    const std::ptrdiff_t to =
        std::min(static_cast<std::ptrdiff_t>(length), static_cast<std::ptrdiff_t>(available) - start);
    return std::array<std::ptrdiff_t, 2>{from, std::max(from, to)};
  };
  const auto columns = overlap(left, width, image.width), rows = overlap(top, height, image.height);
  if (columns[0] == columns[1]) { return part; }
  for (std::ptrdiff_t y = rows[0]; y < rows[1]; ++y) {
    std::memcpy(part.row(static_cast<Index>(y)) + static_cast<Index>(columns[0]) * bytes,
                image.row(static_cast<Index>(y + top)) + static_cast<Index>(columns[0] + left) * bytes,
                static_cast<Index>(columns[1] - columns[0]) * bytes);
  }
  return part;
}

}  // namespace radapt
