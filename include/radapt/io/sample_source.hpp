#pragma once
/// What a loader reads from: samples by position, each the bytes of an image and what belongs to it.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "radapt/io/captioned_images.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/image_folder.hpp"

namespace radapt {

/// One sample as it is stored.
struct RawSample {
  std::vector<std::byte> image;       ///< a whole PNG or JPEG file
  std::int32_t label = -1;            ///< class, -1 for none
  std::int32_t group = -1;            ///< region, place or the like, -1 for none
  std::vector<std::string> captions;  ///< possibly none
};

/// Anything with a size, names, and samples that can be read in any order and by several threads at once. A sample that
/// cannot be read is an error of radapt, which a loader counts and passes over; any other exception ends the loading.
template <class S>
concept sample_source = requires(const S& source, Index i) {
  { source.size() } -> std::convertible_to<Index>;
  { source.name(i) } -> std::convertible_to<std::string>;
  { source.read(i) } -> std::same_as<RawSample>;
};

/// The images of an ImageFolder with their classes.
class FolderSource {
 public:
  explicit FolderSource(ImageFolder folder) : folder_(std::move(folder)) {}
  Index size() const { return folder_.size(); }
  std::string name(Index i) const { return folder_.samples().at(i).path.string(); }
  RawSample read(Index i) const {
    const ImageFolder::Sample& sample = folder_.samples().at(i);
    return {
        .image = read_file(sample.path), .label = static_cast<std::int32_t>(sample.label), .group = -1, .captions = {}};
  }
  const ImageFolder& folder() const { return folder_; }

 private:
  ImageFolder folder_;
};

/// Images with captions, from a table or a split file: one sample for each image, with all its captions.
class CaptionedSource {
 public:
  explicit CaptionedSource(std::vector<CaptionedImage> images) : images_(std::move(images)) {}
  Index size() const { return images_.size(); }
  std::string name(Index i) const { return images_.at(i).path.string(); }
  RawSample read(Index i) const {
    const CaptionedImage& image = images_.at(i);
    return {.image = read_file(image.path), .label = -1, .group = -1, .captions = image.captions};
  }
  const std::vector<CaptionedImage>& images() const { return images_; }

 private:
  std::vector<CaptionedImage> images_;
};

}  // namespace radapt
