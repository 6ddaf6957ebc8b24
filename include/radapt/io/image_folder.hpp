#pragma once
/// Labelled images in folders, one folder per class, numbered and ordered as torchvision's ImageFolder does.
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt {

/// The images below `root`, read once. A class is a folder directly below `root`; its label is its rank among the
/// names, sorted by bytes, or by number where the names are numbers and the caller says so (ImageNetV2: by bytes "10"
/// is in front of "2"). Its samples are all files in it, however deep, with an extension of an image in any case;
/// folders sorted by path, then files by name, both by bytes; symbolic links are followed.
class ImageFolder {
 public:
  struct Sample {
    std::filesystem::path path;  ///< `root` and what follows
    Index label = 0;             ///< position in class_names
  };
  enum class EmptyClass : bool { error, allowed };
  enum class ClassOrder : bool { by_bytes, by_number };

  /// Lists the folder. Fails if `root` has no class, a class has no image (unless allowed), a folder cannot be read or
  /// contains itself through a link, something with an image's name is not a file, or a name is no number where classes
  /// are ordered by it.
  explicit ImageFolder(const std::filesystem::path& root, EmptyClass empty_class = EmptyClass::error,
                       ClassOrder order = ClassOrder::by_bytes)
      : root_(root) {
    for (const auto& entry : entries(root)) {
      if (is_folder(entry)) { class_names_.push_back(entry.path().filename().string()); }
    }
    std::sort(class_names_.begin(), class_names_.end());
    if (order == ClassOrder::by_number) { sort_by_number(); }
    if (class_names_.empty()) {
      fail({.what = "reading the image folder '" + root.string() + "'",
            .expected = "one folder per class",
            .got = "none",
            .hint = {}});
    }
    std::string without;
    for (Index label = 0; label < class_names_.size(); ++label) {
      const Index before = samples_.size();
      add_class(label);
      if (samples_.size() == before) { without += (without.empty() ? "'" : ", '") + class_names_[label] + "'"; }
    }
    if (!without.empty() && empty_class == EmptyClass::error) {
      fail({.what = "reading the image folder '" + root.string() + "'",
            .expected = "an image in every class",
            .got = "none in " + without,
            .hint =
                "Images end in .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff or .webp; those in PNG or JPEG can be read"});
    }
  }

  const std::filesystem::path& root() const { return root_; }
  /// Names by label.
  const std::vector<std::string>& class_names() const { return class_names_; }
  const std::vector<Sample>& samples() const { return samples_; }
  Index size() const { return samples_.size(); }

  /// Whether a file of this name counts as an image, as in torchvision. Not all of them can be decoded: one that is no
  /// PNG or JPEG is listed, so that who reads it says so.
  static bool has_image_name(std::string_view name) {
    constexpr std::array<std::string_view, 9> extensions{".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                         ".pgm", ".tif",  ".tiff", ".webp"};
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::any_of(extensions.begin(), extensions.end(), [&](std::string_view extension) {
      return name.size() >= extension.size() &&
             std::equal(extension.begin(), extension.end(), name.end() - static_cast<std::ptrdiff_t>(extension.size()),
                        [&](char e, char n) { return e == lower(n); });
    });
  }

 private:
  using Entry = std::filesystem::directory_entry;

  void sort_by_number() {
    for (const std::string& name : class_names_) {
      if (name.size() > 18 || !std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        fail({.what = "reading the image folder '" + root_.string() + "'",
              .expected = "folders named by numbers of at most 18 digits",
              .got = "'" + name + "'",
              .hint = "Order classes by bytes where they have names"});
      }
    }
    std::stable_sort(class_names_.begin(), class_names_.end(),
                     [](const std::string& a, const std::string& b) { return std::stoll(a) < std::stoll(b); });
  }

  static std::vector<Entry> entries(const std::filesystem::path& folder) {
    std::error_code problem;
    std::vector<Entry> found;
    std::filesystem::directory_iterator at(folder, problem);
    for (const std::filesystem::directory_iterator end; !problem && at != end; at.increment(problem)) {
      found.push_back(*at);
    }
    if (problem) {
      fail({.what = "reading the folder '" + folder.string() + "'",
            .expected = "a readable folder",
            .got = problem.message(),
            .hint = {}});
    }
    return found;
  }

  static bool is_folder(const Entry& entry) {
    std::error_code problem;  // a link to nowhere is not a folder
    return entry.is_directory(problem) && !problem;
  }

  /// A folder still to be read, with the folders that lead to it, resolved.
  struct Folder {
    std::filesystem::path path;
    std::vector<std::filesystem::path> above;
  };

  void add_class(Index label) {
    std::vector<Folder> waiting{{root_ / class_names_[label], {}}};
    std::vector<std::pair<std::filesystem::path, std::vector<std::string>>> images;  // by folder
    while (!waiting.empty()) {
      Folder folder = std::move(waiting.back());
      waiting.pop_back();
      std::error_code problem;
      const auto real = std::filesystem::canonical(folder.path, problem);
      if (problem || std::find(folder.above.begin(), folder.above.end(), real) != folder.above.end()) {
        fail({.what = "reading the folder '" + folder.path.string() + "'",
              .expected = "a folder that does not contain itself",
              .got = problem ? problem.message() : "a link to '" + real.string() + "'",
              .hint = {}});
      }
      folder.above.push_back(real);
      std::vector<std::string> names;
      for (const Entry& entry : entries(folder.path)) {
        const std::string name = entry.path().filename().string();
        if (is_folder(entry)) {
          waiting.push_back({entry.path(), folder.above});
        } else if (has_image_name(name)) {
          if (!entry.is_regular_file(problem)) {
            fail({.what = "reading '" + entry.path().string() + "'",
                  .expected = "a file",
                  .got = entry.is_symlink(problem) ? "a link to nothing" : "a device",
                  .hint = {}});
          }
          names.push_back(name);
        }
      }
      std::sort(names.begin(), names.end());
      images.emplace_back(std::move(folder.path), std::move(names));
    }
    std::sort(images.begin(), images.end(), [](const auto& a, const auto& b) {
      return a.first.native() < b.first.native();  // path's own order is by component
    });
    for (const auto& [folder, names] : images) {
      for (const std::string& name : names) { samples_.push_back({.path = folder / name, .label = label}); }
    }
  }

  std::filesystem::path root_;
  std::vector<std::string> class_names_;
  std::vector<Sample> samples_;
};

}  // namespace radapt
