#include "radapt/io/image.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "../support/png_chunks.hpp"
#include "../support/preprocess_cases.hpp"
#include "../support/temporary_folder.hpp"
#include "radapt/core/random.hpp"
#include "radapt/io/safetensors.hpp"

using namespace std::string_literals;
using radapt::DecodeOptions;
using radapt::Image;
using radapt::Index;
using radapt::PixelMode;
using radapt_test::append_chunk;
using radapt_test::Bytes;
using radapt_test::noise_image;
using radapt_test::png_file;
using radapt_test::preprocess_cases;

namespace {

constexpr PixelMode png_modes[] = {PixelMode::one_bit, PixelMode::grey,    PixelMode::grey_alpha, PixelMode::rgb,
                                   PixelMode::rgba,    PixelMode::palette, PixelMode::integer};

Bytes fixture(const std::string& name) {
  return radapt::read_file(radapt_test::shared_data("fixtures/preprocess/" + name));
}

Image decode(const Bytes& bytes, const DecodeOptions& options = {}) {
  return radapt::decode_image(bytes, "test", options);
}

/// The message of the error that decoding gives; empty if there is none. Any other exception fails the test.
std::string complaint(const Bytes& bytes, const DecodeOptions& options = {}) {
  try {
    radapt::check_image(decode(bytes, options), "test");
    return "";
  } catch (const radapt::error& problem) { return problem.what(); }
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// An EXIF block with one entry: big-endian, type SHORT.
std::string exif(char orientation) {
  return "MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + orientation + "\0\0\0\0\0\0"s;
}

}  // namespace

TEST_CASE("every fixture decodes to PIL's mode and bytes, or is rejected") {
  const auto expected = radapt::safetensors::open(radapt_test::shared_data("fixtures/preprocess/expected.safetensors"));
  int decoded = 0, upright = 0, rejected = 0;
  for (const auto& one : preprocess_cases()) {
    CAPTURE(one.file);
    if (one.rejected) {
      CHECK_THROWS_AS(radapt::open_image(one.path), radapt::error);
      ++rejected;
      continue;
    }
    const Image image = radapt::open_image(one.path);
    CHECK(radapt::pil_name(image.mode) == one.mode);
    CHECK(image.width == one.width);
    CHECK(image.height == one.height);
    const bool same = radapt::to_rgb(image).pixels == expected.read<std::uint8_t>(one.file + ".decoded");
    CHECK(same);
    ++decoded;
    if (!expected.contains(one.file + ".transposed.decoded")) { continue; }
    const Image turned = radapt::open_image(one.path, {.apply_orientation = true});
    CHECK(turned.width == one.height);
    CHECK(turned.height == one.width);
    CHECK(turned.orientation == 1);
    const bool also = radapt::to_rgb(turned).pixels == expected.read<std::uint8_t>(one.file + ".transposed.decoded");
    CHECK(also);
    ++upright;
  }
  CHECK(decoded == 22);
  CHECK(upright == 1);
  CHECK(rejected == 2);
}

TEST_CASE("a file that is no image, or another kind of one, is named") {
  CHECK(complaint(fixture("not_an_image.jpg")) ==
        "radapt: decoding 'test': expected a PNG or JPEG file, got bytes of another format");
  CHECK(has(complaint(fixture("jpeg_truncated.jpg")), "expected a whole and valid JPEG file, got Premature end"));
  CHECK(has(complaint({}), "got an empty file"));
  const std::map<std::string, std::string> kinds{{"GIF89a", "a GIF file"},
                                                 {"RIFF\1\2\3\4WEBPVP8 ", "a WebP file"},
                                                 {"II*\0rest"s, "a TIFF file"},
                                                 {"MM\0*rest"s, "a TIFF file"},
                                                 {"BM12", "a BMP file"},
                                                 {"P6\n1 1", "a PGM or PPM file"},
                                                 {"\x89PNG", "bytes of another format"},
                                                 {"\xff\xd8", "bytes of another format"}};
  for (const auto& [text, kind] : kinds) {
    Bytes bytes;
    radapt_test::append(bytes, text);
    CHECK(has(complaint(bytes), "got " + kind));
  }
}

TEST_CASE("what cannot be read is named") {
  const radapt_test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(radapt::open_image(folder.path() / "absent.png"), doctest::Contains("absent.png': expected a"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(radapt::open_image(folder.path()), doctest::Contains("got a folder"), radapt::error);
  CHECK_THROWS_WITH_AS(radapt::open_image("/dev/zero"), doctest::Contains("got a device"), radapt::error);
  CHECK_THROWS_WITH_AS(radapt::open_image(folder.write("empty.jpg")), doctest::Contains("got an empty file"),
                       radapt::error);
}

TEST_CASE("the first bytes tell the format, not the name") {
  const radapt_test::TemporaryFolder folder;
  const Bytes jpeg = fixture("jpeg_420.jpg"), png = fixture("rgba.png");
  CHECK(radapt::open_image(folder.write("a.png", jpeg)).pixels == decode(jpeg).pixels);
  CHECK(radapt::open_image(folder.write("b.jpg", png)).mode == PixelMode::rgba);
}

TEST_CASE("a file that is cut off anywhere is rejected") {
  for (const auto& one : preprocess_cases()) {
    if (one.rejected) { continue; }
    CAPTURE(one.file);
    const Bytes whole = radapt::read_file(one.path);
    // All lengths of small files; of larger ones the first and last hundred and some in between.
    const std::size_t step = std::max<std::size_t>(1, whole.size() / 97);
    for (std::size_t length = 0; length < whole.size();
         length += length < 100 || length + 100 > whole.size() ? 1 : std::min(step, whole.size() - 100 - length + 1)) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      const bool rejected = has(complaint(part), "radapt: decoding 'test': expected ");
      REQUIRE_MESSAGE(rejected, length);
    }
  }
}

TEST_CASE("bytes after the end of the image do no harm") {
  for (const char* name : {"jpeg_420.jpg", "grey.png"}) {
    Bytes bytes = fixture(name);
    const Image image = decode(bytes);
    radapt_test::append(bytes, "and so on");
    CHECK(decode(bytes).pixels == image.pixels);
  }
}

TEST_CASE("sizes in a header are checked before memory is taken") {
  // 2^31 pixels; then fewer than the limit, which this little data cannot make up either.
  CHECK(has(complaint(png_file({.width = 65536, .height = 32768, .depth = 8, .colour_type = 2}, "")),
            "expected at most 178956970 pixels and sides up to 1000000, got 65536 x 32768 pixels"));
  CHECK(has(complaint(png_file({.width = 2000000, .height = 1, .depth = 8, .colour_type = 0}, "")), "got 2000000 x 1"));
  CHECK(has(complaint(png_file({.width = 2147483647, .height = 2147483647, .depth = 16, .colour_type = 6}, "")),
            "got 2147483647 x 2147483647"));
  CHECK(has(complaint(png_file({.width = 13000, .height = 13000, .depth = 8, .colour_type = 2}, "")),
            "expected data for 13000 x 13000 pixels"));
  CHECK(has(complaint(png_file({.width = 0, .height = 5, .depth = 8, .colour_type = 2}, "")), "PNG file"));
  CHECK(has(complaint(png_file({.width = 4000000000u, .height = 5, .depth = 8, .colour_type = 2}, "")), "PNG file"));

  Bytes jpeg = fixture("jpeg_420.jpg");
  const std::string sof = "\xff\xc0\0\x11\x08"s;
  const auto* text = reinterpret_cast<const char*>(jpeg.data());
  const std::size_t at = std::string_view(text, jpeg.size()).find(sof) + sof.size();
  const auto claim = [&](unsigned height, unsigned width) {
    jpeg[at] = static_cast<std::byte>(height >> 8);
    jpeg[at + 1] = static_cast<std::byte>(height & 255);
    jpeg[at + 2] = static_cast<std::byte>(width >> 8);
    jpeg[at + 3] = static_cast<std::byte>(width & 255);
  };
  claim(51, 67);
  REQUIRE(complaint(jpeg).empty());
  claim(65500, 65500);
  CHECK(has(complaint(jpeg), "got 65500 x 65500 pixels"));
  claim(13000, 13000);
  CHECK(has(complaint(jpeg), "expected data for 13000 x 13000 pixels"));
  claim(0, 67);
  CHECK(has(complaint(jpeg), "JPEG file"));

  const Bytes small = fixture("rgb_32x32.png");
  CHECK(has(complaint(small, {.max_pixels = 1023}), "at most 1023 pixels"));
  CHECK(complaint(small, {.max_pixels = 1024}).empty());
  CHECK(has(complaint(small, {.max_side = 31}), "sides up to 31"));
  // Raising the limits lets a large claim pass on to the next check.
  CHECK(has(complaint(png_file({.width = 2000000, .height = 1000, .depth = 8, .colour_type = 0}, ""),
                      {.max_pixels = Index{1} << 40, .max_side = Index{1} << 31}),
            "expected data for 2000000 x 1000"));
}

TEST_CASE("a long thin image decodes") {
  std::string rows;
  for (int i = 0; i < 60000; ++i) { rows += "\0\x40"s; }
  const Image image = decode(png_file({.width = 1, .height = 60000, .depth = 8, .colour_type = 0}, rows));
  CHECK(image.height == 60000);
  CHECK(std::all_of(image.pixels.begin(), image.pixels.end(), [](int v) { return v == 0x40; }));
}

TEST_CASE("PNG samples of every depth follow PIL's modes") {
  const auto one_row = [](std::uint32_t width, char depth, char colour_type, const std::string& samples,
                          const Bytes& before = {}) {
    return decode(
        png_file({.width = width, .height = 1, .depth = depth, .colour_type = colour_type}, "\0"s + samples, before));
  };
  using Pixels = std::vector<std::uint8_t>;
  const Image one = one_row(4, 1, 0, "\xa0");
  CHECK(one.mode == PixelMode::one_bit);
  CHECK(one.pixels == Pixels{255, 0, 255, 0});
  const Image two = one_row(4, 2, 0, "\x1b");
  CHECK(two.mode == PixelMode::grey);
  CHECK(two.pixels == Pixels{0, 85, 170, 255});
  CHECK(one_row(2, 4, 0, "\x3f").pixels == Pixels{51, 255});
  const Image sixteen = one_row(3, 16, 0, "\0\x01\x01\0\xff\xfe"s);
  CHECK(sixteen.mode == PixelMode::integer);
  CHECK(radapt::integer_pixel(sixteen.pixels.data()) == 1);
  CHECK(radapt::integer_pixel(sixteen.pixels.data() + 4) == 256);
  CHECK(radapt::integer_pixel(sixteen.pixels.data() + 8) == 65534);
  CHECK(radapt::to_rgb(sixteen).pixels == Pixels{1, 1, 1, 255, 255, 255, 255, 255, 255});   // clipped, not scaled
  CHECK(one_row(1, 16, 2, "\x12\xff\x34\xff\x56\xff").pixels == Pixels{0x12, 0x34, 0x56});  // the upper bytes
  const Image alpha = one_row(1, 16, 4, "\x12\xff\x80\x7f");
  CHECK(alpha.mode == PixelMode::rgba);
  CHECK(alpha.pixels == Pixels{0x12, 0x12, 0x12, 0x80});
  CHECK(one_row(1, 16, 6, "\x01\xff\x02\xff\x03\xff\x04\xff").pixels == Pixels{1, 2, 3, 4});

  Bytes before;
  append_chunk(before, "PLTE", "\x01\x02\x03\x0a\x0b\x0c\x14\x15\x16");
  append_chunk(before, "tRNS", "\x80");
  const Image indexed = one_row(4, 2, 3, "\x18", before);  // 0 1 2 0
  CHECK(indexed.mode == PixelMode::palette);
  CHECK(indexed.pixels == Pixels{0, 1, 2, 0});
  CHECK(indexed.palette.size() == 3);
  CHECK(indexed.palette_alpha == Pixels{0x80});
  CHECK(radapt::to_rgb(indexed).pixels == Pixels{1, 2, 3, 10, 11, 12, 20, 21, 22, 1, 2, 3});
  const auto row_of = [&](const std::string& samples, const Bytes& chunks) {
    return complaint(png_file({.width = 4, .height = 1, .depth = 2, .colour_type = 3}, "\0"s + samples, chunks));
  };
  CHECK(has(row_of("\x1b", before), "expected positions in a palette of 3 colours, got position 3"));
  CHECK(has(row_of("\x18", {}), "PNG file, got"));

  // A transparent colour leaves grey and RGB as they are.
  Bytes transparent;
  append_chunk(transparent, "tRNS", "\0\x05"s);
  CHECK(one_row(2, 8, 0, "\x05\x06", transparent).pixels == Pixels{5, 6});
}

TEST_CASE("interlaced PNG files decode to the same pixels") {
  // 3 x 3 in the order of Adam7: pass 1 (0,0); pass 5 (0,2) (2,2); pass 6 (1,0) and (1,2); pass 7 row 1.
  // Passes 2, 3 are empty for this size; pass 4 is (2,0).
  const std::string rows = "\0\x01"s + "\0\x03"s + "\0\x07\x09"s + "\0\x02"s + "\0\x08"s + "\0\x04\x05\x06"s;
  const Image image = decode(png_file({.width = 3, .height = 3, .depth = 8, .colour_type = 0, .interlaced = 1}, rows));
  CHECK(image.pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("a false checksum is an error in every chunk") {
  Bytes before;
  append_chunk(before, "tEXt", "Title\0picture"s);
  const Bytes good = png_file({.width = 2, .height = 1, .depth = 8, .colour_type = 0}, "\0ab"s, before);
  CHECK(complaint(good).empty());
  for (const char* kind : {"IHDR", "tEXt", "IDAT", "IEND"}) {
    Bytes bad = good;
    const auto* text = reinterpret_cast<const char*>(bad.data());
    const std::size_t at = std::string_view(text, bad.size()).find(kind);
    const std::size_t length = std::to_integer<std::size_t>(bad[at - 1]);
    bad[at + 4 + length] ^= std::byte{1};
    CAPTURE(kind);
    CHECK(has(complaint(bad), "CRC error"));
  }
}

TEST_CASE("every orientation turns the image as EXIF says") {
  // The picture upright is 1 2 3 / 4 5 6; each orientation lists how it may have been stored.
  const std::vector<std::uint8_t> upright{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint8_t> stored[] = {{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                              {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {3, 6, 2, 5, 1, 4},
                                              {6, 3, 5, 2, 4, 1}, {4, 1, 5, 2, 6, 3}};
  for (unsigned orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    for (const Index copies : {Index{1}, Index{3}}) {  // mode grey, and rgb with three equal channels
      Image image = copies == 1 ? radapt::zero_image(3, 2, PixelMode::grey) : radapt::zero_image(3, 2, PixelMode::rgb);
      if (orientation >= 5) { std::swap(image.width, image.height); }
      for (Index i = 0; i < 6 * copies; ++i) { image.pixels[i] = stored[orientation - 1][i / copies]; }
      image.orientation = orientation;
      const Image turned = radapt::apply_orientation(image);
      CHECK(turned.width == 3);
      CHECK(turned.height == 2);
      CHECK(turned.orientation == 1);
      for (Index i = 0; i < 6 * copies; ++i) { CHECK(turned.pixels[i] == upright[i / copies]); }
      CHECK(radapt::apply_orientation(turned).pixels == turned.pixels);
    }
  }
}

TEST_CASE("the orientation is read from PNG and JPEG, and applied only on request") {
  for (char orientation = 0; orientation < 10; ++orientation) {
    const unsigned expected = orientation >= 1 && orientation <= 8 ? static_cast<unsigned>(orientation) : 1u;
    Bytes before;
    append_chunk(before, "eXIf", exif(orientation));
    const Bytes png = png_file({.width = 3, .height = 1, .depth = 8, .colour_type = 0}, "\0abc"s, before);
    CHECK(decode(png).orientation == expected);
    CHECK(decode(png).pixels[0] == 'a');
    CHECK(decode(png, {.apply_orientation = true}).pixels == radapt::apply_orientation(decode(png)).pixels);
    Bytes jpeg = fixture("jpeg_exif6.jpg");
    const std::string entry = "\x01\x12\0\x03\0\0\0\x01\0"s;
    const auto* text = reinterpret_cast<const char*>(jpeg.data());
    jpeg[std::string_view(text, jpeg.size()).find(entry) + entry.size()] = static_cast<std::byte>(orientation);
    CHECK(decode(jpeg).orientation == expected);
    CHECK(decode(jpeg).width == 67);
    CHECK(decode(jpeg, {.apply_orientation = true}).width == (expected >= 5 ? 51 : 67));
  }
}

TEST_CASE("an EXIF block that is odd or cut off counts as none") {
  const auto parse = [](const std::string& block) {
    return radapt::exif_orientation(std::as_bytes(std::span<const char>(block.data(), block.size())));
  };
  const std::string good = exif(6);
  CHECK(parse(good) == 6);
  CHECK(parse("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x05\0\0\0"s) == 5);
  CHECK(parse("II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x07\0\0\0"s) == 7);  // type LONG
  CHECK(parse("II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x01\0\0\0\x05\0\0\0"s) == 1);  // a text
  CHECK(parse("II*\0\xff\xff\xff\xff\x01\0"s) == 1);                              // a directory far away
  CHECK(parse("II*\0\x08\0\0\0\xff\xff\x00\x01"s) == 1);                          // more entries than there are
  CHECK(parse("MM\0\x2b"s + good.substr(4)) == 1);
  CHECK(parse("IM"s + good.substr(2)) == 1);
  for (std::size_t length = 0; length < good.size(); ++length) {
    // The value stands 20 bytes in, and an entry counts only if its 12 bytes are whole.
    CHECK(parse(good.substr(0, length)) == (length >= 22 ? 6u : 1u));
  }
}

TEST_CASE("PNG files written are read back the same, in every mode") {
  for (const PixelMode mode : png_modes) {
    CAPTURE(radapt::pil_name(mode));
    for (const Index width : {Index{1}, Index{7}, Index{8}, Index{33}}) {
      Image image = noise_image(mode, width, 5);
      if (mode == PixelMode::palette) { image.palette_alpha = {0, 128}; }
      const Image back = decode(radapt::encode_png(image));
      CHECK(back.mode == mode);
      CHECK(back.width == width);
      CHECK(back.height == 5);
      CHECK(back.pixels == image.pixels);
      CHECK(back.palette == image.palette);
      CHECK(back.palette_alpha == image.palette_alpha);
    }
  }
  const radapt_test::TemporaryFolder folder;
  const Image image = noise_image(PixelMode::rgb, 20, 10);
  folder.write("picture.png");
  radapt::write_png(folder.path() / "picture.png", image);
  CHECK(radapt::open_image(folder.path() / "picture.png").pixels == image.pixels);
  const std::filesystem::directory_iterator files(folder.path()), end;
  CHECK(std::distance(files, end) == 1);  // nothing else is left behind
  CHECK_THROWS_AS(radapt::write_png(folder.path() / "no" / "such" / "folder.png", image), radapt::error);
}

TEST_CASE("what PNG or JPEG cannot hold is refused") {
  CHECK_THROWS_WITH_AS(radapt::encode_png(noise_image(PixelMode::cmyk, 2, 2)), doctest::Contains("got CMYK"),
                       radapt::error);
  Image wide = noise_image(PixelMode::integer, 2, 2);
  const std::int32_t large = 65536;
  std::memcpy(wide.pixels.data(), &large, 4);
  CHECK_THROWS_WITH_AS(radapt::encode_png(wide), doctest::Contains("0..65535, got 65536"), radapt::error);
  Image bare = noise_image(PixelMode::palette, 2, 2);
  bare.palette.clear();
  CHECK_THROWS_WITH_AS(radapt::encode_png(bare), doctest::Contains("1 to 256 colours, got 0"), radapt::error);
  CHECK_THROWS_WITH_AS(radapt::encode_jpeg(noise_image(PixelMode::rgba, 2, 2)), doctest::Contains("got RGBA"),
                       radapt::error);
  CHECK_THROWS_AS(radapt::encode_jpeg(noise_image(PixelMode::rgb, 2, 2), 0), radapt::error);
  CHECK_THROWS_AS(radapt::encode_jpeg(noise_image(PixelMode::grey, 70000, 1)), radapt::error);
  CHECK_THROWS_AS(radapt::encode_png(Image{}), radapt::error);
}

TEST_CASE("JPEG files written are read back nearly the same") {
  for (const PixelMode mode : {PixelMode::grey, PixelMode::rgb}) {
    Image image = radapt::zero_image(300, 200, mode);  // larger than one block of output
    for (Index y = 0; y < image.height; ++y) {
      for (Index x = 0; x < image.row_bytes(); ++x) {
        image.row(y)[x] = static_cast<std::uint8_t>(40 + 170 * x / image.row_bytes());
      }
    }
    const Image back = decode(radapt::encode_jpeg(image, 95));
    REQUIRE(back.mode == mode);
    REQUIRE(back.pixels.size() == image.pixels.size());
    int worst = 0;
    for (Index i = 0; i < back.pixels.size(); ++i) {
      worst = std::max(worst, std::abs(back.pixels[i] - image.pixels[i]));
    }
    CHECK(worst <= 4);  // a slow gradient: quantisation steps at quality 95 are 1 to 10, of low frequencies 1 or 2
    CHECK(worst > 0);
  }
  const Bytes noisy = radapt::encode_jpeg(noise_image(PixelMode::rgb, 400, 300), 100);
  CHECK(noisy.size() > 100000);  // several blocks of output
  CHECK(decode(noisy).width == 400);
}

TEST_CASE("damaged JPEG data is accepted as by PIL, or rejected on request") {
  Bytes bytes = fixture("jpeg_444.jpg");
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  const std::size_t scan = std::string_view(text, bytes.size()).find("\xff\xda"s);
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(scan), {std::byte{0x12}, std::byte{0x34}});
  CHECK(complaint(bytes).empty());
  CHECK(decode(bytes).pixels == decode(fixture("jpeg_444.jpg")).pixels);
  CHECK(has(complaint(bytes, {.reject_damaged_jpeg = true}), "2 extraneous bytes before marker"));
  CHECK(complaint(fixture("jpeg_444.jpg"), {.reject_damaged_jpeg = true}).empty());
}

TEST_CASE("a JPEG file with endless scans is refused") {
  const Bytes bytes = fixture("jpeg_progressive.jpg");
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t last = text.rfind("\xff\xda"s), end = text.rfind("\xff\xd9"s);
  std::string longer = text.substr(0, end);
  for (int i = 0; i < 200; ++i) { longer += text.substr(last, end - last); }
  longer += text.substr(end);
  Bytes many;
  radapt_test::append(many, longer);
  CHECK(has(complaint(many), "got more than 100 scans"));
}

TEST_CASE("modes become RGB by PIL's rules") {
  const auto rgb = [](PixelMode mode, std::vector<std::uint8_t> pixel) {
    Image image = radapt::zero_image(1, 1, mode);
    image.pixels = std::move(pixel);
    return radapt::to_rgb(image).pixels;
  };
  using Pixels = std::vector<std::uint8_t>;
  CHECK(rgb(PixelMode::rgba, {1, 2, 3, 0}) == Pixels{1, 2, 3});
  CHECK(rgb(PixelMode::grey_alpha, {9, 0}) == Pixels{9, 9, 9});
  CHECK(rgb(PixelMode::one_bit, {255}) == Pixels{255, 255, 255});
  CHECK(rgb(PixelMode::cmyk, {0, 255, 128, 0}) == Pixels{255, 0, 127});
  CHECK(rgb(PixelMode::cmyk, {0, 255, 128, 255}) == Pixels{0, 0, 0});
  CHECK(rgb(PixelMode::cmyk, {100, 0, 200, 55}) == Pixels{122, 200, 43});  // 200 - round(200 * c / 255)
  Image negative = radapt::zero_image(1, 1, PixelMode::integer);
  const std::int32_t value = -7;
  std::memcpy(negative.pixels.data(), &value, 4);
  CHECK(radapt::to_rgb(negative).pixels == Pixels{0, 0, 0});
}

TEST_CASE("cropping reaches beyond the image with the fill value") {
  Image image = radapt::zero_image(2, 2, PixelMode::grey);
  image.pixels = {1, 2, 3, 4};
  using Pixels = std::vector<std::uint8_t>;
  CHECK(radapt::crop(image, 1, 0, 1, 2).pixels == Pixels{2, 4});
  CHECK(radapt::crop(image, -1, -1, 4, 4, 9).pixels == Pixels{9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9});
  CHECK(radapt::crop(image, 1, 1, 2, 2, 7).pixels == Pixels{4, 7, 7, 7});
  CHECK(radapt::crop(image, 5, -9, 2, 1, 7).pixels == Pixels{7, 7});
  CHECK(radapt::crop(image, 0, 9, 2, 1, 7).pixels == Pixels{7, 7});
  CHECK_THROWS_AS(radapt::crop(image, 0, 0, 0, 1), radapt::error);
  CHECK_THROWS_AS(radapt::crop(image, 0, 0, Index{1} << 40, Index{1} << 40), radapt::error);
  CHECK(radapt::crop(radapt::zero_image(1, 1, PixelMode::one_bit), 1, 0, 1, 1, 3).pixels == Pixels{255});
  const Image wide = radapt::crop(radapt::zero_image(1, 1, PixelMode::integer), 0, 0, 2, 1, 200);
  CHECK(radapt::integer_pixel(wide.pixels.data()) == 0);
  CHECK(radapt::integer_pixel(wide.pixels.data() + 4) == 200);
}

TEST_CASE("flipped bytes give an image or one clear error, nothing else") {
  radapt::Random random(20);
  int accepted = 0, rejected = 0;
  const DecodeOptions options{.max_pixels = 1'000'000, .apply_orientation = true};  // bounds the time
  for (const auto& one : preprocess_cases()) {
    const Bytes original = radapt::read_file(one.path);
    for (int round = 0; round < 150; ++round) {
      Bytes bytes = original;
      for (std::uint32_t flips = 1 + random.below(4); flips > 0; --flips) {
        bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] ^= static_cast<std::byte>(1u << random.below(8));
      }
      if (random.below(8) == 0) { bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size()))); }
      // Without this, checksums would keep nearly all damage from the rest of the decoder.
      if (random.below(8) != 0 && radapt::png::detect(bytes)) { radapt_test::repair_checksums(bytes); }
      try {
        const Image image = decode(bytes, options);
        REQUIRE(radapt::to_rgb(image).pixels.size() == image.width * image.height * 3);
        ++accepted;
      } catch (const radapt::error& problem) {
        REQUIRE(std::string(problem.what()).rfind("radapt: decoding 'test'", 0) == 0);
        ++rejected;
      }
    }
  }
  for (int round = 0; round < 2000; ++round) {  // noise behind a magic number
    Bytes bytes;
    radapt_test::append(bytes, round % 2 == 0 ? "\x89PNG\r\n\x1a\n"s : "\xff\xd8\xff"s);
    const auto length = random.below(300);
    for (std::uint32_t i = 0; i < length; ++i) { bytes.push_back(static_cast<std::byte>(random.below(256))); }
    REQUIRE(!complaint(bytes, options).empty());
  }
  // Both outcomes are common, or the loop would test little.
  CHECK(accepted > 500);
  CHECK(rejected > 500);
}
