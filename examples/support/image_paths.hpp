#pragma once
/// The image files that a user names: files one by one, and folders of them.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/image_folder.hpp"

namespace example {

/// The files given, and the images in the folders given, however deep, in the order of their paths. Error: none.
inline std::vector<std::filesystem::path> image_paths(const std::vector<std::string>& given) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& name : given) {
    if (!std::filesystem::is_directory(name)) {
      paths.emplace_back(name);
      continue;
    }
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(name)) {
      if (radapt::ImageFolder::has_image_name(entry.path().string())) { found.push_back(entry.path()); }
    }
    std::sort(found.begin(), found.end());
    paths.insert(paths.end(), found.begin(), found.end());
  }
  if (paths.empty()) {
    radapt::fail({.what = "looking for images in '" + (given.empty() ? std::string() : given[0]) + "'",
                  .expected = "files that end in .jpg, .jpeg or .png",
                  .got = "none",
                  .hint = ""});
  }
  return paths;
}

}  // namespace example
