#pragma once
/// PNG through libpng: every colour type into the mode that PIL opens it in, and back.
#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <png.h>

#include "radapt/io/orientation.hpp"

namespace radapt::png {

namespace detail {

/// What libpng's callbacks see. On an error they jump out of libpng to `trapped`; nothing in between owns anything.
struct Session {
  std::span<const std::byte> input;
  std::vector<std::byte> output;
  char message[256] = "";
  std::jmp_buf target;
};

[[noreturn]] inline void on_error(png_structp png, png_const_charp text) {
  auto& session = *static_cast<Session*>(png_get_error_ptr(png));
  std::strncpy(session.message, text, sizeof session.message - 1);
  std::longjmp(session.target, 1);
}
inline void on_warning(png_structp, png_const_charp) {}

inline void on_read(png_structp png, png_bytep to, std::size_t count) {
  auto& input = static_cast<Session*>(png_get_io_ptr(png))->input;
  if (count > input.size()) { png_error(png, "the file ends too early"); }
  std::memcpy(to, input.data(), count);
  input = input.subspan(count);
}
inline void on_write(png_structp png, png_bytep from, std::size_t count) {
  auto& output = static_cast<Session*>(png_get_io_ptr(png))->output;
  bool room = true;
  try {
    const auto* bytes = reinterpret_cast<const std::byte*>(from);
    output.insert(output.end(), bytes, bytes + count);
  } catch (...) { room = false; }  // an exception must not cross libpng; libpng is told below
  if (!room) { png_error(png, "out of memory"); }
}
inline void on_flush(png_structp) {}

/// Runs `step`; false if libpng gave up in it. `step` must not hold an object with a destructor.
template <class Step>
bool trapped(Session& session, const Step& step) {
  if (setjmp(session.target) != 0) { return false; }
  step();
  return true;
}

struct Reader {
  png_structp png;
  png_infop info = nullptr;

  explicit Reader(Session& session)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &session, on_error, on_warning)) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct Writer {
  png_structp png;
  png_infop info = nullptr;

  explicit Writer(Session& session)
      : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &session, on_error, on_warning)) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

/// What zlib's deflate can at most make of one byte.
inline constexpr Index most_bytes_per_byte = 1032;

/// The mode in which PIL opens a file of this colour type and depth.
inline PixelMode mode_of(int colour_type, int depth) {
  switch (colour_type) {
    case PNG_COLOR_TYPE_GRAY:
      return depth == 1 ? PixelMode::one_bit : depth == 16 ? PixelMode::integer : PixelMode::grey;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      return depth == 16 ? PixelMode::rgba : PixelMode::grey_alpha;
    case PNG_COLOR_TYPE_PALETTE:
      return PixelMode::palette;
    case PNG_COLOR_TYPE_RGB:
      return PixelMode::rgb;
    default:
      return PixelMode::rgba;
  }
}

}  // namespace detail

/// Whether `bytes` begin like a PNG file.
inline bool detect(std::span<const std::byte> bytes) {
  constexpr unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  return bytes.size() >= sizeof signature && std::memcmp(bytes.data(), signature, sizeof signature) == 0;
}

/// Decodes a PNG file. `name` is for messages. Modes are PIL's: 1-bit grey is one_bit, 16-bit grey is integer with the
/// values 0 to 65535, 16-bit grey with alpha is rgba; of other 16-bit samples the upper byte is taken. A colour marked
/// as transparent (tRNS without a palette) and colour-management chunks have no effect, as in PIL's convert("RGB").
/// Stricter than PIL: rows or an end chunk that are missing, a false checksum in any chunk, and a position past the end
/// of the palette are errors. EXIF is read for Image::orientation; the pixels stay as stored.
inline Image decode(std::span<const std::byte> bytes, const std::string& name, const DecodeOptions& options = {}) {
  detail::Session session;
  session.input = bytes;
  detail::Reader reader(session);
  const auto require = [&](bool done) {
    if (!done) {
      fail({.what = "decoding '" + name + "'",
            .expected = "a whole and valid PNG file",
            .got = session.message,
            .hint = {}});
    }
  };
  if (reader.png == nullptr) {
    fail({.what = "decoding '" + name + "'", .expected = {}, .got = "no decoder from libpng", .hint = {}});
  }

  png_uint_32 width = 0, height = 0;
  int depth = 0, colour_type = 0;
  std::size_t stored_row = 0;
  require(detail::trapped(session, [&] {
    png_structp png = reader.png;
    reader.info = png_create_info_struct(png);
    if (reader.info == nullptr) { png_error(png, "out of memory"); }
    png_set_read_fn(png, &session, detail::on_read);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours are checked below, with a clearer message
    // Skip ancillary chunks, which can be large and are of no use here, except for EXIF and a palette's alpha.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    constexpr png_byte exif[5] = {'e', 'X', 'I', 'f', 0};
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, exif, 1);
    png_set_check_for_invalid_index(png, 0);  // checked below, as an error
    png_read_info(png, reader.info);
    png_get_IHDR(png, reader.info, &width, &height, &depth, &colour_type, nullptr, nullptr, nullptr);
    stored_row = png_get_rowbytes(png, reader.info);
  }));
  check_claimed_size(width, height, options, name);
  if (height > bytes.size() * detail::most_bytes_per_byte / stored_row) {
    fail({.what = "decoding '" + name + "'",
          .expected = "data for " + std::to_string(width) + " x " + std::to_string(height) + " pixels",
          .got = std::to_string(bytes.size()) + " bytes",
          .hint = {}});
  }

  Image image = zero_image(width, height, detail::mode_of(colour_type, depth));
  std::vector<png_bytep> rows(image.height);
  // 16-bit grey has two bytes per pixel in the file and four in memory: rows are read into the second half of each row.
  const bool wide = image.mode == PixelMode::integer;
  for (Index y = 0; y < image.height; ++y) { rows[y] = image.row(y) + (wide ? image.row_bytes() / 2 : 0); }
  png_colorp colours = nullptr;
  png_bytep alpha = nullptr, exif = nullptr;
  int colour_count = 0, alpha_count = 0;
  png_uint_32 exif_size = 0;
  require(detail::trapped(session, [&] {
    png_structp png = reader.png;
    if (colour_type == PNG_COLOR_TYPE_GRAY && depth < 8) { png_set_expand_gray_1_2_4_to_8(png); }
    if (depth == 16 && !wide) { png_set_strip_16(png); }
    if (depth == 16 && colour_type == PNG_COLOR_TYPE_GRAY_ALPHA) { png_set_gray_to_rgb(png); }
    png_set_packing(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, reader.info);
    if (png_get_rowbytes(png, reader.info) != image.row_bytes() / (wide ? 2 : 1)) {
      png_error(png, "rows of an unexpected length");
    }
    png_read_image(png, rows.data());
    png_read_end(png, reader.info);
    png_get_PLTE(png, reader.info, &colours, &colour_count);
    png_get_tRNS(png, reader.info, &alpha, &alpha_count, nullptr);
    png_get_eXIf_1(png, reader.info, &exif_size, &exif);
  }));
  if (wide) {
    for (Index y = 0; y < image.height; ++y) {
      for (Index x = 0; x < image.width; ++x) {  // never overtakes the bytes still to be read
        const std::int32_t value = rows[y][2 * x] << 8 | rows[y][2 * x + 1];
        std::memcpy(image.row(y) + 4 * x, &value, sizeof value);
      }
    }
  }
  if (image.mode == PixelMode::palette) {
    for (int i = 0; i < colour_count; ++i) {
      image.palette.push_back({colours[i].red, colours[i].green, colours[i].blue});
    }
    if (alpha != nullptr) { image.palette_alpha.assign(alpha, alpha + alpha_count); }
    const std::uint8_t highest = *std::max_element(image.pixels.begin(), image.pixels.end());
    if (highest >= image.palette.size()) {
      fail({.what = "decoding '" + name + "'",
            .expected = "positions in a palette of " + std::to_string(image.palette.size()) + " colours",
            .got = "position " + std::to_string(highest),
            .hint = {}});
    }
  }
  if (exif != nullptr) { image.orientation = exif_orientation({reinterpret_cast<const std::byte*>(exif), exif_size}); }
  return image;
}

/// `image` as a PNG file. Every mode but cmyk has a colour type of its own; integers must lie in 0..65535.
inline std::vector<std::byte> encode(const Image& image) {
  check_image(image, "encoding PNG");
  if (image.mode == PixelMode::cmyk) {
    fail({.what = "encoding PNG", .expected = "a mode that PNG has", .got = "CMYK", .hint = "Convert it with to_rgb."});
  }
  if (image.width > PNG_UINT_31_MAX || image.height > PNG_UINT_31_MAX || image.palette_alpha.size() > 256) {
    fail({.what = "encoding PNG", .expected = "sides below 2^31 and at most 256 colours", .got = {}, .hint = {}});
  }
  int colour_type = PNG_COLOR_TYPE_RGB, depth = 8;
  switch (image.mode) {
    case PixelMode::one_bit:
      colour_type = PNG_COLOR_TYPE_GRAY, depth = 1;
      break;
    case PixelMode::grey:
      colour_type = PNG_COLOR_TYPE_GRAY;
      break;
    case PixelMode::integer:
      colour_type = PNG_COLOR_TYPE_GRAY, depth = 16;
      break;
    case PixelMode::grey_alpha:
      colour_type = PNG_COLOR_TYPE_GRAY_ALPHA;
      break;
    case PixelMode::palette:
      colour_type = PNG_COLOR_TYPE_PALETTE;
      break;
    case PixelMode::rgba:
      colour_type = PNG_COLOR_TYPE_RGB_ALPHA;
      break;
    case PixelMode::rgb:
    case PixelMode::cmyk:
      break;
  }
  std::vector<png_color> colours;
  for (const auto& colour : image.palette) { colours.push_back({colour[0], colour[1], colour[2]}); }
  // The file's rows, where they differ from those in memory.
  std::vector<std::uint8_t> stored;
  if (image.mode == PixelMode::one_bit) {
    for (const std::uint8_t pixel : image.pixels) { stored.push_back(pixel != 0); }
  } else if (image.mode == PixelMode::integer) {
    for (Index i = 0; i < image.pixels.size(); i += 4) {
      const std::int32_t value = integer_pixel(image.pixels.data() + i);
      if (value < 0 || value > 65535) {
        fail({.what = "encoding PNG", .expected = "integers in 0..65535", .got = std::to_string(value), .hint = {}});
      }
      stored.push_back(static_cast<std::uint8_t>(value >> 8));
      stored.push_back(static_cast<std::uint8_t>(value & 255));
    }
  }
  const std::uint8_t* first = stored.empty() ? image.pixels.data() : stored.data();
  const Index row_bytes = (stored.empty() ? image.pixels.size() : stored.size()) / image.height;
  std::vector<png_bytep> rows(image.height);
  for (Index y = 0; y < image.height; ++y) { rows[y] = const_cast<png_bytep>(first + y * row_bytes); }  // only read

  detail::Session session;
  detail::Writer writer(session);
  if (writer.png == nullptr) {
    fail({.what = "encoding PNG", .expected = {}, .got = "no encoder from libpng", .hint = {}});
  }
  const bool done = detail::trapped(session, [&] {
    png_structp png = writer.png;
    writer.info = png_create_info_struct(png);
    if (writer.info == nullptr) { png_error(png, "out of memory"); }
    png_set_write_fn(png, &session, detail::on_write, detail::on_flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(png, writer.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), depth,
                 colour_type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!colours.empty()) { png_set_PLTE(png, writer.info, colours.data(), static_cast<int>(colours.size())); }
    if (!image.palette_alpha.empty()) {
      png_set_tRNS(png, writer.info, image.palette_alpha.data(), static_cast<int>(image.palette_alpha.size()), nullptr);
    }
    png_write_info(png, writer.info);
    png_set_packing(png);
    png_write_image(png, rows.data());
    png_write_end(png, writer.info);
  });
  if (!done) { fail({.what = "encoding PNG", .expected = {}, .got = session.message, .hint = {}}); }
  return std::move(session.output);
}

}  // namespace radapt::png
