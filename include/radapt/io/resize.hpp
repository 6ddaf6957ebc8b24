#pragma once
/// Resizing to the exact bytes that PIL's Image.resize gives: integer weights, two passes with a rounded image between.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "radapt/io/image_mode.hpp"
#include "radapt/io/resize_passes.hpp"

namespace radapt {

namespace detail {

/// For each output pixel from .. from + count - 1 the input pixel that PIL's nearest takes, `in` for none. PIL adds up
/// the scale from pixel to pixel; the sum, with its rounding errors, is part of the result.
inline std::vector<Index> nearest_positions(Index in, Index out, Index from, Index count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  double centre = scale * 0.5;
  std::vector<Index> positions;
  for (Index i = 0; i < from + count; ++i, centre += scale) {
    if (i >= from) { positions.push_back(std::min(static_cast<Index>(centre), in)); }
  }
  return positions;
}

inline Image nearest_window(const Image& image, Index width, Index height, Window window) {
  Image out = zero_image(window.width, window.height, image.mode);
  const Index bytes = bytes_per_pixel(image.mode);
  const auto columns = nearest_positions(image.width, width, window.left, window.width);
  const auto rows = nearest_positions(image.height, height, window.top, window.height);
  for (Index y = 0; y < window.height; ++y) {
    if (rows[y] == image.height) { continue; }
    std::uint8_t* to = out.row(y);
    for (Index x = 0; x < window.width; ++x, to += bytes) {
      if (columns[x] < image.width) { std::memcpy(to, image.row(rows[y]) + columns[x] * bytes, bytes); }
    }
  }
  return out;
}

/// Colours times alpha, so that transparent pixels weigh nothing. Alpha is the last of C channels.
template <Index C>
std::vector<std::uint8_t> premultiplied(std::vector<std::uint8_t> pixels) {
  for (Index i = 0; i < pixels.size(); i += C) {
    for (Index c = 0; c + 1 < C; ++c) { pixels[i + c] = multiply_bytes(pixels[i + c], pixels[i + C - 1]); }
  }
  return pixels;
}

/// The inverse as PIL computes it: truncated, clipped, and nothing done where alpha is 0.
template <Index C>
void divide_by_alpha(std::vector<std::uint8_t>& pixels) {
  for (Index i = 0; i < pixels.size(); i += C) {
    const unsigned alpha = pixels[i + C - 1];
    if (alpha == 0 || alpha == 255) { continue; }
    for (Index c = 0; c + 1 < C; ++c) {
      pixels[i + c] = static_cast<std::uint8_t>(std::min(255u * pixels[i + c] / alpha, 255u));
    }
  }
}

template <Index C>
std::vector<std::uint8_t> blend_bytes(const std::vector<std::uint8_t>& pixels, const Image& image, Index width,
                                      Index height, Interpolation interpolation, Window window, PassOrder order) {
  return blend_window<ByteBlend, C>(pixels.data(), image.width, image.height, width, height, interpolation, window,
                                    order);
}

template <Index C>
std::vector<std::uint8_t> blend_with_alpha(const Image& image, Index width, Index height, Interpolation interpolation,
                                           Window window, PassOrder order) {
  auto out = blend_bytes<C>(premultiplied<C>(image.pixels), image, width, height, interpolation, window, order);
  divide_by_alpha<C>(out);
  return out;
}

inline std::vector<std::uint8_t> blend_integers(const Image& image, Index width, Index height,
                                                Interpolation interpolation, Window window, PassOrder order) {
  std::vector<std::int32_t> in(image.width * image.height);
  std::memcpy(in.data(), image.pixels.data(), image.pixels.size());
  const auto blended =
      blend_window<IntegerBlend, 1>(in.data(), image.width, image.height, width, height, interpolation, window, order);
  std::vector<std::uint8_t> out(blended.size() * sizeof(std::int32_t));
  std::memcpy(out.data(), blended.data(), out.size());
  return out;
}

}  // namespace detail

/// The part `window` of `image` resized to width x height, in the image's own mode, with the bytes that PIL would give;
/// only the work for that part is done. Spec: PIL's two-pass resampling in 8-bit channels (22-bit weights), in 32-bit
/// for mode integer; modes palette and one_bit always by nearest; alpha is multiplied in before and divided out after.
/// Fails for a size of 0 or from 2^31 on, and for a window that is empty or not inside.
inline Image resize(const Image& image, Index width, Index height, Interpolation interpolation, Window window,
                    PassOrder order = PassOrder::along_x_first) {
  check_image(image, "resizing");
  constexpr Index most = std::numeric_limits<std::int32_t>::max();
  if (width == 0 || height == 0 || width > most || height > most) {
    fail({.what = "resizing",
          .expected = "sides of 1 to 2^31 - 1 pixels",
          .got = std::to_string(width) + " x " + std::to_string(height),
          .hint = {}});
  }
  if (window.width == 0 || window.height == 0 || window.left >= width || window.width > width - window.left ||
      window.top >= height || window.height > height - window.top) {
    fail({.what = "resizing",
          .expected = "a window inside " + std::to_string(width) + " x " + std::to_string(height) + " pixels",
          .got = std::to_string(window.width) + " x " + std::to_string(window.height) + " at " +
                 std::to_string(window.left) + ", " + std::to_string(window.top),
          .hint = {}});
  }
  Image out;
  const bool indivisible = image.mode == PixelMode::palette || image.mode == PixelMode::one_bit;
  if (width == image.width && height == image.height) {
    out = crop(image, static_cast<std::ptrdiff_t>(window.left), static_cast<std::ptrdiff_t>(window.top), window.width,
               window.height);
  } else if (indivisible || interpolation == Interpolation::nearest) {
    out = detail::nearest_window(image, width, height, window);
  } else {
    out.width = window.width;
    out.height = window.height;
    out.mode = image.mode;
    const std::vector<std::uint8_t>& pixels = image.pixels;
    switch (image.mode) {
      case PixelMode::one_bit:
      case PixelMode::palette:
      case PixelMode::grey:
        out.pixels = detail::blend_bytes<1>(pixels, image, width, height, interpolation, window, order);
        break;
      case PixelMode::rgb:
        out.pixels = detail::blend_bytes<3>(pixels, image, width, height, interpolation, window, order);
        break;
      case PixelMode::cmyk:
        out.pixels = detail::blend_bytes<4>(pixels, image, width, height, interpolation, window, order);
        break;
      case PixelMode::grey_alpha:
        out.pixels = detail::blend_with_alpha<2>(image, width, height, interpolation, window, order);
        break;
      case PixelMode::rgba:
        out.pixels = detail::blend_with_alpha<4>(image, width, height, interpolation, window, order);
        break;
      case PixelMode::integer:
        out.pixels = detail::blend_integers(image, width, height, interpolation, window, order);
        break;
    }
  }
  out.palette = image.palette;
  out.palette_alpha = image.palette_alpha;
  out.orientation = image.orientation;
  return out;
}

/// The whole of `image` resized to width x height: as PIL's image.resize((width, height), interpolation).
inline Image resize(const Image& image, Index width, Index height, Interpolation interpolation = Interpolation::bicubic,
                    PassOrder order = PassOrder::along_x_first) {
  return resize(image, width, height, interpolation, {.left = 0, .top = 0, .width = width, .height = height}, order);
}

}  // namespace radapt
