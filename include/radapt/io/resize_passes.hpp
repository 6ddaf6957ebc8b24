#pragma once
/// The two passes of resizing, along x and along y: integer weights, and an image rounded to pixels between them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "radapt/core/shape.hpp"

namespace radapt {

/// How an output pixel follows from input pixels. All but nearest widen with the scale when the image shrinks, so that
/// every input pixel counts (antialiasing).
enum class Interpolation : std::uint8_t {
  nearest,   ///< the input pixel under the centre of the output pixel
  box,       ///< mean of the covered input pixels
  bilinear,  ///< triangle
  bicubic,   ///< Keys' cubic with a = -0.5
};

/// A rectangle of pixels within an image.
struct Window {
  Index left = 0, top = 0, width = 0, height = 0;
};

/// Which side is resized first where both change; the rounding between the two passes shows it, by a few grey levels.
enum class PassOrder : std::uint8_t {
  along_x_first,  ///< Pillow up to 12.1
  pillow_13,      ///< along y first where h - H > max(0, 2 (w - W)) when w x h becomes W x H: Pillow 13.0
};

namespace detail {

/// a b, rounded before anything is added to it: where a processor has fused instructions, compilers put one rounding in
/// the place of two, and a grey level in a million changes. The empty instruction keeps g++ from seeing the product.
inline double rounded_product(double a, double b) {
  double product = a * b;
#if defined(__GNUC__)
  asm("" : "+m"(product));
#endif
  return product;
}

/// Half the width of a filter, in pixels of the larger image.
constexpr double filter_support(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::nearest:
    case Interpolation::box:
      return 0.5;
    case Interpolation::bilinear:
      return 1.0;
    case Interpolation::bicubic:
      return 2.0;
  }
  return 0.0;
}

/// The filter at distance x, not normalised.
inline double filter_value(Interpolation interpolation, double x) {
  if (interpolation == Interpolation::nearest || interpolation == Interpolation::box) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  }
  const double r = std::abs(x);
  if (interpolation == Interpolation::bilinear) { return r < 1.0 ? 1.0 - r : 0.0; }
  constexpr double a = -0.5;
  if (r < 1.0) { return rounded_product((rounded_product(a + 2.0, r) - (a + 3.0)) * r, r) + 1.0; }
  if (r < 2.0) { return (rounded_product(rounded_product(r - 5.0, r) + 8.0, r) - 4.0) * a; }
  return 0.0;
}

/// Bytes are blended in 32-bit integers: weights carry 22 bits after the point, and the sum starts at one half.
/// The absolute weights of a cubic add up to less than 1.3, so that a sum stays below 2^31.
struct ByteBlend {
  using Pixel = std::uint8_t;
  using Weight = std::int32_t;
  using Sum = std::int32_t;
  static constexpr int fraction_bits = 22;
  static constexpr Sum start = Sum{1} << (fraction_bits - 1);

  static Sum product(Pixel pixel, Weight weight) { return pixel * weight; }
  static Weight weight(double w) { return static_cast<Weight>(w * (1 << fraction_bits) + (w < 0 ? -0.5 : 0.5)); }
  static Pixel finish(Sum sum) { return static_cast<Pixel>(std::clamp(sum >> fraction_bits, 0, 255)); }
};

/// 32-bit integers are blended in double precision and rounded half away from zero.
struct IntegerBlend {
  using Pixel = std::int32_t;
  using Weight = double;
  using Sum = double;
  static constexpr Sum start = 0.0;

  static Sum product(Pixel pixel, Weight weight) { return rounded_product(pixel, weight); }
  static Weight weight(double w) { return w; }
  static Pixel finish(Sum sum) {
    using limits = std::numeric_limits<Pixel>;
    return static_cast<Pixel>(std::clamp(sum + (sum < 0 ? -0.5 : 0.5), double{limits::min()}, double{limits::max()}));
  }
};

/// Which input pixels make output pixel i, along one side: weights[begin[i] .. begin[i + 1]), from pixel first[i] on.
template <class Weight>
struct Taps {
  std::vector<Index> first, begin{0};
  std::vector<Weight> weights;

  Index count(Index i) const { return begin[i + 1] - begin[i]; }
};

/// The taps of the output pixels from .. from + count - 1, when `in` pixels become `out`.
template <class Blend>
Taps<typename Blend::Weight> taps(Index in, Index out, Interpolation interpolation, Index from, Index count) {
  Taps<typename Blend::Weight> taps;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0), reach = rounded_product(filter_support(interpolation), stretch);
  std::vector<double> values;
  for (Index i = from; i < from + count; ++i) {
    const double centre = rounded_product(static_cast<double>(i) + 0.5, scale);
    const auto first = static_cast<Index>(std::max(centre - reach + 0.5, 0.0));
    const auto last = std::min(static_cast<Index>(centre + reach + 0.5), in);
    values.clear();
    double total = 0.0;
    for (Index k = first; k < last; ++k) {
      values.push_back(
          filter_value(interpolation, rounded_product(static_cast<double>(k) - centre + 0.5, 1.0 / stretch)));
      total += values.back();
    }
    taps.first.push_back(first);
    for (const double value : values) { taps.weights.push_back(Blend::weight(total != 0.0 ? value / total : value)); }
    taps.begin.push_back(taps.weights.size());
  }
  return taps;
}

/// out[j] = the blend of in[k * stride + j] over the taps k, for j < n. Whole blocks have a constant length, so that
/// compilers turn the inner loops into vector instructions.
template <class Blend>
void blend(const typename Blend::Pixel* in, Index stride, const typename Blend::Weight* weights, Index taps, Index n,
           typename Blend::Pixel* out) {
  constexpr Index block = 16;
  Index j = 0;
  for (; j + block <= n; j += block) {
    typename Blend::Sum sums[block];
    for (Index b = 0; b < block; ++b) { sums[b] = Blend::start; }
    const auto* source = in + j;
    for (Index k = 0; k < taps; ++k, source += stride) {
      const auto weight = weights[k];
      for (Index b = 0; b < block; ++b) { sums[b] += Blend::product(source[b], weight); }
    }
    for (Index b = 0; b < block; ++b) { out[j + b] = Blend::finish(sums[b]); }
  }
  for (; j < n; ++j) {
    auto sum = Blend::start;
    for (Index k = 0; k < taps; ++k) { sum += Blend::product(in[k * stride + j], weights[k]); }
    out[j] = Blend::finish(sum);
  }
}

/// Rows of an image with C channels; `data` holds the rows from `top` on.
template <class Pixel>
struct Rows {
  std::vector<Pixel> data;
  Index width = 0, top = 0, height = 0;
};

/// Side of the square tiles in which rows are turned into columns.
inline constexpr Index tile_side = 16;

/// Turns a tile of 16 rows of 16 elements. A perfect shuffle of 256 elements rotates the eight bits of every place by
/// one; four of them exchange row and column. Each interleaves two halves, which compilers do in vector registers.
template <class Pixel>
void turn_tile(Pixel* tile) {
  constexpr Index half = tile_side * tile_side / 2;
  Pixel other[2 * half];
  const auto shuffle = [](const Pixel* in, Pixel* out) {
    for (Index i = 0; i < half; ++i) {
      out[2 * i] = in[i];
      out[2 * i + 1] = in[half + i];
    }
  };
  for (int twice = 0; twice < 2; ++twice) {
    shuffle(tile, other);
    shuffle(other, tile);
  }
}

/// Copies `n` elements; a whole side of a tile, as nearly always, with a length that is known when it is compiled.
template <class Pixel>
void copy_side(const Pixel* from, Index n, Pixel* to) {
  n == tile_side ? std::copy_n(from, tile_side, to) : std::copy_n(from, n, to);
}

/// The horizontal pass over the rows top .. top + height - 1 of `in`, which is `width` pixels wide.
/// A strip of rows is turned so that a column lies contiguous; blending columns is then like blending rows.
template <class Blend, Index C>
Rows<typename Blend::Pixel> blend_columns(const typename Blend::Pixel* in, Index width, Index top, Index height,
                                          const Taps<typename Blend::Weight>& taps) {
  using Pixel = typename Blend::Pixel;
  constexpr Index strip = tile_side, column = strip * C;
  Rows<Pixel> out;
  out.width = taps.first.size();
  out.top = top;
  out.height = height;
  const Index row_in = width * C, row_out = out.width * C;
  out.data.resize(row_out * height);
  const Index first = taps.first.front(), last = taps.first.back() + taps.count(out.width - 1);
  const Index read = (last - first) * C;  // elements of a row that any output pixel reads
  const auto tiles = [](Index elements) { return (elements + tile_side - 1) / tile_side; };
  std::vector<Pixel> turned(tiles(read) * tile_side * strip), blended(tiles(row_out) * tile_side * strip);
  for (Index y = 0; y < height; y += strip) {
    const Index rows = std::min(strip, height - y);  // of the last strip; what is below keeps old pixels, unused
    for (Index j = 0; j < read; j += tile_side) {
      const Pixel* from = in + (top + y) * row_in + first * C + j;
      Pixel* tile = turned.data() + j * strip;
      for (Index r = 0; r < rows; ++r) {
        copy_side(from + r * row_in, std::min(tile_side, read - j), tile + r * tile_side);
      }
      turn_tile(tile);
    }
    for (Index x = 0; x < out.width; ++x) {
      blend<Blend>(turned.data() + (taps.first[x] - first) * column, column, taps.weights.data() + taps.begin[x],
                   taps.count(x), column, blended.data() + x * column);
    }
    for (Index j = 0; j < row_out; j += tile_side) {
      Pixel* tile = blended.data() + j * strip;
      turn_tile(tile);
      Pixel* to = out.data.data() + y * row_out + j;
      for (Index r = 0; r < rows; ++r) {
        copy_side(tile + r * tile_side, std::min(tile_side, row_out - j), to + r * row_out);
      }
    }
  }
  return out;
}

/// Whether the order puts y first. Shrinking tall images along y first leaves fewer rows for the slower pass along x.
inline bool along_y_first(PassOrder order, Index width, Index height, Index out_width, Index out_height) {
  if (order != PassOrder::pillow_13 || out_width == width) { return false; }
  const auto fewer = [](Index from, Index to) { return static_cast<double>(from) - static_cast<double>(to); };
  return fewer(height, out_height) > std::max(0.0, 2 * fewer(width, out_width));
}

/// As blend_window, along y first.
template <class Blend, Index C>
std::vector<typename Blend::Pixel> blend_window_along_y_first(const typename Blend::Pixel* in, Index width,
                                                              Index height, Index out_width, Index out_height,
                                                              Interpolation interpolation, Window window) {
  using Weight = typename Blend::Weight;
  const Taps<Weight> down = taps<Blend>(height, out_height, interpolation, window.top, window.height);
  Taps<Weight> across = taps<Blend>(width, out_width, interpolation, window.left, window.width);
  const Index left = across.first.front(), right = across.first.back() + across.count(window.width - 1);
  for (Index& first : across.first) { first -= left; }
  const Index row = (right - left) * C;  // what the second pass reads
  std::vector<typename Blend::Pixel> rows(window.height * row);
  for (Index y = 0; y < window.height; ++y) {
    blend<Blend>(in + (down.first[y] * width + left) * C, width * C, down.weights.data() + down.begin[y], down.count(y),
                 row, rows.data() + y * row);
  }
  return blend_columns<Blend, C>(rows.data(), right - left, 0, window.height, across).data;
}

/// The part `window` of `in` (height x width, C channels) resized to out_height x out_width.
/// PIL resizes along one side, rounds to pixels, then along the other, and leaves out a side that keeps its length.
template <class Blend, Index C>
std::vector<typename Blend::Pixel> blend_window(const typename Blend::Pixel* in, Index width, Index height,
                                                Index out_width, Index out_height, Interpolation interpolation,
                                                Window window, PassOrder order) {
  using Pixel = typename Blend::Pixel;
  if (along_y_first(order, width, height, out_width, out_height)) {
    return blend_window_along_y_first<Blend, C>(in, width, height, out_width, out_height, interpolation, window);
  }
  const auto down = out_height == height ? Taps<typename Blend::Weight>{}
                                         : taps<Blend>(height, out_height, interpolation, window.top, window.height);
  const Index top = down.first.empty() ? window.top : down.first.front();
  const Index bottom = down.first.empty() ? top + window.height : down.first.back() + down.count(window.height - 1);
  Rows<Pixel> across;
  if (out_width != width) {
    across = blend_columns<Blend, C>(in, width, top, bottom - top,
                                     taps<Blend>(width, out_width, interpolation, window.left, window.width));
  } else {
    across.width = window.width;
    across.top = top;
    across.height = bottom - top;
    for (Index y = top; y < bottom; ++y) {
      const Pixel* row = in + (y * width + window.left) * C;
      across.data.insert(across.data.end(), row, row + window.width * C);
    }
  }
  if (down.first.empty()) { return std::move(across.data); }
  const Index row = across.width * C;
  std::vector<Pixel> out(window.height * row);
  for (Index y = 0; y < window.height; ++y) {
    blend<Blend>(across.data.data() + (down.first[y] - top) * row, row, down.weights.data() + down.begin[y],
                 down.count(y), row, out.data() + y * row);
  }
  return out;
}

}  // namespace detail

}  // namespace radapt
