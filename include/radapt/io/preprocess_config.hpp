#pragma once
/// How a checkpoint wants its images prepared, read from and written to the two kinds of configuration file.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"
#include "radapt/io/atomic_file.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/json_fields.hpp"

namespace radapt {

/// The settings of `preprocess_cfg` (open_clip) and preprocessor_config.json (transformers) as plain data; the defaults
/// are OpenAI's. Images become RGB, are brought to `size` x `size`, divided by 255 and normalised.
struct PreprocessConfig {
  enum class Pipeline : std::uint8_t {
    open_clip,     ///< rounding and conversion rules of torchvision: OpenAI and open_clip
    transformers,  ///< those of CLIPImageProcessor
  };
  enum class Resize : std::uint8_t { shortest, longest, squash };
  enum class Filter : std::uint8_t { nearest, box, bilinear, bicubic };

  Pipeline pipeline = Pipeline::open_clip;
  std::uint64_t size = 224;  ///< pixels; 1 to 32768
  Resize resize = Resize::shortest;
  Filter filter = Filter::bicubic;
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};  ///< of RGB values in 0..1
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};  ///< of RGB values in 0..1; above 0
  std::uint8_t fill = 0;                                          ///< padding of `longest`

  bool operator==(const PreprocessConfig&) const = default;
};

namespace preprocess_detail {

inline constexpr std::uint64_t largest_side = 32768;
inline constexpr std::array<std::string_view, 4> filter_names{"nearest", "box", "bilinear", "bicubic"};
inline constexpr std::array<std::uint64_t, 4> filter_numbers{0, 4, 2, 3};  // PIL's, in the order of Filter
inline constexpr std::array<std::string_view, 3> resize_names{"shortest", "longest", "squash"};

/// Three numbers, or one for all colours.
inline std::array<double, 3> three(const JsonFields& fields, const std::string& key, double least,
                                   const std::array<double, 3>& otherwise) {
  if (fields.has_value(key) && fields.find(key)->is_number()) {
    const double all = fields.number(key, least, 1e6);
    return {all, all, all};
  }
  const std::vector<double> values = fields.numbers(key, 3, least, 1e6, {otherwise.begin(), otherwise.end()});
  return {values[0], values[1], values[2]};
}

inline constexpr double least_deviation = 1e-6;  // a division by less is no normalisation

/// `size` or `crop_size` of transformers: a number, {"shortest_edge": n}, {"height": n, "width": n} or [n, n].
struct Extent {
  std::uint64_t side = 224;
  bool both_sides = false;
};
inline Extent extent(const JsonFields& fields, const std::string& key, bool number_means_both, Extent otherwise) {
  const nlohmann::json* const value = fields.find(key);
  if (value == nullptr) { return otherwise; }
  if (!value->is_object()) { return {fields.square(key, 1, largest_side), number_means_both || value->is_array()}; }
  const JsonFields sides = fields.object(key);
  if (sides.contains("shortest_edge")) { return {sides.whole("shortest_edge", 1, largest_side), false}; }
  const std::uint64_t height = sides.whole("height", 1, largest_side);
  if (sides.whole("width", 1, largest_side) != height) { fields.wrong_value(key, "a square"); }
  return {height, true};
}

}  // namespace preprocess_detail

/// Reads open_clip's `preprocess_cfg`; absent keys have OpenAI's values. Errors: a value of the wrong type or out of
/// range, a mode or interpolation that radapt does not know.
inline PreprocessConfig open_clip_preprocess(const JsonFields& fields) {
  namespace detail = preprocess_detail;
  PreprocessConfig config;
  config.size = fields.square("size", 1, detail::largest_side, config.size);
  config.mean = detail::three(fields, "mean", -1e6, config.mean);
  config.std = detail::three(fields, "std", detail::least_deviation, config.std);
  config.fill = static_cast<std::uint8_t>(fields.whole("fill_color", 0, 255, config.fill));
  fields.require("mode", "RGB");
  const std::string resize = fields.text("resize_mode", "shortest");
  std::string filter = fields.text("interpolation", "bicubic");
  if (filter == "random") { filter = "bicubic"; }  // while training bilinear or bicubic, else bicubic
  bool resize_known = false, filter_known = false;
  for (std::size_t i = 0; i < detail::resize_names.size(); ++i) {
    if (detail::resize_names[i] == resize) {
      config.resize = static_cast<PreprocessConfig::Resize>(i);
      resize_known = true;
    }
  }
  for (std::size_t i = 0; i < detail::filter_names.size(); ++i) {
    if (detail::filter_names[i] == filter) {
      config.filter = static_cast<PreprocessConfig::Filter>(i);
      filter_known = true;
    }
  }
  if (!resize_known) { fields.wrong_value("resize_mode", "'shortest', 'longest' or 'squash'"); }
  if (!filter_known) { fields.wrong_value("interpolation", "'bicubic', 'bilinear', 'box' or 'nearest'"); }
  return config;
}

/// Reads a preprocessor_config.json of CLIPImageProcessor; absent keys have its defaults. Errors: a value of the wrong
/// type or out of range, another image processor, and steps that radapt does not do: no resizing, a resized side other
/// than the cropped one, a result that is not square, another factor than 1/255.
inline PreprocessConfig hf_preprocess(const JsonFields& fields) {
  namespace detail = preprocess_detail;
  PreprocessConfig config;
  config.pipeline = PreprocessConfig::Pipeline::transformers;
  for (const char* key : {"image_processor_type", "feature_extractor_type"}) {
    const std::string type = fields.has_value(key) ? fields.text(key, "") : "CLIP";
    if (!type.starts_with("CLIP")) { fields.wrong_value(key, "a processor of CLIP, whose defaults are known"); }
  }
  for (const char* key : {"do_resize", "do_rescale", "do_convert_rgb"}) { fields.require(key, true); }
  const detail::Extent resized = detail::extent(fields, "size", false, {});
  config.size = resized.side;
  config.resize = resized.both_sides ? PreprocessConfig::Resize::squash : PreprocessConfig::Resize::shortest;
  if (fields.boolean("do_center_crop", true)) {
    const detail::Extent cropped = detail::extent(fields, "crop_size", true, {.side = 224, .both_sides = true});
    if (cropped.side != resized.side || !cropped.both_sides) {
      fields.wrong_value("crop_size", "the side " + std::to_string(resized.side) + " that 'size' resizes to");
    }
  } else if (!resized.both_sides) {
    fields.wrong_value("do_center_crop", "true, because 'size' states the shortest edge only");
  }
  const std::uint64_t number = fields.whole("resample", 0, 5, 3);
  bool known = false;
  for (std::size_t i = 0; i < detail::filter_numbers.size(); ++i) {
    if (detail::filter_numbers[i] == number) {
      config.filter = static_cast<PreprocessConfig::Filter>(i);
      known = true;
    }
  }
  if (!known) { fields.wrong_value("resample", "0 (nearest), 2 (bilinear), 3 (bicubic) or 4 (box)"); }
  // Files state 1/255 with six digits or more.
  if (std::abs(fields.number("rescale_factor", 0, 1e6, 1.0 / 255) * 255 - 1) > 1e-5) {
    fields.wrong_value("rescale_factor", "1/255");
  }
  config.mean = {0, 0, 0};
  config.std = {1, 1, 1};
  if (fields.boolean("do_normalize", true)) {
    const PreprocessConfig openai;
    config.mean = detail::three(fields, "image_mean", -1e6, openai.mean);
    config.std = detail::three(fields, "image_std", detail::least_deviation, openai.std);
  }
  return config;
}

/// Reads the settings of a document of either kind: an open_clip_config.json (its `preprocess_cfg`, or the defaults
/// where it has none), or a preprocessor_config.json.
inline PreprocessConfig preprocess_from_json(const nlohmann::json& document, const std::string& file) {
  const JsonFields fields(document, file);
  if (fields.contains("model_cfg") || fields.contains("preprocess_cfg")) {
    return open_clip_preprocess(fields.object("preprocess_cfg"));
  }
  return hf_preprocess(fields);
}

/// Reads the settings from a file, or from a folder: open_clip_config.json there, or else preprocessor_config.json.
inline PreprocessConfig read_preprocess_config(const std::filesystem::path& path) {
  std::filesystem::path file = path;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    const bool open_clip = std::filesystem::exists(path / "open_clip_config.json", ignored);
    file = path / (open_clip ? "open_clip_config.json" : "preprocessor_config.json");
    if (!std::filesystem::exists(file, ignored)) {
      fail({.what = "looking for image settings in '" + path.string() + "'",
            .expected = "open_clip_config.json or preprocessor_config.json",
            .got = "none",
            .hint = {}});
    }
  }
  return preprocess_from_json(read_json(file), file.string());
}

/// The settings as open_clip's `preprocess_cfg`.
inline nlohmann::ordered_json preprocess_cfg(const PreprocessConfig& config) {
  return {{"size", config.size},
          {"mode", "RGB"},
          {"mean", config.mean},
          {"std", config.std},
          {"interpolation", preprocess_detail::filter_names[static_cast<std::size_t>(config.filter)]},
          {"resize_mode", preprocess_detail::resize_names[static_cast<std::size_t>(config.resize)]},
          {"fill_color", config.fill}};
}

/// Writes a preprocessor_config.json for transformers' CLIPImageProcessor, atomically. Error: resize mode longest,
/// which that processor does not have.
inline void write_preprocessor_config(const std::filesystem::path& path, const PreprocessConfig& config) {
  if (config.resize == PreprocessConfig::Resize::longest) {
    fail({.what = "writing '" + path.string() + "'",
          .expected = "resize mode shortest or squash",
          .got = "longest",
          .hint = "Write it as an open_clip configuration"});
  }
  const bool squash = config.resize == PreprocessConfig::Resize::squash;
  const nlohmann::ordered_json both{{"height", config.size}, {"width", config.size}};
  const nlohmann::ordered_json shortest{{"shortest_edge", config.size}};
  const nlohmann::ordered_json document{
      {"image_processor_type", "CLIPImageProcessor"},
      {"do_convert_rgb", true},
      {"do_resize", true},
      {"size", squash ? both : shortest},
      {"resample", preprocess_detail::filter_numbers[static_cast<std::size_t>(config.filter)]},
      {"do_center_crop", !squash},
      {"crop_size", both},
      {"do_rescale", true},
      {"rescale_factor", 1.0 / 255},
      {"do_normalize", true},
      {"image_mean", config.mean},
      {"image_std", config.std}};
  write_text_atomically(path, document.dump(2) + "\n");
}

}  // namespace radapt
