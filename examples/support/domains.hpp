#pragma once
/// Labelled pictures of several domains (root/domain/class/file): listed, split by a hash, decoded once into memory.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/clip/preprocess.hpp"
#include "radapt/core/error.hpp"
#include "radapt/io/image.hpp"
#include "radapt/io/image_folder.hpp"
#include "radapt/train/progress.hpp"

#include "picture.hpp"
#include "random.hpp"
#include "study_data.hpp"

namespace example {

/// One file of a domain.
struct DomainFile {
  std::filesystem::path path;
  std::int32_t label = 0;
};

/// The files of one domain; `class_names` are sorted.
struct Domain {
  std::string name;
  std::vector<std::string> class_names;
  std::vector<DomainFile> files;
};

/// The names of the folders in `root`, sorted and joined by commas, for messages.
inline std::string folders_in(const std::filesystem::path& root) {
  std::vector<std::string> names;
  std::error_code problem;
  for (std::filesystem::directory_iterator at(root, problem), end; !problem && at != end; at.increment(problem)) {
    if (at->is_directory(problem)) { names.push_back(at->path().filename().string()); }
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) { text += (text.empty() ? "" : ", ") + name; }
  return text;
}

/// Lists the domains in `root`. Errors: a domain that is named twice, `root` or a domain is no folder, a domain without
/// classes, a class without images, and classes that not every domain has.
inline std::vector<Domain> list_domains(const std::filesystem::path& root, const std::vector<std::string>& names) {
  std::error_code ignored;
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (std::find(names.begin(), name, *name) != name) {
      radapt::fail({.what = "the domains",
                    .expected = "each one once: one to fine-tune on, and others to test on",
                    .got = "'" + *name + "' twice",
                    .hint = "Images of a domain that is trained on are no shift"});
    }
  }
  if (!std::filesystem::is_directory(root, ignored)) {
    radapt::fail({.what = "reading the domains in '" + root.string() + "'",
                  .expected = "a folder",
                  .got = std::filesystem::exists(root, ignored) ? "a file" : "nothing of that name",
                  .hint = "It holds one folder per domain, and each of those one folder per class"});
  }
  std::vector<Domain> domains;
  for (const std::string& name : names) {
    if (!std::filesystem::is_directory(root / name, ignored)) {
      radapt::fail({.what = "reading the domains in '" + root.string() + "'",
                    .expected = "a folder '" + name + "'",
                    .got = "the folders " + folders_in(root),
                    .hint = "Name the domains as their folders"});
    }
    const radapt::ImageFolder folder(root / name);
    Domain domain{.name = name, .class_names = folder.class_names(), .files = {}};
    for (const auto& sample : folder.samples()) {
      domain.files.push_back({sample.path, static_cast<std::int32_t>(sample.label)});
    }
    domains.push_back(std::move(domain));
  }
  std::string problems;
  for (const Domain& domain : domains) {
    const auto report = [&](const std::vector<std::string>& wanted, const std::vector<std::string>& there,
                            const std::string& kind) {
      for (const std::string& name : wanted) {
        if (std::find(there.begin(), there.end(), name) == there.end()) {
          problems += (problems.empty() ? "'" : "; '") + domain.name + "' " + kind + " '" + name + "'";
        }
      }
    };
    report(domains[0].class_names, domain.class_names, "lacks the class");
    report(domain.class_names, domains[0].class_names, "also has the class");
  }
  if (!problems.empty()) {
    radapt::fail({.what = "reading the domains in '" + root.string() + "'",
                  .expected = "the classes of '" + domains[0].name + "' in every domain",
                  .got = problems,
                  .hint = "Class folders have the same names in all domains"});
  }
  return domains;
}

/// Consecutive parts of a domain, each with its share of every class. The order of the files within a class is that of
/// a hash of domain/class/file and the seed, so that a file's part depends on nothing else than the list of files, and
/// no part is all of one camera or one painter. `limit` keeps only so many files of every class; 0 keeps all.
inline std::vector<std::vector<DomainFile>> split(const Domain& domain, const std::vector<double>& shares,
                                                  std::uint64_t seed, std::size_t limit = 0) {
  const auto key = [seed](const DomainFile& file) {
    const std::filesystem::path& path = file.path;
    const auto part = [](const std::filesystem::path& p) { return p.filename().string(); };
    const std::string name = part(path.parent_path().parent_path()) + "/" + part(path.parent_path()) + "/" + part(path);
    std::uint64_t hash = scramble(seed + 0x9E3779B97F4A7C15U);
    for (const char letter : name) { hash = scramble(hash ^ static_cast<unsigned char>(letter)); }
    return hash;
  };
  std::vector<std::vector<DomainFile>> parts(shares.size());
  for (std::size_t label = 0; label < domain.class_names.size(); ++label) {
    std::vector<std::pair<std::uint64_t, DomainFile>> files;
    for (const DomainFile& file : domain.files) {
      if (file.label == static_cast<std::int32_t>(label)) { files.emplace_back(key(file), file); }
    }
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : a.second.path < b.second.path;
    });
    if (limit > 0 && files.size() > limit) { files.resize(limit); }
    double before = 0;
    for (std::size_t part = 0; part < shares.size(); ++part) {
      const auto at = [&](double share) {
        return static_cast<std::size_t>(std::lround(std::min(1.0, share) * static_cast<double>(files.size())));
      };
      for (std::size_t i = at(before); i < at(before + shares[part]); ++i) { parts[part].push_back(files[i].second); }
      before += shares[part];
    }
  }
  return parts;
}

/// Decoded pictures, all squares of one size, with their labels.
struct Pictures {
  std::vector<radapt::Image> images;
  std::vector<std::int32_t> labels;
  std::size_t skipped = 0;  ///< files that could not be read
};

/// Decodes files and brings them to rules.size x rules.size RGB pixels. A file that cannot be read is named on the
/// error stream, counted and left out. Error: none is left.
inline Pictures decode(const std::string& name, const std::vector<DomainFile>& files, const radapt::Preprocess& rules,
                       radapt::Progress& progress) {
  Pictures pictures;
  for (const DomainFile& file : files) {
    try {
      pictures.images.push_back(rules.pixels(radapt::open_image(file.path)));
      pictures.labels.push_back(file.label);
    } catch (const radapt::error& e) {
      ++pictures.skipped;
      std::fprintf(stderr, "skipped: %s\n", e.what());
    }
    progress.advance(1, name);
  }
  if (pictures.images.empty()) {
    radapt::fail({.what = "reading '" + name + "'",
                  .expected = "at least one image",
                  .got = files.empty() ? "none" : "none of " + std::to_string(files.size()) + " could be read",
                  .hint = "With few images per class some parts of the split are empty"});
  }
  return pictures;
}

/// A decoded picture for a report.
inline Picture picture_of(const radapt::Image& image) {
  Picture picture(image.width, image.height);
  std::copy(image.pixels.begin(), image.pixels.end(), picture.rgb.begin());
  return picture;
}

/// Pictures as a set to measure on: they have the model's size already. `pictures` must outlive the set.
inline ImageSet test_set(const std::string& name, const Pictures& pictures, const radapt::Preprocess& rules) {
  return {.name = name,
          .pixels = {},
          .labels = pictures.labels,
          .read = [&pictures, rules](std::size_t image, std::uint64_t, std::span<float> out) {
            rules.normalise(pictures.images[image], out);
          }};
}

/// Pictures that are larger than the model's as a set to measure on. `pictures` must outlive the set.
inline ImageSet resized_set(const std::string& name, const Pictures& pictures, const radapt::Preprocess& rules) {
  return {.name = name,
          .pixels = {},
          .labels = pictures.labels,
          .read = [&pictures, rules](std::size_t image, std::uint64_t, std::span<float> out) {
            rules(pictures.images[image], out);
          }};
}

/// Pictures as a set to train on: a random part of at least `least_area` (a share of the picture's area) is resized to
/// the model's size, another one for every draw and the same for the same draw. `pictures` must outlive the set.
inline ImageSet train_set(const std::string& name, const Pictures& pictures, const radapt::Preprocess& rules,
                          double least_area) {
  return {.name = name,
          .pixels = {},
          .labels = pictures.labels,
          .read = [&pictures, rules, least_area](std::size_t image, std::uint64_t draw, std::span<float> out) {
            radapt::Random random(draw, image);
            rules(
                pictures.images[image], {.scale = {least_area, 1.0}, .ratio = {3.0 / 4.0, 4.0 / 3.0}},
                [&] { return random.uniform(); }, out);
          }};
}

}  // namespace example
