#pragma once
/// From a decoded image to the pixel tensor that CLIP reads: resize, crop, RGB, normalise; and the random crop of
/// training. The bytes are those of the PIL-based pipelines of OpenAI, open_clip and Hugging Face.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "radapt/io/image_mode.hpp"
#include "radapt/io/orientation.hpp"
#include "radapt/io/resize.hpp"
#include "radapt/io/xtensor.hpp"

namespace radapt {

/// How a width x height image is brought to a square.
enum class ResizeMode : std::uint8_t {
  shortest,  ///< short side to `size`, long side to size * long / short (truncated); then the centre is cropped
  longest,   ///< long side to `size`, short side in proportion (rounded half to even); then padded with `fill`
  squash,    ///< both sides to `size`
};

/// Where the centre begins when the room on both sides is odd.
enum class CropRule : std::uint8_t {
  round_half_even,  ///< torchvision: room / 2 rounded half to even; of an odd padding the smaller half goes before
  floor,            ///< Hugging Face: room / 2 rounded down; of an odd padding the larger half goes before
};

/// When the image becomes RGB. It matters for every mode whose pixels PIL does not blend like RGB: palette, 1-bit,
/// alpha.
enum class ConvertRule : std::uint8_t {
  resize_then_rgb,  ///< OpenAI, open_clip
  rgb_then_resize,  ///< Hugging Face, and loaders that convert on reading
};

/// A random part of an image, for training: torchvision's RandomResizedCrop.
/// Up to ten times, an area is drawn (a share of the image's, uniform in `scale`) and an aspect ratio (width / height,
/// uniform in its logarithm over `ratio`); the first pair that fits is placed uniformly. If none fits, the largest
/// centred part whose aspect ratio lies within `ratio` is taken.
struct RandomResizedCrop {
  std::array<double, 2> scale{0.9, 1.0};
  std::array<double, 2> ratio{3.0 / 4.0, 4.0 / 3.0};

  /// A part of a width x height image. `uniform()` gives the next random number in [0, 1); they are used in the order
  /// area, aspect ratio for each try, then top, left. Fails for an empty image and for ranges that are not
  /// 0 < from <= to.
  template <class Uniform>
  Window operator()(Index width, Index height, Uniform&& uniform) const {
    check();
    if (width == 0 || height == 0) {
      fail({.what = "cropping at random", .expected = "an image with pixels", .got = "none", .hint = {}});
    }
    const auto w = static_cast<double>(width), h = static_cast<double>(height);
    const auto between = [&](double from, double to) { return from + (to - from) * static_cast<double>(uniform()); };
    const auto below = [&](Index bound) {
      const auto drawn = static_cast<Index>(static_cast<double>(uniform()) * static_cast<double>(bound));
      return std::min(drawn, bound - 1);
    };
    for (int tries = 0; tries < 10; ++tries) {
      const double area = w * h * between(scale[0], scale[1]);
      const double aspect = std::exp(between(std::log(ratio[0]), std::log(ratio[1])));
      const double part_w = std::nearbyint(std::sqrt(area * aspect)), part_h = std::nearbyint(std::sqrt(area / aspect));
      if (part_w < 1 || part_w > w || part_h < 1 || part_h > h) { continue; }
      Window part{.left = 0, .top = 0, .width = static_cast<Index>(part_w), .height = static_cast<Index>(part_h)};
      part.top = below(height - part.height + 1);
      part.left = below(width - part.width + 1);
      return part;
    }
    Window part{.left = 0, .top = 0, .width = width, .height = height};
    if (w / h < ratio[0]) {
      part.height = std::clamp<Index>(static_cast<Index>(std::nearbyint(w / ratio[0])), 1, height);
    } else if (w / h > ratio[1]) {
      part.width = std::clamp<Index>(static_cast<Index>(std::nearbyint(h * ratio[1])), 1, width);
    }
    part.left = (width - part.width) / 2;
    part.top = (height - part.height) / 2;
    return part;
  }

 private:
  void check() const {
    for (const auto& range : {scale, ratio}) {
      if (!(range[0] > 0 && range[0] <= range[1] && std::isfinite(range[1]))) {
        fail({.what = "cropping at random",
              .expected = "a range with 0 < from <= to",
              .got = std::to_string(range[0]) + " to " + std::to_string(range[1]),
              .hint = {}});
      }
    }
  }
};

/// What is done to an image before the vision tower, as settings; the defaults are OpenAI's. A checkpoint's own
/// preprocessor_config.json or preprocess_cfg takes precedence over any rule of thumb.
struct Preprocess {
  Index size = 224;                                              ///< side of the result, pixels; 1 to 32768
  ResizeMode resize_mode = ResizeMode::shortest;                 ///< preprocess_cfg "resize_mode"
  Interpolation interpolation = Interpolation::bicubic;          ///< "interpolation"; preprocessor_config "resample"
  PassOrder pass_order = PassOrder::along_x_first;               ///< as the Pillow that the model was trained with
  CropRule crop_rule = CropRule::round_half_even;                ///< where an odd room goes
  ConvertRule convert_rule = ConvertRule::resize_then_rgb;       ///< when to convert
  std::array<float, 3> mean{.48145466f, .4578275f, .40821073f};  ///< of RGB values in 0..1
  std::array<float, 3> std{.26862954f, .26130258f, .27577711f};  ///< of RGB values in 0..1; not 0
  std::uint8_t fill = 0;           ///< padding of mode longest: value of every channel in the mode it is padded in
  bool apply_orientation = false;  ///< turn upright by Image::orientation first; PIL-based pipelines do not

  /// The rules of OpenAI's CLIP and open_clip, for images of `size` pixels.
  static Preprocess openai(Index size = 224) {
    Preprocess rules;
    rules.size = size;
    return rules;
  }
  /// The rules of Hugging Face's CLIPImageProcessor (the PIL-based one), for images of `size` pixels.
  static Preprocess huggingface(Index size = 224) {
    Preprocess rules;
    rules.size = size;
    rules.crop_rule = CropRule::floor;
    rules.convert_rule = ConvertRule::rgb_then_resize;
    return rules;
  }

  /// Number of floats of a result: 3 * size * size.
  Index elements() const { return 3 * size * size; }

  /// The image resized, cropped and converted: size x size pixels of mode rgb.
  /// Fails for an inconsistent image, and in mode longest if the short side would shrink to nothing.
  Image pixels(const Image& image) const {
    return prepared(image, [&](const Image& start) { return squared(start); });
  }

  /// As pixels(image), but a random part of the image is resized to the whole square, whatever `resize_mode` says.
  /// `uniform` as in RandomResizedCrop.
  template <class Uniform>
  Image pixels(const Image& image, const RandomResizedCrop& random_crop, Uniform&& uniform) const {
    return prepared(image, [&](const Image& start) {
      const Window part = random_crop(start.width, start.height, uniform);
      const auto left = static_cast<std::ptrdiff_t>(part.left), top = static_cast<std::ptrdiff_t>(part.top);
      return resize(crop(start, left, top, part.width, part.height), size, size, interpolation, pass_order);
    });
  }

  /// size x size pixels of mode rgb as floats, (3, size, size): value / 255 minus mean, divided by std, each in f32.
  void normalise(const Image& rgb, std::span<float> out) const {
    check();
    check_image(rgb, "normalising");
    if (rgb.mode != PixelMode::rgb || rgb.width != size || rgb.height != size || out.size() != elements()) {
      const std::string side = std::to_string(size);
      fail({.what = "normalising",
            .expected = side + " x " + side + " RGB pixels and room for " + std::to_string(elements()) + " floats",
            .got = std::to_string(rgb.width) + " x " + std::to_string(rgb.height) + " of mode " + pil_name(rgb.mode) +
                   " and " + std::to_string(out.size()) + " floats",
            .hint = {}});
    }
    const Index plane = size * size;
    for (Index c = 0; c < 3; ++c) {
      std::array<float, 256> value;
      for (Index v = 0; v < 256; ++v) { value[v] = (static_cast<float>(v) / 255.0f - mean[c]) / std[c]; }
      const std::uint8_t* in = rgb.pixels.data() + c;
      float* to = out.data() + c * plane;
      for (Index i = 0; i < plane; ++i) { to[i] = value[in[3 * i]]; }
    }
  }

  /// An image for the model, (3, size, size), into memory of the caller: `out` has elements() floats.
  void operator()(const Image& image, std::span<float> out) const { normalise(pixels(image), out); }

  /// An image for the model, (3, size, size).
  xt::xtensor<float, 3> operator()(const Image& image) const { return tensor(pixels(image)); }

  /// An image for training, into memory of the caller. See pixels(image, random_crop, uniform).
  template <class Uniform>
  void operator()(const Image& image, const RandomResizedCrop& random_crop, Uniform&& uniform,
                  std::span<float> out) const {
    normalise(pixels(image, random_crop, uniform), out);
  }

  /// An image for training, (3, size, size).
  template <class Uniform>
  xt::xtensor<float, 3> operator()(const Image& image, const RandomResizedCrop& random_crop, Uniform&& uniform) const {
    return tensor(pixels(image, random_crop, uniform));
  }

 private:
  void check() const {
    if (size < 1 || size > 32768) {
      fail({.what = "preprocessing", .expected = "a size of 1 to 32768", .got = std::to_string(size), .hint = {}});
    }
    for (const float s : std) {
      if (!(std::abs(s) > 0.0f)) {
        fail({.what = "preprocessing", .expected = "a std other than 0", .got = std::to_string(s), .hint = {}});
      }
    }
  }

  xt::xtensor<float, 3> tensor(const Image& rgb) const {
    auto out = xt::xtensor<float, 3>::from_shape({3, size, size});
    normalise(rgb, {out.data(), out.size()});
    return out;
  }

  /// What comes before and after the change of size.
  template <class Resize>
  Image prepared(const Image& image, const Resize& change_size) const {
    check();
    check_image(image, "preprocessing");
    Image changed;
    const Image* current = &image;
    if (apply_orientation && image.orientation != 1) {
      changed = radapt::apply_orientation(image);
      current = &changed;
    }
    if (convert_rule == ConvertRule::rgb_then_resize && current->mode != PixelMode::rgb) {
      changed = to_rgb(*current);
      current = &changed;
    }
    Image resized = change_size(*current);
    return resized.mode == PixelMode::rgb ? std::move(resized) : to_rgb(resized);
  }

  /// Width and height after resizing, before cropping or padding.
  std::array<Index, 2> resized_sides(const Image& image) const {
    const auto w = static_cast<double>(image.width), h = static_cast<double>(image.height);
    const auto side = static_cast<double>(size);
    if (resize_mode == ResizeMode::squash) { return {size, size}; }
    if (resize_mode == ResizeMode::shortest) {
      const auto other = static_cast<Index>(side * std::max(w, h) / std::min(w, h));
      return image.width <= image.height ? std::array{size, other} : std::array{other, size};
    }
    const double shrink = std::max(w / side, h / side);
    const std::array sides{static_cast<Index>(std::nearbyint(w / shrink)),
                           static_cast<Index>(std::nearbyint(h / shrink))};
    if (sides[0] == 0 || sides[1] == 0) {
      fail({.what = "resizing the long side to " + std::to_string(size),
            .expected = "an image less than " + std::to_string(2 * size) + " times as long as wide",
            .got = std::to_string(image.width) + " x " + std::to_string(image.height) + " pixels",
            .hint = {}});
    }
    return sides;
  }

  std::ptrdiff_t offset(Index length) const {
    const std::ptrdiff_t room = static_cast<std::ptrdiff_t>(length) - static_cast<std::ptrdiff_t>(size);
    const std::ptrdiff_t half = room / 2;  // towards 0
    if (crop_rule == CropRule::floor) { return room < 0 && room % 2 != 0 ? half - 1 : half; }
    return room > 0 && room % 4 == 3 ? half + 1 : half;
  }

  /// The centre of the resized image; of that image no more is made than the centre needs.
  Image squared(const Image& image) const {
    const auto [width, height] = resized_sides(image);
    const std::ptrdiff_t left = offset(width), top = offset(height);
    const Window window{.left = static_cast<Index>(std::max<std::ptrdiff_t>(left, 0)),
                        .top = static_cast<Index>(std::max<std::ptrdiff_t>(top, 0)),
                        .width = std::min(width, size),
                        .height = std::min(height, size)};
    Image centre = resize(image, width, height, interpolation, window, pass_order);
    if (centre.width == size && centre.height == size) { return centre; }
    return crop(centre, std::min<std::ptrdiff_t>(left, 0), std::min<std::ptrdiff_t>(top, 0), size, size, fill);
  }
};

}  // namespace radapt
