#pragma once
/// Images with captions, from whichever file lists them; and the same as flat lists of captions for retrieval.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/io/csv.hpp"

namespace radapt {

/// One image and what is said of it.
struct CaptionedImage {
  std::filesystem::path path;
  std::vector<std::string> captions;  ///< at least one
  std::int64_t id = 0;                ///< the data set's own number of the image; its position where it has none
};

/// All captions in a row, and the image that each describes: what task::retrieval takes.
struct CaptionList {
  std::vector<std::string> captions;
  std::vector<std::int32_t> image_of_text;  ///< position in the list of images
};

/// The captions of `images` one behind the other; of each image at most `most` of them, 0 for all. Retrieval is
/// reported with the first 5 (clip_compat.md 5.4).
inline CaptionList list_captions(const std::vector<CaptionedImage>& images, Index most = 0) {
  CaptionList list;
  for (Index i = 0; i < images.size(); ++i) {
    const Index all = images[i].captions.size(), taken = most == 0 ? all : std::min(most, all);
    for (Index k = 0; k < taken; ++k) {
      list.captions.push_back(images[i].captions[k]);
      list.image_of_text.push_back(static_cast<std::int32_t>(i));
    }
  }
  return list;
}

/// Which columns of a table of captions hold what. The defaults are those of Flickr's `captions.txt`; open_clip's
/// training files have "filepath" and "title" (clip_compat.md 5.3).
struct CaptionColumns {
  std::string image = "image", caption = "caption";
};

/// The images of a table with one row for each caption. Rows with the same image, wherever they stand, become one image
/// with several captions; "a.jpg" and "./a.jpg" are the same. Images are in the order of their first rows. Paths are
/// taken below `folder` unless they are absolute. Errors: no such column, an image without a name, one with a zero
/// byte.
inline std::vector<CaptionedImage> captioned_images(const CsvTable& table, const std::filesystem::path& folder,
                                                    const CaptionColumns& columns = {}) {
  const Index image = table.column(columns.image), caption = table.column(columns.caption);
  std::vector<CaptionedImage> images;
  std::map<std::string, Index, std::less<>> known;
  for (Index row = 0; row < table.size(); ++row) {
    const std::string& name = table.at(row, image);
    if (name.empty()) {
      fail({.what = "reading row " + std::to_string(row + 1) + " of a table of captions",
            .expected = "the name of an image",
            .got = "an empty field",
            .hint = {}});
    }
    if (name.find('\0') != std::string::npos) {  // where the system ends a name
      fail({.what = "reading row " + std::to_string(row + 1) + " of a table of captions",
            .expected = "the name of an image",
            .got = "one with a zero byte in it",
            .hint = {}});
    }
    const auto [at, added] = known.try_emplace(std::filesystem::path(name).lexically_normal().string(), images.size());
    if (added) {
      images.push_back({.path = folder / name, .captions = {}, .id = static_cast<std::int64_t>(images.size())});
    }
    images[at->second].captions.push_back(table.at(row, caption));
  }
  return images;
}

}  // namespace radapt
