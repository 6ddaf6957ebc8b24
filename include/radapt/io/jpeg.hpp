#pragma once
/// JPEG through libjpeg(-turbo), with the choices that PIL makes: accurate integer DCT, triangle chroma upsampling.
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>  // jpeglib.h uses FILE and size_t without declaring them
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <jpeglib.h>

#include <jerror.h>

#include "radapt/io/orientation.hpp"

namespace radapt::jpeg {

namespace detail {

/// libjpeg reports an error by calling `error_exit`, which may not return: it jumps back to `target`. Only frames of
/// libjpeg and of `trapped` below are jumped over, and these own nothing; memory is owned by the objects around them.
struct ErrorTrap {
  jpeg_error_mgr base;  // first, so that a pointer to it is a pointer to the whole
  std::jmp_buf target;
  char message[JMSG_LENGTH_MAX];  // the error, or the first warning

  ErrorTrap() {
    jpeg_std_error(&base);
    base.error_exit = [](j_common_ptr info) {
      auto& trap = *reinterpret_cast<ErrorTrap*>(info->err);
      (*info->err->format_message)(info, trap.message);
      std::longjmp(trap.target, 1);
    };
    base.emit_message = [](j_common_ptr info, int level) {
      auto& trap = *reinterpret_cast<ErrorTrap*>(info->err);
      if (level >= 0) { return; }  // a trace message
      if (info->err->num_warnings++ == 0) { (*info->err->format_message)(info, trap.message); }
    };
    base.output_message = [](j_common_ptr) {};
    message[0] = '\0';
  }
};

/// Runs `step`; false if libjpeg gave up in it. `step` must not hold an object with a destructor.
template <class Step>
bool trapped(ErrorTrap& trap, const Step& step) {
  if (setjmp(trap.target) != 0) { return false; }
  step();
  return true;
}

/// A source that ends where the bytes end. libjpeg's own memory source makes up an end marker there and fills the rest
/// of the image with grey; a file that is cut off is an error instead.
struct Source : jpeg_source_mgr {
  explicit Source(std::span<const std::byte> bytes) : jpeg_source_mgr() {
    next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    bytes_in_buffer = bytes.size();
    init_source = [](j_decompress_ptr) {};
    fill_input_buffer = [](j_decompress_ptr info) -> boolean {
      ERREXIT(info, JERR_INPUT_EOF);
      return FALSE;
    };
    skip_input_data = [](j_decompress_ptr info, long count) {
      if (count <= 0) { return; }
      const auto skipped = static_cast<std::size_t>(count);
      if (skipped > info->src->bytes_in_buffer) { ERREXIT(info, JERR_INPUT_EOF); }
      info->src->next_input_byte += skipped;
      info->src->bytes_in_buffer -= skipped;
    };
    resync_to_restart = jpeg_resync_to_restart;
    term_source = [](j_decompress_ptr) {};
  }
};

/// More scans than any encoder writes. A small progressive file can hold thousands, each over the whole image.
inline constexpr int most_scans = 100;

/// No Huffman-coded JPEG covers more pixels with one byte: a bit codes at least one block, and a block belongs to an
/// MCU of at most 32 x 32 pixels.
inline constexpr Index most_pixels_per_byte = 8 * 32 * 32;

struct Decompressor {
  ErrorTrap trap;
  Source source;
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct info{};

  explicit Decompressor(std::span<const std::byte> bytes) : source(bytes) {
    info.err = &trap.base;
    progress.progress_monitor = [](j_common_ptr common) {
      const auto* decoder = reinterpret_cast<j_decompress_ptr>(common);
      if (decoder->input_scan_number <= most_scans) { return; }
      auto& errors = *reinterpret_cast<ErrorTrap*>(common->err);
      std::snprintf(errors.message, sizeof errors.message, "more than %d scans", most_scans);
      std::longjmp(errors.target, 1);
    };
  }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  ~Decompressor() { jpeg_destroy_decompress(&info); }
};

/// A destination that appends to a vector, block by block. libjpeg's own memory destination loses its memory if it
/// fails after growing.
struct Sink : jpeg_destination_mgr {
  std::vector<std::byte> bytes;
  std::array<JOCTET, 16384> block;

  Sink() : jpeg_destination_mgr() {
    init_destination = [](j_compress_ptr info) { of(info).restart(); };
    empty_output_buffer = [](j_compress_ptr info) -> boolean {
      of(info).append(info, of(info).block.size());
      of(info).restart();
      return TRUE;
    };
    term_destination = [](j_compress_ptr info) {
      of(info).append(info, of(info).block.size() - of(info).free_in_buffer);
    };
  }

 private:
  static Sink& of(j_compress_ptr info) { return *static_cast<Sink*>(info->dest); }
  void restart() {
    next_output_byte = block.data();
    free_in_buffer = block.size();
  }
  void append(j_compress_ptr info, std::size_t count) {
    bool room = true;
    try {
      const auto* first = reinterpret_cast<const std::byte*>(block.data());
      bytes.insert(bytes.end(), first, first + count);
    } catch (...) { room = false; }  // an exception must not cross libjpeg; libjpeg is told below
    if (!room) { ERREXIT1(info, JERR_OUT_OF_MEMORY, 0); }
  }
};

struct Compressor {
  ErrorTrap trap;
  Sink sink;
  jpeg_compress_struct info{};

  Compressor() { info.err = &trap.base; }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor() { jpeg_destroy_compress(&info); }
};

/// The orientation in the first EXIF marker.
inline unsigned orientation(const jpeg_decompress_struct& info) {
  constexpr char signature[6] = {'E', 'x', 'i', 'f', 0, 0};
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    if (marker->data_length < sizeof signature || std::memcmp(marker->data, signature, sizeof signature) != 0) {
      continue;
    }
    const std::span<const std::byte> data(reinterpret_cast<const std::byte*>(marker->data), marker->data_length);
    return exif_orientation(data.subspan(sizeof signature));
  }
  return 1;
}

}  // namespace detail

/// Whether `bytes` begin like a JPEG file.
inline bool detect(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0xFF} && bytes[1] == std::byte{0xD8} && bytes[2] == std::byte{0xFF};
}

/// Decodes a JPEG file to mode grey, rgb or cmyk, by its one, three or four components. `name` is for messages.
/// Like PIL, every four-component file is taken to hold inverted ink, as Adobe's programs write it, and data that
/// libjpeg only warns about is accepted unless `options` say otherwise. A file that is cut off, be it only by its end
/// marker, is an error. EXIF is read for Image::orientation; the pixels stay as stored.
inline Image decode(std::span<const std::byte> bytes, const std::string& name, const DecodeOptions& options = {}) {
  detail::Decompressor decoder(bytes);
  auto& info = decoder.info;
  const auto require = [&](bool done) {
    if (!done) {
      fail({.what = "decoding '" + name + "'",
            .expected = "a whole and valid JPEG file",
            .got = decoder.trap.message,
            .hint = {}});
    }
  };
  require(detail::trapped(decoder.trap, [&] {
    jpeg_create_decompress(&info);
    info.src = &decoder.source;
    info.progress = &decoder.progress;
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&info, TRUE);
  }));
  check_claimed_size(info.image_width, info.image_height, options, name);
  if (!info.arith_code && Index{info.image_width} * info.image_height / detail::most_pixels_per_byte > bytes.size()) {
    fail({.what = "decoding '" + name + "'",
          .expected =
              "data for " + std::to_string(info.image_width) + " x " + std::to_string(info.image_height) + " pixels",
          .got = std::to_string(bytes.size()) + " bytes",
          .hint = {}});
  }
  const int components = info.num_components;
  if (components != 1 && components != 3 && components != 4) {
    fail({.what = "decoding '" + name + "'",
          .expected = "a JPEG file of 1, 3 or 4 components",
          .got = std::to_string(components),
          .hint = {}});
  }
  info.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  info.dct_method = JDCT_ISLOW;
  info.do_fancy_upsampling = TRUE;

  Image image = zero_image(info.image_width, info.image_height,
                           components == 1   ? PixelMode::grey
                           : components == 3 ? PixelMode::rgb
                                             : PixelMode::cmyk);
  image.orientation = detail::orientation(info);  // now: finishing drops the markers
  require(detail::trapped(decoder.trap, [&] {
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = image.row(info.output_scanline);
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
  }));
  require(!(options.reject_damaged_jpeg && info.err->num_warnings > 0));
  if (image.mode == PixelMode::cmyk) {
    for (std::uint8_t& ink : image.pixels) { ink = static_cast<std::uint8_t>(255 - ink); }
  }
  return image;
}

/// `image` (mode grey or rgb) as a JPEG file: baseline, chroma at half resolution, `quality` 1 to 100. No EXIF.
inline std::vector<std::byte> encode(const Image& image, int quality = 75) {
  check_image(image, "encoding JPEG");
  const bool grey = image.mode == PixelMode::grey;
  if (!grey && image.mode != PixelMode::rgb) {
    fail({.what = "encoding JPEG",
          .expected = "mode L or RGB",
          .got = pil_name(image.mode),
          .hint = "Convert it with to_rgb."});
  }
  if (image.width > JPEG_MAX_DIMENSION || image.height > JPEG_MAX_DIMENSION) {
    fail({.what = "encoding JPEG",
          .expected = "sides up to " + std::to_string(JPEG_MAX_DIMENSION),
          .got = std::to_string(image.width) + " x " + std::to_string(image.height),
          .hint = {}});
  }
  if (quality < 1 || quality > 100) {
    fail({.what = "encoding JPEG", .expected = "a quality of 1 to 100", .got = std::to_string(quality), .hint = {}});
  }
  detail::Compressor encoder;
  auto& info = encoder.info;
  const bool done = detail::trapped(encoder.trap, [&] {
    jpeg_create_compress(&info);
    info.dest = &encoder.sink;
    info.image_width = static_cast<JDIMENSION>(image.width);
    info.image_height = static_cast<JDIMENSION>(image.height);
    info.input_components = grey ? 1 : 3;
    info.in_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      JSAMPROW row = const_cast<JSAMPROW>(image.row(info.next_scanline));  // libjpeg only reads it
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
  });
  if (!done) { fail({.what = "encoding JPEG", .expected = {}, .got = encoder.trap.message, .hint = {}}); }
  return std::move(encoder.sink.bytes);
}

}  // namespace radapt::jpeg
