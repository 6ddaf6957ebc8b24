#pragma once
/// Image files: opened by what their first bytes say, whatever their name says, and written as PNG.
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/io/atomic_file.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/image_mode.hpp"
#include "radapt/io/jpeg.hpp"
#include "radapt/io/orientation.hpp"
#include "radapt/io/png.hpp"

namespace radapt {

namespace detail {

/// What a file that is neither PNG nor JPEG seems to be, for the message.
inline std::string other_format(std::span<const std::byte> bytes) {
  const auto begins = [&](std::string_view magic, std::size_t at = 0) {
    return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
  };
  if (bytes.empty()) { return "an empty file"; }
  if (begins("GIF8")) { return "a GIF file"; }
  if (begins("RIFF") && begins("WEBP", 8)) { return "a WebP file"; }
  if (begins(std::string_view("II*\0", 4)) || begins(std::string_view("MM\0*", 4))) { return "a TIFF file"; }
  if (begins("BM")) { return "a BMP file"; }
  if (begins("P5") || begins("P6")) { return "a PGM or PPM file"; }
  return "bytes of another format";
}

}  // namespace detail

/// Decodes the bytes of a PNG or JPEG file into the mode that PIL would open it in. `name` is for messages.
/// The format is told from the first bytes. Fails for another format, a file that is cut off or invalid, and a size
/// beyond the limits of `options`. EXIF orientation is left to the caller unless `options` ask to apply it.
inline Image decode_image(std::span<const std::byte> bytes, const std::string& name,
                          const DecodeOptions& options = {}) {
  Image image;
  if (png::detect(bytes)) {
    image = png::decode(bytes, name, options);
  } else if (jpeg::detect(bytes)) {
    image = jpeg::decode(bytes, name, options);
  } else {
    fail({.what = "decoding '" + name + "'",
          .expected = "a PNG or JPEG file",
          .got = detail::other_format(bytes),
          .hint = {}});
  }
  return options.apply_orientation ? apply_orientation(std::move(image)) : image;
}

/// Reads and decodes the PNG or JPEG file `path`, as decode_image does.
inline Image open_image(const std::filesystem::path& path, const DecodeOptions& options = {}) {
  return decode_image(read_file(path), path.string(), options);
}

/// `image` as a PNG file in memory. Every mode but cmyk; integers must lie in 0..65535.
inline std::vector<std::byte> encode_png(const Image& image) { return png::encode(image); }

/// `image` (mode grey or rgb) as a JPEG file in memory; `quality` 1 to 100.
inline std::vector<std::byte> encode_jpeg(const Image& image, int quality = 75) { return jpeg::encode(image, quality); }

/// Writes `image` as the PNG file `path`, atomically. Modes as in encode_png.
inline void write_png(const std::filesystem::path& path, const Image& image) {
  const std::vector<std::byte> bytes = encode_png(image);
  write_atomically(path, [&](auto& file) { file.write(bytes); });
}

}  // namespace radapt
