#pragma once
/// Features that some CLIP computed before, with labels and texts: read, cut into classes, shots and validation.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "radapt/core/error.hpp"
#include "radapt/io/npy.hpp"
#include "radapt/task/few_shot.hpp"

#include "segment_data.hpp"

namespace example {

/// Features (size, width) of images with their class ids.
struct FeatureSet {
  Index width = 0;
  std::vector<float> features = {};
  std::vector<std::int32_t> labels = {};

  Index size() const { return labels.size(); }
  /// The samples at these positions, in their order.
  FeatureSet at(const std::vector<Index>& positions) const {
    FeatureSet chosen{.width = width};
    for (const Index i : positions) {
      const auto row = features.begin() + static_cast<std::ptrdiff_t>(i * width);
      chosen.features.insert(chosen.features.end(), row, row + static_cast<std::ptrdiff_t>(width));
      chosen.labels.push_back(labels[i]);
    }
    return chosen;
  }
  /// The samples of some classes, labels counted among these.
  FeatureSet of_classes(const std::vector<std::int32_t>& classes) const {
    radapt::task::ClassSubset subset = radapt::task::samples_of(labels, classes);
    FeatureSet chosen = at(subset.samples);
    chosen.labels = std::move(subset.labels);
    return chosen;
  }
};

/// A data set of features. `texts` are rows of unit length, (classes, width), or empty where no class has one.
struct FeatureData {
  FeatureSet train = {}, test = {};
  std::vector<std::string> class_names = {};
  std::vector<float> texts = {};

  Index classes() const { return class_names.size(); }
};

/// Files of a data set of features in one folder.
struct FeatureFiles {
  std::filesystem::path folder = {};
  std::string set = "food10";                    ///< SET_train_features.npy, SET_train_labels.npy, SET_names.json, ...
  std::string texts = "text_lvis1203";           ///< TEXTS.npy and TEXTS_names.json
  std::map<std::string, std::string> same = {};  ///< class names and what they are called among the texts
};

/// The names in a JSON list. Errors: no such file, and as read_labels.
inline std::vector<std::string> read_names(const std::filesystem::path& file) {
  if (!std::filesystem::is_regular_file(file)) {
    radapt::fail({.what = "reading '" + file.string() + "'",
                  .expected = "a JSON list of names",
                  .got = "no such file",
                  .hint = "Names and features lie in one folder"});
  }
  return read_labels({file.string()});
}

/// Error: a row without a direction, which is a row of zeros, or one whose length is no finite number.
inline void check_rows(const std::filesystem::path& file, const std::vector<float>& rows, Index width) {
  for (Index first = 0; width > 0 && first < rows.size(); first += width) {
    double squares = 0;
    for (Index e = first; e < first + width; ++e) { squares += std::pow(static_cast<double>(rows[e]), 2); }
    const auto length = static_cast<float>(std::sqrt(squares));
    if (std::isfinite(length) && length > 0) { continue; }
    radapt::fail({.what = "reading '" + file.string() + "'",
                  .expected = "features of finite length above 0",
                  .got = fmt::format("{} in row {}", length, first / width),
                  .hint = "Were they written whole?"});
  }
}

/// Reads `part` of a data set. Errors: as load_npy, no features, some without a direction, and labels that are not one
/// for each row or not below `classes`.
inline FeatureSet read_features(const FeatureFiles& files, const std::string& part, Index classes) {
  const std::filesystem::path features_file = files.folder / (files.set + "_" + part + "_features.npy");
  const std::filesystem::path labels_file = files.folder / (files.set + "_" + part + "_labels.npy");
  const auto features = radapt::load_npy(features_file);
  const auto labels = radapt::load_npy_labels(labels_file);
  FeatureSet set{.width = features.shape()[1], .features = {features.begin(), features.end()}};
  if (features.shape()[0] == 0) {
    radapt::fail({.what = "reading '" + features_file.string() + "'",
                  .expected = "at least one row of features",
                  .got = "none",
                  .hint = "Were they written whole?"});
  }
  check_rows(features_file, set.features, set.width);
  for (const std::int64_t label : labels) {
    const bool known = label >= 0 && static_cast<Index>(label) < classes;
    set.labels.push_back(known ? static_cast<std::int32_t>(label) : -1);
  }
  const auto unknown = std::find(set.labels.begin(), set.labels.end(), -1);
  if (set.size() != features.shape()[0] || unknown != set.labels.end()) {
    radapt::fail({.what = "reading '" + labels_file.string() + "'",
                  .expected = std::to_string(features.shape()[0]) + " labels from 0 to " + std::to_string(classes - 1) +
                              ", one for each row of '" + features_file.filename().string() + "'",
                  .got = unknown == set.labels.end()
                             ? std::to_string(set.size()) + " labels"
                             : "another number at position " + std::to_string(unknown - set.labels.begin()),
                  .hint = "Labels are positions in " + files.set + "_names.json"});
  }
  return set;
}

/// Text features of the classes that have one.
struct NamedTexts {
  std::vector<std::int32_t> classes = {};  ///< positions in the list of names, ascending
  std::vector<float> rows = {};            ///< (classes, width), of unit length
};

/// Finds the texts of classes by their names. Errors: as load_npy, texts of another width or not one for each name, a
/// class in `same` that is not there, a text that it names and that is not there.
inline NamedTexts read_texts(const FeatureFiles& files, const std::vector<std::string>& class_names, Index width) {
  const std::filesystem::path file = files.folder / (files.texts + ".npy");
  const auto features = radapt::load_npy(file);
  const std::vector<std::string> names = read_names(files.folder / (files.texts + "_names.json"));
  if (features.shape()[0] != names.size() || features.shape()[1] != width) {
    radapt::fail({.what = "reading '" + file.string() + "'",
                  .expected = std::to_string(names.size()) + " rows of " + std::to_string(width) +
                              " numbers, one for each name and as wide as the image features",
                  .got = std::to_string(features.shape()[0]) + " x " + std::to_string(features.shape()[1]),
                  .hint = "Texts and images must come from one CLIP"});
  }
  for (const auto& [name, text] : files.same) {
    const bool known = std::find(class_names.begin(), class_names.end(), name) != class_names.end();
    if (!known || std::find(names.begin(), names.end(), text) == names.end()) {
      radapt::fail({.what = "option --same, '" + name + "=" + text + "'",
                    .expected = known ? "a name in '" + files.texts + "_names.json' behind the sign"
                                      : "a class in '" + files.set + "_names.json' before the sign",
                    .got = "'" + (known ? text : name) + "'",
                    .hint = ""});
    }
  }
  check_rows(file, {features.begin(), features.end()}, width);
  NamedTexts found;
  for (Index c = 0; c < class_names.size(); ++c) {
    const auto same = files.same.find(class_names[c]);
    const std::string& wanted = same == files.same.end() ? class_names[c] : same->second;
    const auto at = std::find(names.begin(), names.end(), wanted);
    if (at == names.end()) { continue; }
    const auto row = static_cast<Index>(at - names.begin());
    double squares = 0;
    for (Index e = 0; e < width; ++e) { squares += std::pow(static_cast<double>(features(row, e)), 2); }
    for (Index e = 0; e < width; ++e) {
      found.rows.push_back(static_cast<float>(static_cast<double>(features(row, e)) / std::sqrt(squares)));
    }
    found.classes.push_back(static_cast<std::int32_t>(c));
  }
  return found;
}

/// Both parts of a data set without its texts. Errors: as read_features, and parts of two widths.
inline FeatureData read_feature_data(const FeatureFiles& files) {
  FeatureData data;
  data.class_names = read_names(files.folder / (files.set + "_names.json"));
  data.train = read_features(files, "train", data.classes());
  data.test = read_features(files, "test", data.classes());
  if (data.train.width != data.test.width) {
    radapt::fail({.what = "reading the features '" + files.set + "'",
                  .expected = "training and test features of one width",
                  .got = std::to_string(data.train.width) + " and " + std::to_string(data.test.width),
                  .hint = ""});
  }
  return data;
}

/// The classes that have a text, with it.
inline FeatureData with_texts(const FeatureData& all, const NamedTexts& texts) {
  FeatureData some{
      .train = all.train.of_classes(texts.classes), .test = all.test.of_classes(texts.classes), .texts = texts.rows};
  for (const std::int32_t c : texts.classes) { some.class_names.push_back(all.class_names[static_cast<Index>(c)]); }
  return some;
}

/// Error: a class with fewer images than shots and validation images take. It is found before anything runs.
inline void check_class_sizes(const FeatureSet& set, const std::vector<std::string>& class_names, Index most_shots,
                              Index validation_shots) {
  const Index needed = most_shots + std::min(most_shots, validation_shots);
  for (Index c = 0; c < class_names.size(); ++c) {
    const auto has = std::count(set.labels.begin(), set.labels.end(), static_cast<std::int32_t>(c));
    if (static_cast<Index>(has) >= needed) { continue; }
    radapt::fail({.what = "drawing shots of the class '" + class_names[c] + "'",
                  .expected = std::to_string(needed) + " images, shots and validation images together",
                  .got = std::to_string(has),
                  .hint = "Lower --shots or --validation-shots"});
  }
}

/// Shots of every class to train on, and others to choose on: as many as shots, but at most `validation_shots` of a
/// class, which is CoOp's protocol with 4. Error: a class that is too small.
struct ShotDraw {
  FeatureSet train = {}, validation = {};
};
inline ShotDraw draw_shots(const FeatureSet& all, Index classes, Index shots, Index validation_shots,
                           std::uint64_t seed) {
  const auto taken = radapt::task::few_shot(all.labels, classes, shots, seed);
  const FeatureSet left = all.at(radapt::task::remaining(all.size(), taken));
  const Index kept = std::min(shots, validation_shots);
  return {.train = all.at(taken), .validation = left.at(radapt::task::few_shot(left.labels, classes, kept, seed))};
}

}  // namespace example
