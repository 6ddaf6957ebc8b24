#pragma once
/// Karpathy's split files of COCO, Flickr8k and Flickr30k: images with their captions and splits in one JSON file.
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/io/captioned_images.hpp"
#include "radapt/io/json_document.hpp"

namespace radapt {

/// The four parts of a split file. COCO is usually trained on train and restval together (113,287 images).
enum class KarpathySplit { train, restval, val, test };

inline constexpr std::array<std::string_view, 4> karpathy_split_names{"train", "restval", "val", "test"};

namespace detail {

/// Reading the members of one image of a split file.
class KarpathyImage {
 public:
  KarpathyImage(const nlohmann::json& image, const std::string& file, Index position)
      : image_(image), where_("reading '" + file + "', image " + std::to_string(position)) {
    if (!image.is_object()) { wrong("an object", std::string("JSON of type ") + image.type_name()); }
  }

  /// A member that is a string; empty if it is absent and that is allowed.
  std::string text(const char* key, bool required) const {
    const auto found = image_.find(key);
    if (found == image_.end() && !required) { return {}; }
    if (found == image_.end() || !found->is_string()) {
      wrong(std::string("a string '") + key + "'",
            found == image_.end() ? "none" : std::string("JSON of type ") + found->type_name());
    }
    return found->get<std::string>();
  }
  /// The number `cocoid`, else `imgid`, else `otherwise`.
  std::int64_t id(std::int64_t otherwise) const {
    for (int which = 0; which < 2; ++which) {
      const char* const key = which == 0 ? "cocoid" : "imgid";
      const auto found = image_.find(key);
      if (found == image_.end()) { continue; }
      if (!found->is_number_integer()) {
        wrong(std::string("a whole number '") + key + "'", std::string("JSON of type ") + found->type_name());
      }
      return found->get<std::int64_t>();
    }
    return otherwise;
  }
  KarpathySplit split() const {
    const std::string name = text("split", true);
    const auto found = std::find(karpathy_split_names.begin(), karpathy_split_names.end(), name);
    if (found == karpathy_split_names.end()) {
      wrong("a split of 'train', 'restval', 'val' or 'test'", quoted_name(name));
    }
    return static_cast<KarpathySplit>(found - karpathy_split_names.begin());
  }
  std::vector<std::string> captions() const {
    const auto sentences = image_.find("sentences");
    if (sentences == image_.end() || !sentences->is_array() || sentences->empty()) {
      wrong("a list 'sentences' with at least one", sentences == image_.end() ? "none" : "something else");
    }
    std::vector<std::string> captions;
    for (const auto& sentence : *sentences) {
      if (!sentence.is_object() || !sentence.contains("raw") || !sentence["raw"].is_string()) {
        wrong("sentences with a string 'raw'", "sentence " + std::to_string(captions.size()) + " without");
      }
      captions.push_back(sentence["raw"].get<std::string>());
    }
    return captions;
  }

 private:
  [[noreturn]] void wrong(const std::string& expected, const std::string& got) const {
    fail({.what = where_, .expected = expected, .got = got, .hint = {}});
  }

  const nlohmann::json& image_;
  std::string where_;
};

}  // namespace detail

/// A split file, read once: {"images": [{"filename", "filepath", "split", "sentences": [{"raw"}], "cocoid", "imgid"}]}
/// (clip_compat.md 5.4). Images keep the order of the file; a path is folder / filepath / filename, with `filepath`
/// where there is one. The captions are the raw sentences. Reading takes about eight times the file's size of memory
/// for a moment (COCO's file is 144 MB).
class KarpathyFile {
 public:
  /// `folder` is where the images lie; whether they do is not looked at. Errors: not such a file, each with the
  /// position of the image; a name that is empty, absolute or leads out of the folder.
  KarpathyFile(const std::filesystem::path& json, const std::filesystem::path& folder) {
    // COCO's file is 144 MB; no data set that is published in this form has one of 2 GB.
    const nlohmann::json document = read_json(json, {.bytes = std::size_t{1} << 31, .depth = 16});
    const auto images = document.find("images");
    if (images == document.end() || !images->is_array()) {
      fail({.what = "reading '" + json.string() + "'",
            .expected = "a list 'images'",
            .got = images == document.end() ? "none" : std::string("JSON of type ") + images->type_name(),
            .hint = "Is this Karpathy's dataset_*.json?"});
    }
    Index position = 0;
    for (const auto& entry : *images) {
      const detail::KarpathyImage image(entry, json.string(), position);
      const std::filesystem::path below =
          std::filesystem::path(image.text("filepath", false)) / image.text("filename", true);
      const bool leads_out = std::find(below.begin(), below.end(), "..") != below.end();
      if (below.filename().empty() || below.is_absolute() || leads_out) {
        fail({.what = "reading '" + json.string() + "', image " + std::to_string(position),
              .expected = "the name of a file below the folder of images",
              .got = quoted_name(below.string()),
              .hint = {}});
      }
      const auto split = static_cast<Index>(image.split());
      images_[split].push_back(
          {.path = folder / below, .captions = image.captions(), .id = image.id(static_cast<std::int64_t>(position))});
      ++position;
    }
  }

  /// The images of one part, in the order of the file; possibly none.
  const std::vector<CaptionedImage>& split(KarpathySplit which) const { return images_[static_cast<Index>(which)]; }
  /// Images in all parts.
  Index size() const {
    Index all = 0;
    for (const auto& part : images_) { all += part.size(); }
    return all;
  }

 private:
  std::array<std::vector<CaptionedImage>, 4> images_;
};

}  // namespace radapt
