#pragma once
/// PNG files put together chunk by chunk, also such as no encoder writes.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace radapt_test {

using Bytes = std::vector<std::byte>;

inline void append(Bytes& bytes, std::string_view text) {
  for (const char c : text) { bytes.push_back(static_cast<std::byte>(c)); }
}

inline std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) { text += static_cast<char>(value >> shift & 255); }
  return text;
}

inline void append_chunk(Bytes& png, std::string_view kind, std::string_view body) {
  std::string checked(kind);
  checked += body;
  append(png, big_endian(static_cast<std::uint32_t>(body.size())));
  append(png, checked);
  const auto* first = reinterpret_cast<const Bytef*>(checked.data());
  append(png, big_endian(static_cast<std::uint32_t>(crc32(0, first, static_cast<uInt>(checked.size())))));
}

struct PngHeader {
  std::uint32_t width, height;
  char depth, colour_type, interlaced = 0;
};

/// A file with the given header, `before` the image data (whole chunks), and `rows`: each a filter byte and samples.
inline Bytes png_file(PngHeader header, std::string_view rows, const Bytes& before = {}) {
  Bytes png;
  append(png, "\x89PNG\r\n\x1a\n");
  append_chunk(png, "IHDR",
               big_endian(header.width) + big_endian(header.height) + header.depth + header.colour_type +
                   std::string(2, '\0') + header.interlaced);
  png.insert(png.end(), before.begin(), before.end());
  std::string packed(compressBound(static_cast<uLong>(rows.size())), '\0');
  uLongf length = static_cast<uLongf>(packed.size());
  compress(reinterpret_cast<Bytef*>(packed.data()), &length, reinterpret_cast<const Bytef*>(rows.data()),
           static_cast<uLong>(rows.size()));
  packed.resize(length);
  append_chunk(png, "IDAT", packed);
  append_chunk(png, "IEND", "");
  return png;
}

/// Corrects the checksums of the chunks of a damaged PNG file, as far as they can be told apart.
inline void repair_checksums(Bytes& png) {
  std::size_t at = 8;
  while (at + 12 <= png.size()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) { length = length << 8 | std::to_integer<std::size_t>(png[at + i]); }
    if (length > png.size() - at - 12) { return; }
    const auto* first = reinterpret_cast<const Bytef*>(png.data() + at + 4);
    const std::string sum = big_endian(static_cast<std::uint32_t>(crc32(0, first, static_cast<uInt>(length + 4))));
    std::memcpy(png.data() + at + 8 + length, sum.data(), 4);
    at += 12 + length;
  }
}

}  // namespace radapt_test
