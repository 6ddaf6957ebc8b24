#pragma once
/// Pictures of the picture world as images of the library and as PNG files.
#include <cstddef>
#include <filesystem>
#include <vector>

#include "radapt/io/atomic_file.hpp"
#include "radapt/io/image_mode.hpp"
#include "radapt/io/png.hpp"

#include "picture.hpp"

namespace example {

/// The same pixels as an image that the library's preprocessing takes. Errors: a picture without pixels.
inline radapt::Image as_image(const Picture& picture) {
  radapt::Image image = radapt::zero_image(picture.width, picture.height, radapt::PixelMode::rgb);
  image.pixels = picture.rgb;
  return image;
}

/// The bytes of a PNG file; what `Report` takes as its encoder.
inline std::vector<std::byte> encode_png(const Picture& picture) { return radapt::png::encode(as_image(picture)); }

/// Writes a picture as a PNG file, atomically.
inline void save_png(const std::filesystem::path& path, const Picture& picture) {
  const std::vector<std::byte> bytes = encode_png(picture);
  radapt::write_atomically(path, [&bytes](radapt::AtomicWriter& file) { file.write(bytes); });
}

}  // namespace example
