#pragma once
/// What the segmentation program works on: label names, images with their outlines, and objects cut out to pre-train
/// on.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/clip/captions.hpp"
#include "radapt/clip/preprocess.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/image.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/polygon_file.hpp"
#include "radapt/task/label_map.hpp"
#include "radapt/task/regions.hpp"
#include "radapt/train/batch.hpp"
#include "radapt/train/progress.hpp"

#include "image_paths.hpp"
#include "study_data.hpp"

namespace example {

/// Names of classes: those given, or those in the one file given: a JSON list of strings, or one name per line; without
/// blanks at both ends. Error: no name, an empty one, one twice.
inline std::vector<std::string> read_labels(std::vector<std::string> given) {
  const std::string origin = given.size() == 1 ? given[0] : "the labels";
  const bool is_file = given.size() == 1 && std::filesystem::is_regular_file(given[0]);
  if (given.size() == 1 && !is_file &&
      (given[0].find('/') != std::string::npos || given[0].ends_with(".txt") || given[0].ends_with(".json"))) {
    radapt::fail({.what = "reading the names of the labels from '" + origin + "'",
                  .expected = "a file",
                  .got = std::filesystem::exists(origin) ? "a folder" : "nothing of that name",
                  .hint = "Give names separated by commas, a .json list, or a text file with one per line"});
  }
  if (is_file) {
    const std::filesystem::path file = given[0];
    given.clear();
    if (file.extension() == ".json") {
      const auto names = radapt::parse_json_value(radapt::read_file(file, 1 << 24), file.string(), {.bytes = 1 << 24});
      if (names.is_array()) {
        for (const auto& name : names) { given.push_back(name.is_string() ? name.get<std::string>() : std::string()); }
      }
    } else {
      std::string line;
      for (const std::byte b : radapt::read_file(file)) {
        const char letter = static_cast<char>(b);
        if (letter == '\n') {
          given.push_back(std::exchange(line, {}));
        } else if (letter != '\r') {
          line += letter;
        }
      }
      if (!line.empty()) { given.push_back(line); }
    }
  }
  for (std::string& name : given) {
    if (name.starts_with("\xef\xbb\xbf")) { name.erase(0, 3); }  // the byte order mark of UTF-8
    const std::size_t first = name.find_first_not_of(" \t");
    name = first == std::string::npos ? "" : name.substr(first, name.find_last_not_of(" \t") - first + 1);
  }
  const std::set<std::string> different(given.begin(), given.end());
  if (given.empty() || different.count("") != 0 || different.size() != given.size()) {
    radapt::fail({.what = "reading the names of the labels from '" + origin + "'",
                  .expected = "different names, none of them empty",
                  .got = std::to_string(given.size()) + " names, " + std::to_string(different.size()) + " different" +
                         (different.count("") != 0 ? ", one empty" : ""),
                  .hint = "Give names separated by commas, a .json list, or a text file with one per line"});
  }
  return given;
}

/// An image file and the outlines of its objects; without outlines nothing can be measured on it.
struct OutlinedImage {
  std::filesystem::path image = {};
  std::vector<radapt::LabelledPolygon> objects = {};
};

/// Reads the outlines of `images` from `truth` / name.txt; an image without such a file has none. An empty `truth`
/// gives none at all. Errors: as read_polygons, two images of one name, and no image with an object.
inline std::vector<OutlinedImage> read_outlines(const std::vector<std::filesystem::path>& images,
                                                const std::filesystem::path& truth, Index classes) {
  std::vector<OutlinedImage> all;
  std::size_t objects = 0;
  std::set<std::string> stems;
  for (const std::filesystem::path& image : images) {
    if (!stems.insert(image.stem().string()).second) {
      radapt::fail({.what = "the images",
                    .expected = "different names, under which outlines are read and pictures written",
                    .got = "'" + image.stem().string() + "' twice",
                    .hint = "Label one folder at a time"});
    }
    all.push_back({.image = image});
    const std::filesystem::path file = truth / image.stem().concat(".txt");
    if (!truth.empty() && std::filesystem::exists(file)) { all.back().objects = radapt::read_polygons(file, classes); }
    objects += all.back().objects.size();
  }
  if (!truth.empty() && objects == 0) {
    radapt::fail(
        {.what = "reading outlines from '" + truth.string() + "'",
         .expected = "a file name.txt with objects for at least one of " + std::to_string(images.size()) + " images",
         .got = "none",
         .hint = "They are text files in the form of YOLO's segmentation labels"});
  }
  return all;
}

/// The images below FOLDER/images with the outlines in FOLDER/labels, as YOLO lays them out: images/a/b.jpg has
/// labels/a/b.txt. Errors: as read_polygons and image_paths, and no image with an object.
inline std::vector<OutlinedImage> read_yolo_folder(const std::filesystem::path& folder, Index classes) {
  std::vector<OutlinedImage> all;
  std::size_t objects = 0;
  for (const std::filesystem::path& image : image_paths({(folder / "images").string()})) {
    all.push_back({.image = image});
    const auto file = (folder / "labels" / image.lexically_relative(folder / "images")).replace_extension(".txt");
    if (std::filesystem::exists(file)) { all.back().objects = radapt::read_polygons(file, classes); }
    objects += all.back().objects.size();
  }
  if (objects == 0) {
    radapt::fail({.what = "reading outlines from '" + (folder / "labels").string() + "'",
                  .expected = "a file with objects for at least one of " + std::to_string(all.size()) + " images",
                  .got = "none",
                  .hint = "images/a/b.jpg has its outlines in labels/a/b.txt"});
  }
  return all;
}

/// The image in RGB, the right way up, as outlines are drawn on it; none, and a line on the error stream, where it
/// cannot be read.
inline std::optional<radapt::Image> open_or_name(const std::filesystem::path& path) {
  try {
    return radapt::to_rgb(radapt::open_image(path, {.apply_orientation = true}));
  } catch (const radapt::error& e) {
    std::fprintf(stderr, "left out: %s\n", e.what());
    return std::nullopt;
  }
}

/// The objects of images, cut out with what is around them inside their boxes, by class: what a CLIP can be pre-trained
/// on.
class ObjectPairs {
 public:
  /// `texts[c]` are the captions of class c. Objects with a side of fewer than 12 pixels are left out. Error: fewer
  /// than two classes have any.
  ObjectPairs(const std::vector<OutlinedImage>& images, std::vector<Texts> texts, const radapt::Preprocess& rules,
              std::size_t batch, std::uint64_t seed, radapt::Captions captions, radapt::Progress& progress)
      : texts_(std::move(texts)), rules_(rules), seed_(seed), captions_(std::move(captions)) {
    std::vector<std::vector<radapt::Image>> by_class(texts_.size());
    for (const OutlinedImage& outlined : images) {
      const std::optional<radapt::Image> opened = open_or_name(outlined.image);
      if (!opened.has_value()) { continue; }
      const radapt::Image& image = *opened;
      for (const radapt::LabelledPolygon& object : outlined.objects) {
        const radapt::Window box = box_of(object, image);
        if (std::min(box.width, box.height) < 12) { continue; }
        // Twice the model's size, so that a crop keeps its sharpness and little memory is taken.
        radapt::Preprocess twice = rules;
        twice.resize_mode = radapt::ResizeMode::squash;
        twice.size = 2 * rules.size;
        by_class[static_cast<std::size_t>(object.label)].push_back(
            twice.pixels(radapt::crop(image, static_cast<std::ptrdiff_t>(box.left),
                                      static_cast<std::ptrdiff_t>(box.top), box.width, box.height)));
        ++objects_;
      }
      progress.advance();
    }
    for (std::size_t c = 0; c < by_class.size(); ++c) {
      if (by_class[c].empty()) { continue; }
      labels_.push_back(c);
      order_.emplace_back(by_class[c].size(), seed + c);
      pictures_.push_back(std::move(by_class[c]));
    }
    if (labels_.size() < 2) {
      radapt::fail({.what = "pre-training on objects",
                    .expected = "objects of at least two classes",
                    .got = std::to_string(labels_.size()),
                    .hint = "Give more images, or a checkpoint"});
    }
    classes_ = Sampler(labels_.size(), seed);
    batch_ = std::min(batch, labels_.size());
    pixels_.resize(batch_ * rules.elements());
  }

  std::size_t objects() const { return objects_; }
  std::size_t classes() const { return labels_.size(); }
  /// Pairs in a batch: every class at most once, since two objects of one class would be called a mismatch.
  std::size_t batch() const { return batch_; }

  /// The next batch, valid until the one after it.
  radapt::PairBatch<float> next() {
    captions_.clear();
    std::set<std::size_t> used;
    while (used.size() < batch_) {
      const std::size_t c = classes_.next();
      if (!used.insert(c).second) { continue; }  // the first classes of a new epoch may be here already
      const std::size_t row = used.size() - 1;
      radapt::Random random(seed_, ++drawn_);
      rules_(
          pictures_[c][order_[c].next()], {.scale = {0.5, 1.0}, .ratio = {3.0 / 4.0, 4.0 / 3.0}},
          [&] { return random.uniform(); },
          std::span<float>(pixels_).subspan(row * rules_.elements(), rules_.elements()));
      const Texts& texts = texts_[labels_[c]];
      captions_.add(texts[random.below(static_cast<std::uint32_t>(texts.size()))]);
    }
    return {.pixels = pixels_, .captions = &captions_};
  }

 private:
  static radapt::Window box_of(const radapt::LabelledPolygon& object, const radapt::Image& image) {
    double left = 1, top = 1, right = 0, bottom = 0;
    for (const radapt::Point& p : object.points) {
      left = std::min(left, p.x);
      right = std::max(right, p.x);
      top = std::min(top, p.y);
      bottom = std::max(bottom, p.y);
    }
    const auto pixel = [](double share, Index side) { return static_cast<Index>(share * static_cast<double>(side)); };
    const Index x = pixel(left, image.width), y = pixel(top, image.height);
    return {.left = x, .top = y, .width = pixel(right, image.width) - x, .height = pixel(bottom, image.height) - y};
  }

  std::vector<Texts> texts_;
  radapt::Preprocess rules_;
  std::uint64_t seed_;
  radapt::Captions captions_;
  std::vector<std::size_t> labels_;                   ///< the classes that have objects
  std::vector<std::vector<radapt::Image>> pictures_;  ///< by position in labels_
  std::vector<Sampler> order_;
  Sampler classes_{0, 0};
  std::vector<float> pixels_;
  std::size_t batch_ = 0, objects_ = 0;
  std::uint64_t drawn_ = 0;
};

/// The mask of every object, without what a later one covers; objects that are covered altogether have none.
inline std::vector<radapt::task::RegionMask> visible_objects(std::vector<radapt::LabelledPolygon> objects, Index width,
                                                             Index height) {
  for (std::size_t i = 0; i < objects.size(); ++i) { objects[i].label = static_cast<std::int32_t>(i); }
  const radapt::task::LabelMap map = radapt::task::label_map(objects, width, height, -1);
  std::vector<radapt::task::RegionMask> masks;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const auto label = static_cast<std::int32_t>(i);
    if (std::find(map.labels.begin(), map.labels.end(), label) != map.labels.end()) {
      masks.push_back(radapt::task::mask_of(map, label));
    }
  }
  return masks;
}

/// The connected parts of a map that have one label and at least `least` pixels, each as a mask: proposals without any
/// outline. Pixels are neighbours along sides.
inline std::vector<radapt::task::RegionMask> connected_regions(const radapt::task::LabelMap& map, std::size_t least) {
  std::vector<radapt::task::RegionMask> regions;
  std::vector<std::uint8_t> seen(map.labels.size());
  std::vector<std::size_t> part;
  for (std::size_t start = 0; start < seen.size(); ++start) {
    if (seen[start] != 0) { continue; }
    part.assign(1, start);
    seen[start] = 1;
    for (std::size_t at = 0; at < part.size(); ++at) {
      const std::size_t x = part[at] % map.width, y = part[at] / map.width;
      const auto visit = [&](bool inside, std::size_t neighbour) {
        if (inside && seen[neighbour] == 0 && map.labels[neighbour] == map.labels[start]) {
          seen[neighbour] = 1;
          part.push_back(neighbour);
        }
      };
      visit(x > 0, part[at] - 1);
      visit(x + 1 < map.width, part[at] + 1);
      visit(y > 0, part[at] - map.width);
      visit(y + 1 < map.height, part[at] + map.width);
    }
    if (part.size() < least) { continue; }
    radapt::task::RegionMask mask{.width = map.width, .height = map.height, .inside = {}};
    mask.inside.resize(map.labels.size());
    for (const std::size_t i : part) { mask.inside[i] = 1; }
    regions.push_back(std::move(mask));
  }
  return regions;
}

}  // namespace example
