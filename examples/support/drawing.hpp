#pragma once
/// Draws the facts of a picture: the scene, its background pattern, and one painter per style.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"

#include "facts.hpp"
#include "fixed.hpp"
#include "picture.hpp"
#include "random.hpp"
#include "shapes.hpp"

namespace example {

/// Everything random about one picture, chosen before the first pixel: the same random numbers give the same scene in
/// every style.
struct Scene {
  Facts facts;
  Point centre;               ///< of the object; the canvas reaches from -1 to 1 in x and y
  Fixed scale;                ///< radius of the object
  Fixed cosine, sine;         ///< of its rotation
  Fixed pixel;                ///< side of a pixel on the canvas
  Tone ink;                   ///< colour of the object
  Tone ground, ground_shade;  ///< the two tones of the background
  Point across;               ///< direction in which stripes and gradients change
  Fixed period;               ///< of stripes, dots and checks
  Point phase;                ///< where the pattern starts
  Fixed exposure;             ///< overall brightness of a photo, about 1
  std::uint64_t grain = 0;    ///< seed of everything that varies from pixel to pixel
};

/// What a painter needs to know about one pixel.
struct Spot {
  Point at;            ///< on the canvas
  Fixed distance;      ///< from the outline of the object, in canvas units, negative inside
  Fixed pattern;       ///< share of `ground_shade` in the background, 0 .. 1
  std::uint64_t bits;  ///< random bits of this pixel
};

namespace paint {

/// How much of a pixel lies inside an outline at this distance, 0 .. 1: an edge one pixel wide.
inline Fixed coverage(Fixed distance, Fixed pixel) { return clamped(0.5_fx - distance / pixel, Fixed{}, 1_fx); }
/// The same for a line of the given width along the outline.
inline Fixed line(Fixed distance, Fixed width, Fixed pixel) {
  return coverage(magnitude(distance) - width * 0.5_fx, pixel);
}

/// Random shades that change smoothly over the canvas, 0 .. 1, with `detail` cells per unit.
inline Fixed cloud(Point at, std::int64_t detail, std::uint64_t seed) {
  const Fixed x = (at.x + 4_fx) * Fixed::of(detail);
  const Fixed y = (at.y + 4_fx) * Fixed::of(detail);
  const auto corner = [&](std::int64_t dx, std::int64_t dy) {
    const auto cell = static_cast<std::uint64_t>((y.floor() + dy) * 65536 + x.floor() + dx);
    return Fixed{static_cast<std::int64_t>(scramble(seed + cell * 0x9E3779B97F4A7C15U) >> 48)};
  };
  const Fixed u = smooth(fraction(x));
  const Fixed top = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * u;
  const Fixed bottom = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * u;
  return top + (bottom - top) * smooth(fraction(y));
}

/// A random number in -1 .. 1 from one byte of the pixel's bits.
inline Fixed grain(const Spot& spot, unsigned byte) {
  return Fixed{static_cast<std::int64_t>((spot.bits >> (8 * byte)) & 255U) * 514 - 65535};
}

/// Distance from the nearest border of a square wave of the given period; negative in the middle half of a period.
inline Fixed wave(Fixed position, Fixed period) {
  const Fixed phase = fraction(position / period);
  return (magnitude(phase - 0.5_fx) - 0.25_fx) * period;
}

/// The share of the shade tone at a point of the background.
inline Fixed pattern(const Scene& scene, Point at) {
  const Point p = at + scene.phase;
  switch (scene.facts.background) {
    case Background::plain:
      return Fixed{};
    case Background::gradient:
      return clamped(dot(at, scene.across) * 0.6_fx + 0.5_fx, Fixed{}, 1_fx);
    case Background::stripes:
      return coverage(wave(dot(p, scene.across), scene.period), scene.pixel);
    case Background::dots: {
      const Fixed x = (fraction(p.x / scene.period) - 0.5_fx) * scene.period;
      const Fixed y = (fraction(p.y / scene.period) - 0.5_fx) * scene.period;
      return coverage(length(Point{x, y}) - scene.period * 0.33_fx, scene.pixel);
    }
    case Background::checker: {
      const Fixed x = coverage(wave(p.x, scene.period * 2_fx), scene.pixel);
      const Fixed y = coverage(wave(p.y, scene.period * 2_fx), scene.pixel);
      return x + y - 2_fx * x * y;
    }
    case Background::noise: {
      const Fixed level = cloud(at, 5, scene.grain ^ 0x5EED) + cloud(at, 11, scene.grain ^ 0xF1E1D);
      return clamped(level * 1.4_fx - 0.9_fx, Fixed{}, 1_fx);
    }
  }
  return Fixed{};
}

inline Tone ground(const Scene& scene, const Spot& spot) { return mix(scene.ground, scene.ground_shade, spot.pattern); }

/// Filled, lit from the upper left, with a soft shadow and slight noise.
inline Tone photo(const Scene& scene, const Spot& spot) {
  const Fixed shadow = clamped(0.55_fx - spot.distance * 3_fx, Fixed{}, 0.5_fx);
  const Tone back = mix(ground(scene, spot), tone(20, 20, 28), shadow);
  const Fixed light = clamped((spot.at.x - scene.centre.x + spot.at.y - scene.centre.y) * 0.3_fx, -0.3_fx, 0.3_fx);
  const Tone lit =
      light < Fixed{} ? mix(scene.ink, tone(255, 255, 255), -light) : mix(scene.ink, tone(10, 6, 20), light);
  const Tone picture = mix(back, lit, coverage(spot.distance, scene.pixel));
  const Fixed noise = (grain(spot, 0) + grain(spot, 1)) * 5_fx;
  return picture * scene.exposure + tone(noise, noise, noise);
}

/// A shaky black outline and a little hatching on paper. Colours are not visible.
inline Tone sketch(const Scene& scene, const Spot& spot) {
  const Fixed paper = 240_fx + grain(spot, 0) * 4_fx - spot.pattern * 26_fx;
  const Fixed shaky = spot.distance + (cloud(spot.at, 4, scene.grain) - 0.5_fx) * 0.06_fx;
  const Fixed outline = line(shaky, 0.105_fx, scene.pixel);
  const Fixed hatch = coverage(wave(spot.at.x + spot.at.y, 0.3_fx) + 0.03_fx, scene.pixel) *
                      coverage(spot.distance + 0.05_fx, scene.pixel) * 0.28_fx;
  const Tone sheet = tone(paper, paper - 2_fx, paper - 12_fx);
  return mix(mix(sheet, tone(90, 90, 96), hatch), tone(24, 24, 28), outline);
}

/// A glowing tube along the outline in the dark.
inline Tone neon(const Scene& scene, const Spot& spot) {
  const Fixed away = magnitude(spot.distance);
  const Fixed glow = 0.02_fx / (0.02_fx + away * away);
  const Tone wall = mix(tone(8, 6, 16), ground(scene, spot), 0.12_fx);
  const Tone lit = wall + scene.ink * (glow * 0.8_fx);
  return mix(lit, mix(scene.ink, tone(255, 255, 255), 0.45_fx), line(spot.distance, 0.1_fx, scene.pixel));
}

/// Flat strong colours and a thick dark outline with a pale rim.
inline Tone poster(const Scene& scene, const Spot& spot) {
  const Tone back = mix(scene.ground, scene.ground_shade, spot.pattern < 0.5_fx ? Fixed{} : 1_fx);
  const Tone strong = mix(back, pure_tone(scene.facts.ground_colour), 0.6_fx);
  const Tone rim = mix(strong, tone(250, 246, 232), coverage(spot.distance - 0.2_fx, scene.pixel));
  const Tone border = mix(rim, tone(22, 20, 30), coverage(spot.distance - 0.09_fx, scene.pixel));
  return mix(border, pure_tone(scene.facts.colour), coverage(spot.distance + 0.02_fx, scene.pixel));
}

/// Broken strokes of coloured chalk on a green board.
inline Tone chalk(const Scene& scene, const Spot& spot) {
  const Fixed dust = cloud(spot.at, 3, scene.grain ^ 0xD057) * 16_fx + grain(spot, 0) * 4_fx;
  const Tone board = mix(tone(30_fx + dust, 74_fx + dust, 56_fx + dust), tone(210, 214, 205), spot.pattern * 0.14_fx);
  const Fixed texture = clamped(0.78_fx + grain(spot, 1) * 0.45_fx, Fixed{}, 1_fx);
  const Fixed rubbed = coverage(wave(spot.at.x - spot.at.y, 0.24_fx) + 0.02_fx, scene.pixel) *
                       coverage(spot.distance, scene.pixel) * 0.5_fx;
  const Fixed stroke = larger(line(spot.distance, 0.15_fx, scene.pixel), rubbed);
  return mix(board, mix(scene.ink, tone(255, 255, 255), 0.22_fx), stroke * texture);
}

/// The photo with every colour turned into its opposite.
inline Tone negative(const Scene& scene, const Spot& spot) { return tone(255, 255, 255) - photo(scene, spot); }

/// Pale washes on paper that run over the outline and collect at its edge; `soften` finishes it.
inline Tone watercolour(const Scene& scene, const Spot& spot) {
  const Fixed wash = cloud(spot.at, 3, scene.grain ^ 0x3A5E);
  const Tone paper = tone(252, 250, 243);
  const Tone back = mix(paper, ground(scene, spot), 0.35_fx + wash * 0.3_fx);
  const Fixed run = spot.distance + (cloud(spot.at, 5, scene.grain) - 0.5_fx) * 0.12_fx;
  const Fixed pigment = 0.62_fx + (wash - 0.5_fx) * 0.4_fx + line(run + 0.06_fx, 0.14_fx, scene.pixel) * 0.4_fx;
  return mix(back, mix(paper, scene.ink, clamped(pigment, Fixed{}, 1_fx)), coverage(run, scene.pixel));
}

/// One pixel in the style of the scene. A mosaic starts as a photo; `tile` finishes it.
inline Tone spot(const Scene& scene, const Spot& at) {
  switch (scene.facts.style) {
    case Style::photo:
    case Style::mosaic:
      return photo(scene, at);
    case Style::sketch:
      return sketch(scene, at);
    case Style::neon:
      return neon(scene, at);
    case Style::poster:
      return poster(scene, at);
    case Style::chalk:
      return chalk(scene, at);
    case Style::negative:
      return negative(scene, at);
    case Style::watercolour:
      return watercolour(scene, at);
  }
  radapt::fail({.what = "drawing a picture",
                .expected = "one of the named styles",
                .got = std::to_string(static_cast<unsigned>(scene.facts.style)),
                .hint = "Use the enumerators of example::Style"});
}

}  // namespace paint

/// Chooses everything random about a picture of `facts`. Takes the same count of random numbers for all facts.
inline Scene compose(const Facts& facts, Random& random, std::size_t size) {
  Scene scene;
  scene.facts = facts;
  scene.pixel = Fixed::ratio(2, static_cast<std::int64_t>(size));
  scene.scale = Fixed{random.between((0.6_fx).raw, (0.8_fx).raw)};
  const Fixed room = 0.95_fx - scene.scale;
  scene.centre.x = Fixed{random.between(-room.raw, room.raw)};
  scene.centre.y = Fixed{random.between(-room.raw, room.raw)};
  const std::int64_t degree = 65536 / 360;
  const std::int64_t lean = random.between(-10 * degree, 10 * degree);
  const std::int64_t turn = random.between(60 * degree, 300 * degree);
  const std::int64_t angle = facts.tilt == Tilt::upright ? lean : turn;
  scene.cosine = cosine(angle);
  scene.sine = sine(angle);
  const auto varied = [&random](Tone colour, std::int64_t by) {
    const Fixed r = Fixed::of(random.between(-by, by));
    const Fixed g = Fixed::of(random.between(-by, by));
    const Fixed b = Fixed::of(random.between(-by, by));
    return within_range(colour + tone(r, g, b));
  };
  scene.ink = varied(object_tone(facts.colour), 14);
  scene.ground = varied(ground_tone(facts.ground_colour), 12);
  scene.ground_shade = mix(scene.ground, tone(40, 36, 60), Fixed{random.between((0.38_fx).raw, (0.52_fx).raw)});
  const std::int64_t direction = random.between(0, 65535);
  scene.across = Point{cosine(direction), sine(direction)};
  scene.period = Fixed{random.between((0.42_fx).raw, (0.58_fx).raw)};
  scene.phase = Point{Fixed{random.between(4 * Fixed::unit, 5 * Fixed::unit)},
                      Fixed{random.between(4 * Fixed::unit, 5 * Fixed::unit)}};
  scene.exposure = Fixed{random.between((0.88_fx).raw, (1.06_fx).raw)};
  scene.grain = random.next();
  return scene;
}

/// Draws `facts` as a square picture of `size` x `size` pixels (8 .. 1024, else an error).
///
/// Pose, tones and noise come from `random`; the same facts and random numbers give the same bytes on every machine,
/// because all arithmetic is on whole numbers.
inline Picture draw(const Facts& facts, Random& random, std::size_t size = 32) {
  if (size < 8 || size > 1024) {
    radapt::fail({.what = "drawing a picture",
                  .expected = "a side of 8 .. 1024 pixels",
                  .got = std::to_string(size),
                  .hint = "The usual side is 32"});
  }
  const Scene scene = compose(facts, random, size);
  const Fixed shrink = 1_fx / scene.scale;
  Picture picture(size, size);
  Spot spot;
  for (std::size_t y = 0; y < size; ++y) {
    spot.at.y = Fixed{(2 * static_cast<std::int64_t>(y) + 1) * Fixed::unit / static_cast<std::int64_t>(size)} - 1_fx;
    for (std::size_t x = 0; x < size; ++x) {
      spot.at.x = Fixed{(2 * static_cast<std::int64_t>(x) + 1) * Fixed::unit / static_cast<std::int64_t>(size)} - 1_fx;
      const Point from = (spot.at - scene.centre) * shrink;
      const Point within{scene.cosine * from.x + scene.sine * from.y, scene.cosine * from.y - scene.sine * from.x};
      spot.distance = distance(facts.object, within) * scene.scale;
      spot.pattern = paint::pattern(scene, spot.at);
      spot.bits = scramble(scene.grain + (y * 65536 + x) * 0x9E3779B97F4A7C15U);
      picture.set(x, y, paint::spot(scene, spot));
    }
  }
  if (facts.style == Style::mosaic) { tile(picture, std::max<std::size_t>(2, size * 3 / 32), scene.grain); }
  if (facts.style == Style::watercolour) { soften(picture, std::max<std::size_t>(1, size / 32)); }
  return picture;
}

}  // namespace example
