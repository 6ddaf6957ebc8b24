#pragma once
/// Small RGB pictures, the tones they are painted with, and two whole-picture filters.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"

#include "facts.hpp"
#include "fixed.hpp"
#include "random.hpp"

namespace example {

/// A colour with channels 0 .. 255; sums may leave that range until they are stored.
struct Tone {
  Fixed red;
  Fixed green;
  Fixed blue;

  friend constexpr Tone operator+(Tone a, Tone b) { return {a.red + b.red, a.green + b.green, a.blue + b.blue}; }
  friend constexpr Tone operator-(Tone a, Tone b) { return {a.red - b.red, a.green - b.green, a.blue - b.blue}; }
  friend constexpr Tone operator*(Tone a, Fixed s) { return {a.red * s, a.green * s, a.blue * s}; }
};

constexpr Tone tone(Fixed red, Fixed green, Fixed blue) { return Tone{red, green, blue}; }
constexpr Tone tone(std::int64_t red, std::int64_t green, std::int64_t blue) {
  return Tone{Fixed::of(red), Fixed::of(green), Fixed::of(blue)};
}
/// `a` for share 0, `b` for share 1.
constexpr Tone mix(Tone a, Tone b, Fixed share) { return a + (b - a) * share; }
constexpr Tone within_range(Tone t) {
  return {clamped(t.red, Fixed{}, 255_fx), clamped(t.green, Fixed{}, 255_fx), clamped(t.blue, Fixed{}, 255_fx)};
}

/// The strongest form of a named colour, as printed on a poster.
constexpr Tone pure_tone(Colour colour) {
  switch (colour) {
    case Colour::red:
      return tone(226, 18, 30);
    case Colour::orange:
      return tone(255, 130, 0);
    case Colour::yellow:
      return tone(255, 226, 0);
    case Colour::green:
      return tone(0, 160, 60);
    case Colour::blue:
      return tone(0, 84, 222);
    case Colour::purple:
      return tone(126, 30, 170);
    case Colour::pink:
      return tone(255, 110, 180);
    case Colour::white:
      return tone(255, 255, 255);
  }
  return Tone{};
}
/// A named colour on an object.
constexpr Tone object_tone(Colour colour) { return mix(pure_tone(colour), tone(128, 128, 128), 0.08_fx); }
/// A named colour on a background: paler, so that an object stands out from it.
constexpr Tone ground_tone(Colour colour) { return mix(pure_tone(colour), tone(198, 198, 204), 0.5_fx); }

/// An RGB picture: `rgb` holds height x width x 3 bytes, row by row from the top left.
struct Picture {
  std::size_t width = 0;
  std::size_t height = 0;
  std::vector<std::uint8_t> rgb;

  Picture() = default;
  Picture(std::size_t width_, std::size_t height_) : width(width_), height(height_), rgb(width_ * height_ * 3) {}

  /// The first of the three bytes of a pixel.
  std::size_t offset(std::size_t x, std::size_t y) const { return (y * width + x) * 3; }

  void set(std::size_t x, std::size_t y, Tone value) {
    const auto byte = [](Fixed channel) {
      return static_cast<std::uint8_t>(std::clamp<std::int64_t>(channel.round(), 0, 255));
    };
    const std::size_t first = offset(x, y);
    rgb[first] = byte(value.red);
    rgb[first + 1] = byte(value.green);
    rgb[first + 2] = byte(value.blue);
  }

  friend bool operator==(const Picture&, const Picture&) = default;
};

/// Replaces squares of `side` pixels by their mean, each a little lighter or darker, in coarse steps of colour.
inline void tile(Picture& picture, std::size_t side, std::uint64_t seed) {
  for (std::size_t top = 0; top < picture.height; top += side) {
    for (std::size_t left = 0; left < picture.width; left += side) {
      const std::size_t bottom = std::min(top + side, picture.height);
      const std::size_t right = std::min(left + side, picture.width);
      const auto pixels = static_cast<std::int64_t>((bottom - top) * (right - left));
      const std::int64_t shade = static_cast<std::int64_t>(scramble(seed + top * 65536 + left) % 41) - 20;
      for (std::size_t channel = 0; channel < 3; ++channel) {
        std::int64_t sum = 0;
        for (std::size_t y = top; y < bottom; ++y) {
          for (std::size_t x = left; x < right; ++x) { sum += picture.rgb[picture.offset(x, y) + channel]; }
        }
        const std::int64_t coarse = (sum / pixels + shade + 12) / 24 * 24;
        const auto level = static_cast<std::uint8_t>(std::clamp<std::int64_t>(coarse, 0, 255));
        for (std::size_t y = top; y < bottom; ++y) {
          for (std::size_t x = left; x < right; ++x) { picture.rgb[picture.offset(x, y) + channel] = level; }
        }
      }
    }
  }
}

/// Blurs with a square mean of 2 * radius + 1 pixels; at the border the mean is over the pixels that exist.
inline void soften(Picture& picture, std::size_t radius) {
  const Picture sharp = picture;
  for (std::size_t y = 0; y < picture.height; ++y) {
    const std::size_t top = y < radius ? 0 : y - radius;
    const std::size_t bottom = std::min(y + radius, picture.height - 1);
    for (std::size_t x = 0; x < picture.width; ++x) {
      const std::size_t left = x < radius ? 0 : x - radius;
      const std::size_t right = std::min(x + radius, picture.width - 1);
      const std::size_t count = (bottom - top + 1) * (right - left + 1);
      for (std::size_t channel = 0; channel < 3; ++channel) {
        std::size_t sum = count / 2;
        for (std::size_t v = top; v <= bottom; ++v) {
          for (std::size_t u = left; u <= right; ++u) { sum += sharp.rgb[sharp.offset(u, v) + channel]; }
        }
        picture.rgb[picture.offset(x, y) + channel] = static_cast<std::uint8_t>(sum / count);
      }
    }
  }
}

/// Lays pictures of one size out in rows of `columns`, `gap` white pixels apart, each pixel enlarged `zoom` times.
/// Errors: no pictures, pictures of different sizes, no columns or no zoom.
inline Picture contact_sheet(const std::vector<Picture>& pictures, std::size_t columns, std::size_t zoom = 1,
                             std::size_t gap = 2) {
  const bool alike = std::all_of(pictures.begin(), pictures.end(), [&](const Picture& picture) {
    return picture.width == pictures.front().width && picture.height == pictures.front().height;
  });
  if (pictures.empty() || !alike || columns == 0 || zoom == 0) {
    radapt::fail({.what = "laying out a contact sheet",
                  .expected = "at least one picture, all of one size, and at least one column and a zoom of 1",
                  .got = std::to_string(pictures.size()) + " pictures" + (alike ? "" : " of different sizes") + ", " +
                         std::to_string(columns) + " columns, zoom " + std::to_string(zoom),
                  .hint = "Draw every picture with the same size"});
  }
  const std::size_t rows = (pictures.size() + columns - 1) / columns;
  const std::size_t width = pictures.front().width * zoom + gap;
  const std::size_t height = pictures.front().height * zoom + gap;
  Picture sheet(columns * width + gap, rows * height + gap);
  std::fill(sheet.rgb.begin(), sheet.rgb.end(), std::uint8_t{255});
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const std::size_t left = gap + i % columns * width;
    const std::size_t top = gap + i / columns * height;
    for (std::size_t y = 0; y < pictures[i].height * zoom; ++y) {
      for (std::size_t x = 0; x < pictures[i].width * zoom; ++x) {
        const std::size_t from = pictures[i].offset(x / zoom, y / zoom);
        std::copy_n(pictures[i].rgb.begin() + static_cast<std::ptrdiff_t>(from), 3,
                    sheet.rgb.begin() + static_cast<std::ptrdiff_t>(sheet.offset(left + x, top + y)));
      }
    }
  }
  return sheet;
}

}  // namespace example
