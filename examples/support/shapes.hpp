#pragma once
/// The objects of the picture world as signed distances: negative inside, positive outside, about zero on the outline.
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "radapt/core/error.hpp"

#include "facts.hpp"
#include "fixed.hpp"

namespace example {

namespace shape {

constexpr Point at(Fixed x, Fixed y) { return Point{x, y}; }

/// A closed polygon with what its distance needs per edge.
template <std::size_t N>
struct Polygon {
  struct Edge {
    Point start;
    Point along;             ///< to the next corner
    Fixed inverse_square{};  ///< one over the squared length of `along`
  };
  std::array<Edge, N> edges{};

  constexpr explicit Polygon(const std::array<Point, N>& corners) {
    for (std::size_t i = 0; i < N; ++i) {
      edges[i].start = corners[i];
      edges[i].along = corners[(i + 1) % N] - corners[i];
      edges[i].inverse_square = 1_fx / dot(edges[i].along, edges[i].along);
    }
  }

  /// The distance to the nearest edge; the sign flips at every edge that a ray from `p` crosses.
  Fixed distance(Point p) const {
    std::int64_t nearest = std::numeric_limits<std::int64_t>::max();
    bool inside = false;
    for (const Edge& e : edges) {
      const Point from = p - e.start;
      const Fixed t = clamped(dot(from, e.along) * e.inverse_square, Fixed{}, 1_fx);
      const std::int64_t square = square_raw(from - e.along * t);
      if (square < nearest) { nearest = square; }
      const bool starts_above = p.y >= e.start.y;
      const bool ends_above = p.y >= e.start.y + e.along.y;
      const bool left = e.along.x.raw * from.y.raw > e.along.y.raw * from.x.raw;
      if (starts_above != ends_above && starts_above == left) { inside = !inside; }
    }
    const Fixed distance{whole_root(nearest)};
    return inside ? -distance : distance;
  }
};

inline Fixed disc(Point p, Point centre, Fixed radius) { return length(p - centre) - radius; }

/// An upright rectangle of the given half extents.
inline Fixed box(Point p, Point centre, Fixed half_width, Fixed half_height) {
  const Fixed x = magnitude(p.x - centre.x) - half_width;
  const Fixed y = magnitude(p.y - centre.y) - half_height;
  const Point outside{larger(x, Fixed{}), larger(y, Fixed{})};
  return length(outside) + smaller(larger(x, y), Fixed{});
}

inline Fixed joined(Fixed a, Fixed b) { return smaller(a, b); }
inline Fixed cut(Fixed a, Fixed hole) { return larger(a, -hole); }

inline Fixed triangle(Point p) {
  static constexpr Polygon<3> outline({at(0_fx, -0.92_fx), at(0.92_fx, 0.7_fx), at(-0.92_fx, 0.7_fx)});
  return outline.distance(p);
}

constexpr std::array<Point, 10> star_corners() {
  std::array<Point, 10> corners{};
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const std::int64_t angle = static_cast<std::int64_t>(i) * 65536 / 10;
    const Fixed radius = i % 2 == 0 ? 1_fx : 0.42_fx;
    corners[i] = at(sine(angle) * radius, -cosine(angle) * radius);
  }
  return corners;
}
inline Fixed star(Point p) {
  static constexpr Polygon<10> outline(star_corners());
  return outline.distance(p);
}

inline Fixed cross(Point p) { return joined(box(p, Point{}, 0.9_fx, 0.29_fx), box(p, Point{}, 0.29_fx, 0.9_fx)); }

inline Fixed ring(Point p) { return magnitude(length(p) - 0.66_fx) - 0.23_fx; }

/// Two discs and the kite between their lower tangents.
inline Fixed heart(Point p) {
  static constexpr Polygon<5> kite(
      {at(0_fx, 0.9_fx), at(0.766_fx, 0.013_fx), at(0.42_fx, -0.3_fx), at(-0.42_fx, -0.3_fx), at(-0.766_fx, 0.013_fx)});
  const Fixed lobe = disc(Point{magnitude(p.x), p.y}, at(0.42_fx, -0.3_fx), 0.46_fx);
  return joined(kite.distance(p), lobe);
}

inline Fixed arrow(Point p) {
  static constexpr Polygon<7> outline({at(-0.95_fx, -0.22_fx), at(0.05_fx, -0.22_fx), at(0.05_fx, -0.75_fx),
                                       at(0.97_fx, 0_fx), at(0.05_fx, 0.75_fx), at(0.05_fx, 0.22_fx),
                                       at(-0.95_fx, 0.22_fx)});
  return outline.distance(p);
}

inline Fixed moon(Point p) { return cut(disc(p, at(-0.1_fx, 0_fx), 0.88_fx), disc(p, at(0.36_fx, -0.1_fx), 0.76_fx)); }

inline Fixed house(Point p) {
  static constexpr Polygon<7> outline({at(0_fx, -0.92_fx), at(1_fx, -0.08_fx), at(0.72_fx, -0.08_fx),
                                       at(0.72_fx, 0.82_fx), at(-0.72_fx, 0.82_fx), at(-0.72_fx, -0.08_fx),
                                       at(-1_fx, -0.08_fx)});
  return cut(outline.distance(p), box(p, at(0_fx, 0.56_fx), 0.19_fx, 0.34_fx));
}

/// A conifer: three tiers and a trunk.
inline Fixed tree(Point p) {
  static constexpr Polygon<15> outline({at(0_fx, -1_fx), at(0.46_fx, -0.42_fx), at(0.24_fx, -0.42_fx),
                                        at(0.64_fx, 0.1_fx), at(0.34_fx, 0.1_fx), at(0.84_fx, 0.64_fx),
                                        at(0.16_fx, 0.64_fx), at(0.16_fx, 0.98_fx), at(-0.16_fx, 0.98_fx),
                                        at(-0.16_fx, 0.64_fx), at(-0.84_fx, 0.64_fx), at(-0.34_fx, 0.1_fx),
                                        at(-0.64_fx, 0.1_fx), at(-0.24_fx, -0.42_fx), at(-0.46_fx, -0.42_fx)});
  return outline.distance(p);
}

/// A lens-shaped body, a notched tail and an eye.
inline Fixed fish(Point p) {
  static constexpr Polygon<4> tail({at(0.3_fx, 0_fx), at(1_fx, -0.58_fx), at(0.8_fx, 0_fx), at(1_fx, 0.58_fx)});
  const Fixed body = disc(Point{p.x, magnitude(p.y)}, at(-0.2_fx, -0.42_fx), 0.9_fx);
  return cut(joined(body, tail.distance(p)), disc(p, at(-0.6_fx, -0.1_fx), 0.13_fx));
}

/// Five petals round an open centre.
inline Fixed flower(Point p) {
  Fixed distance = 4_fx;
  for (std::int64_t petal = 0; petal < 5; ++petal) {
    const std::int64_t angle = petal * 65536 / 5;
    distance = joined(distance, disc(p, at(sine(angle) * 0.58_fx, -cosine(angle) * 0.58_fx), 0.38_fx));
  }
  return cut(distance, disc(p, Point{}, 0.24_fx));
}

/// A hull and two sails.
inline Fixed boat(Point p) {
  static constexpr Polygon<4> hull(
      {at(-1_fx, 0.36_fx), at(1_fx, 0.36_fx), at(0.62_fx, 0.86_fx), at(-0.62_fx, 0.86_fx)});
  static constexpr Polygon<3> main_sail({at(0.06_fx, -0.98_fx), at(0.78_fx, 0.16_fx), at(0.06_fx, 0.16_fx)});
  static constexpr Polygon<3> fore_sail({at(-0.14_fx, -0.7_fx), at(-0.14_fx, 0.16_fx), at(-0.68_fx, 0.16_fx)});
  return joined(hull.distance(p), joined(main_sail.distance(p), fore_sail.distance(p)));
}

/// A beaker with a handle on its right side.
inline Fixed cup(Point p) {
  static constexpr Polygon<4> body(
      {at(-0.86_fx, -0.72_fx), at(0.42_fx, -0.72_fx), at(0.26_fx, 0.8_fx), at(-0.7_fx, 0.8_fx)});
  const Fixed handle = magnitude(disc(p, at(0.4_fx, -0.08_fx), 0.42_fx)) - 0.14_fx;
  return joined(body.distance(p), handle);
}

inline Fixed bolt(Point p) {
  static constexpr Polygon<6> outline({at(0.34_fx, -1_fx), at(-0.58_fx, 0.16_fx), at(-0.08_fx, 0.16_fx),
                                       at(-0.34_fx, 1_fx), at(0.58_fx, -0.26_fx), at(0.1_fx, -0.26_fx)});
  return outline.distance(p);
}

}  // namespace shape

/// The signed distance of `p` from the outline of an object that is centred on the origin and about 1 in radius,
/// upright.
inline Fixed distance(Object object, Point p) {
  switch (object) {
    case Object::circle:
      return shape::disc(p, Point{}, 0.85_fx);
    case Object::square:
      return shape::box(p, Point{}, 0.74_fx, 0.74_fx);
    case Object::triangle:
      return shape::triangle(p);
    case Object::star:
      return shape::star(p);
    case Object::cross:
      return shape::cross(p);
    case Object::ring:
      return shape::ring(p);
    case Object::heart:
      return shape::heart(p);
    case Object::arrow:
      return shape::arrow(p);
    case Object::moon:
      return shape::moon(p);
    case Object::house:
      return shape::house(p);
    case Object::tree:
      return shape::tree(p);
    case Object::fish:
      return shape::fish(p);
    case Object::flower:
      return shape::flower(p);
    case Object::boat:
      return shape::boat(p);
    case Object::cup:
      return shape::cup(p);
    case Object::bolt:
      return shape::bolt(p);
  }
  radapt::fail({.what = "drawing an object",
                .expected = "one of the named objects",
                .got = std::to_string(static_cast<unsigned>(object)),
                .hint = "Use the enumerators of example::Object"});
}

}  // namespace example
