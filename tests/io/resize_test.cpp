#include "radapt/io/resize.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../support/preprocess_cases.hpp"
#include "../support/sha256.hpp"

using radapt::Image;
using radapt::Index;
using radapt::Interpolation;
using radapt::PixelMode;
using radapt_test::noise_image;

namespace {

constexpr PixelMode modes[] = {PixelMode::one_bit, PixelMode::grey,    PixelMode::grey_alpha, PixelMode::rgb,
                               PixelMode::rgba,    PixelMode::palette, PixelMode::cmyk,       PixelMode::integer};
constexpr Interpolation interpolations[] = {Interpolation::nearest, Interpolation::box, Interpolation::bilinear,
                                            Interpolation::bicubic};

struct Sizes {
  Index width, height, out_width, out_height;
};
/// Smaller, larger, one side only or nearly so, thin, single pixels.
constexpr Sizes sizes[] = {{13, 9, 7, 5}, {7, 5, 23, 31}, {64, 3, 10, 3},   {5, 50, 5, 7},
                           {1, 1, 4, 4},  {300, 2, 1, 2}, {97, 61, 50, 32}, {33, 20, 224, 136}};

}  // namespace

TEST_CASE("sha256 gives the digests of the standard's examples") {
  const auto hex = [](std::string_view text) {
    return radapt_test::sha256_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  CHECK(hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("resizing noise gives the bytes of Pillow 9.4 in every mode and interpolation") {
  struct Expected {
    PixelMode mode;
    Interpolation interpolation;
    const char* digest;  // of the results for all `sizes`, one after the other
  };
  const Expected table[] = {
      {PixelMode::one_bit, Interpolation::nearest, "32dc30726893f560c4daeff5e3126b3d5f7352f8044bc1f331a7cfc322fd0c24"},
      {PixelMode::one_bit, Interpolation::box, "32dc30726893f560c4daeff5e3126b3d5f7352f8044bc1f331a7cfc322fd0c24"},
      {PixelMode::one_bit, Interpolation::bilinear, "32dc30726893f560c4daeff5e3126b3d5f7352f8044bc1f331a7cfc322fd0c24"},
      {PixelMode::one_bit, Interpolation::bicubic, "32dc30726893f560c4daeff5e3126b3d5f7352f8044bc1f331a7cfc322fd0c24"},
      {PixelMode::grey, Interpolation::nearest, "7b0a6443c2f8f11a54a5c5e4ae5909224bfb0242983188bd6d3906fef72563a9"},
      {PixelMode::grey, Interpolation::box, "4019f7b0ccd727123d1f775fedda3b80c226480bbea2b0f9f558681680c4b4cc"},
      {PixelMode::grey, Interpolation::bilinear, "16c64285417aa1405df8c0aa4d14717040ffdc0f1c26bb957554461354697e03"},
      {PixelMode::grey, Interpolation::bicubic, "582c564d073213e372457ee46e93fc7accfa09d367029ba85851ea872190002c"},
      {PixelMode::grey_alpha, Interpolation::nearest,
       "798bf26c33c685c7db1e40ee72741cc89c22309fdf1980cb2798e15423420585"},
      {PixelMode::grey_alpha, Interpolation::box, "deec95c79e5e71c7de0e8cf6a393b3d61d224b8749ae4ae9c27f2b24ed1e6ab5"},
      {PixelMode::grey_alpha, Interpolation::bilinear,
       "707d50209c9348e76530b8a5d3924bd0782c4a43a0bbf7326491c76f4a947cec"},
      {PixelMode::grey_alpha, Interpolation::bicubic,
       "6a65b03b00799f9b49bd579129bf86ee4f80aab6525d3620f79909d2e22b5d2d"},
      {PixelMode::rgb, Interpolation::nearest, "03586760cfff9c65a5507fb10b7b94f23e67b327ce24e7efe007307cdc5a5d09"},
      {PixelMode::rgb, Interpolation::box, "f47541a7ef2646d743682b8a8424033dc267e2031579622217563ba258f198e3"},
      {PixelMode::rgb, Interpolation::bilinear, "b405f6913612d2eab4874335def561903dbe59552a62058f79ab2b1e413ea57f"},
      {PixelMode::rgb, Interpolation::bicubic, "e4e96e7d0be3d313a9973c8ed70bdec176bd74535a2c271f08be18344beed66a"},
      {PixelMode::rgba, Interpolation::nearest, "8d24fdea5584b917eb31a999225a88bcc292d687f2e0bb85862efa61f5bac90f"},
      {PixelMode::rgba, Interpolation::box, "095925ffc681820cf8227708fee6c2f0bf6f3a5727ef85debb12f5351959b3ad"},
      {PixelMode::rgba, Interpolation::bilinear, "6e628744448a8ded1dab9631d5876975df611dee3c4d1e634d7697e1047b08a9"},
      {PixelMode::rgba, Interpolation::bicubic, "a885e95081d8e853bd24adf702c1a263b6c41bca8dca6b97a8963956a07cf8c4"},
      {PixelMode::palette, Interpolation::nearest, "7b0a6443c2f8f11a54a5c5e4ae5909224bfb0242983188bd6d3906fef72563a9"},
      {PixelMode::palette, Interpolation::box, "7b0a6443c2f8f11a54a5c5e4ae5909224bfb0242983188bd6d3906fef72563a9"},
      {PixelMode::palette, Interpolation::bilinear, "7b0a6443c2f8f11a54a5c5e4ae5909224bfb0242983188bd6d3906fef72563a9"},
      {PixelMode::palette, Interpolation::bicubic, "7b0a6443c2f8f11a54a5c5e4ae5909224bfb0242983188bd6d3906fef72563a9"},
      {PixelMode::cmyk, Interpolation::nearest, "8d24fdea5584b917eb31a999225a88bcc292d687f2e0bb85862efa61f5bac90f"},
      {PixelMode::cmyk, Interpolation::box, "1c86aeb8797ec929028f34aadeeee75040c366840803ea2bb74b2c8320d8557a"},
      {PixelMode::cmyk, Interpolation::bilinear, "6e808c8083ed7a07501f0ca2df0512b54a08d62567ed4445514d51a3ae3e5ba5"},
      {PixelMode::cmyk, Interpolation::bicubic, "c2be87fa193781defccf39e02ed55e97a79f0af0c11553abfe20792a46cfbbf6"},
      {PixelMode::integer, Interpolation::nearest, "95595df6fdb00b40af9b08a2314456fdf706cd2b38580515c6f2ee2fdd37d487"},
      {PixelMode::integer, Interpolation::box, "b24073bccc5a073ea404397e063f71e7c9062fb3473af0dad2040b2bfedbe3f1"},
      {PixelMode::integer, Interpolation::bilinear, "5b0680a8956b3d349abc1f117532f4cf0dcb7292e8370ddd55a181ea4da25f26"},
      {PixelMode::integer, Interpolation::bicubic, "f0d22bd8ee2c7072b895bdf7bafd476b9cb0396616fa32a05a22d897bfcaf514"},
  };
  static_assert(std::size(table) == std::size(modes) * std::size(interpolations));
  for (const auto& expected : table) {
    CAPTURE(radapt::pil_name(expected.mode));
    CAPTURE(static_cast<int>(expected.interpolation));
    std::vector<std::uint8_t> bytes;
    for (const Sizes& s : sizes) {
      const Image out = radapt::resize(noise_image(expected.mode, s.width, s.height), s.out_width, s.out_height,
                                       expected.interpolation);
      REQUIRE(out.width == s.out_width);
      REQUIRE(out.height == s.out_height);
      bytes.insert(bytes.end(), out.pixels.begin(), out.pixels.end());
    }
    CHECK(radapt_test::sha256_hex(bytes) == expected.digest);
  }
}

TEST_CASE("the order of the passes is that of the Pillow that is asked for") {
  struct Case {
    PixelMode mode;
    Sizes sizes;
    Interpolation interpolation;
    std::uint64_t pillow_12, pillow_13;  // FNV-1a of the bytes that Pillow 12.1 and 13.0 give
  };
  const Case cases[] = {
      {PixelMode::grey, {30, 120, 12, 20}, Interpolation::bicubic, 0xb644b5898f94a5b6U, 0xf8a03fdd8eda1641U},
      {PixelMode::rgb, {30, 120, 12, 20}, Interpolation::bicubic, 0xec0ff0f3ccc43baaU, 0xa09cafd17adcf0a5U},
      {PixelMode::rgb, {30, 120, 12, 20}, Interpolation::bilinear, 0x03b78d1c01973062U, 0x45488f1674c54ecbU},
      {PixelMode::rgb, {31, 200, 40, 40}, Interpolation::box, 0x35aeb4cd90a30555U, 0x35aeb4cd90a30555U},
      {PixelMode::rgba, {30, 120, 12, 20}, Interpolation::bicubic, 0xa244e8159f1150f5U, 0x694587608428ba72U},
      {PixelMode::grey_alpha, {30, 120, 12, 20}, Interpolation::bilinear, 0x0fcbeb313a98c694U, 0xa5cd6e0fa7991659U},
      {PixelMode::cmyk, {17, 90, 9, 30}, Interpolation::bicubic, 0xd3682c06e38ef49fU, 0x8db65585d7d9cc7cU},
      {PixelMode::rgb, {60, 100, 20, 20}, Interpolation::bicubic, 0xf9f14e563451be0dU, 0xf9f14e563451be0dU},
      {PixelMode::rgb, {20, 70, 10, 35}, Interpolation::bicubic, 0x84c04dafa96bf600U, 0x39dbf49c14c9e28fU},
      {PixelMode::rgb, {20, 70, 10, 34}, Interpolation::bicubic, 0xed76e4fe3a099c16U, 0x4a77c742e0240a40U},
      {PixelMode::rgb, {20, 70, 20, 34}, Interpolation::bicubic, 0x2de8947ff9efd934U, 0x2de8947ff9efd934U},
      {PixelMode::rgb, {40, 100, 20, 60}, Interpolation::bicubic, 0x4d2b5de145298c92U, 0x4d2b5de145298c92U},
      {PixelMode::rgb, {40, 101, 20, 60}, Interpolation::bicubic, 0xe0770c36ac9e56e8U, 0x41d64af64172a678U},
      {PixelMode::rgb, {50, 120, 90, 40}, Interpolation::bicubic, 0x1abd337fd0117af5U, 0x43470164c07f9580U},
      {PixelMode::integer, {40, 300, 24, 24}, Interpolation::bicubic, 0x33ce006b1ac41f4bU, 0x051ecc53037938f2U},
  };
  for (const Case& one : cases) {
    Image image = radapt::zero_image(one.sizes.width, one.sizes.height, one.mode);
    if (one.mode == PixelMode::integer) {
      for (std::int32_t i = 0; i < static_cast<std::int32_t>(one.sizes.width * one.sizes.height); ++i) {
        const std::int32_t value = i * 7919 % 65536;
        std::memcpy(image.pixels.data() + 4 * i, &value, 4);
      }
    } else {
      for (Index i = 0; i < image.pixels.size(); ++i) {
        image.pixels[i] = static_cast<std::uint8_t>(i * 7 + i / image.row_bytes() * 13 + i * i % 31 * 5);
      }
    }
    const auto hash = [&](radapt::PassOrder order) {
      std::uint64_t h = 0xCBF29CE484222325U;
      for (const std::uint8_t byte :
           radapt::resize(image, one.sizes.out_width, one.sizes.out_height, one.interpolation, order).pixels) {
        h = (h ^ byte) * 0x100000001B3U;
      }
      return h;
    };
    CAPTURE(one.sizes.height);
    CAPTURE(pil_name(one.mode));
    CHECK(hash(radapt::PassOrder::along_x_first) == one.pillow_12);
    CHECK(hash(radapt::PassOrder::pillow_13) == one.pillow_13);
  }
  // A window is a part of the whole, in either order.
  const Image image = noise_image(PixelMode::rgb, 30, 120);
  const Image whole = radapt::resize(image, 12, 20, Interpolation::bicubic, radapt::PassOrder::pillow_13);
  const Image part = radapt::resize(image, 12, 20, Interpolation::bicubic,
                                    {.left = 3, .top = 5, .width = 6, .height = 9}, radapt::PassOrder::pillow_13);
  CHECK(part.pixels == radapt::crop(whole, 3, 5, 6, 9).pixels);
}

TEST_CASE("a window is cut from the whole result") {
  for (const PixelMode mode : modes) {
    for (const Interpolation interpolation : interpolations) {
      for (const Sizes& s : sizes) {
        const Image image = noise_image(mode, s.width, s.height);
        const Image whole = radapt::resize(image, s.out_width, s.out_height, interpolation);
        const radapt::Window window{.left = s.out_width / 3,
                                    .top = s.out_height / 4,
                                    .width = (s.out_width + 1) / 2,
                                    .height = (s.out_height + 1) / 2};
        const Image part = radapt::resize(image, s.out_width, s.out_height, interpolation, window);
        const Image expected = radapt::crop(whole, static_cast<std::ptrdiff_t>(window.left),
                                            static_cast<std::ptrdiff_t>(window.top), window.width, window.height);
        REQUIRE(part.pixels == expected.pixels);
      }
    }
  }
}

TEST_CASE("the same size gives the same bytes, and metadata is kept") {
  for (const PixelMode mode : modes) {
    Image image = noise_image(mode, 17, 11);
    image.orientation = 6;
    const Image same = radapt::resize(image, 17, 11);
    CHECK(same.pixels == image.pixels);
    const Image other = radapt::resize(image, 5, 4);
    CHECK(other.mode == mode);
    CHECK(other.palette == image.palette);
    CHECK(other.orientation == 6);
  }
}

TEST_CASE("an even colour stays as it is") {
  for (const Interpolation interpolation : interpolations) {
    for (const int value : {0, 1, 127, 254, 255}) {
      Image image = radapt::zero_image(91, 7, PixelMode::rgb);
      std::fill(image.pixels.begin(), image.pixels.end(), static_cast<std::uint8_t>(value));
      for (const Sizes& s : sizes) {
        const Image out = radapt::resize(image, s.out_width, s.out_height, interpolation);
        CHECK(std::all_of(out.pixels.begin(), out.pixels.end(), [&](int v) { return v == value; }));
      }
    }
  }
}

TEST_CASE("known answers by hand") {
  Image row = radapt::zero_image(4, 1, PixelMode::grey);
  row.pixels = {0, 100, 200, 40};
  CHECK(radapt::resize(row, 2, 1, Interpolation::box).pixels == std::vector<std::uint8_t>{50, 120});
  // Triangle of half width 2: weights 3 3 1 of 7 and mirrored: 500 / 7 and 820 / 7.
  CHECK(radapt::resize(row, 2, 1, Interpolation::bilinear).pixels == std::vector<std::uint8_t>{71, 117});
  CHECK(radapt::resize(row, 2, 1, Interpolation::nearest).pixels == std::vector<std::uint8_t>{100, 40});
  // Of 14 pixels the third of five lies at 7.0 exactly; adding 2.8 twice to 1.4 stays just below.
  Image ramp = radapt::zero_image(14, 1, PixelMode::grey);
  for (Index i = 0; i < 14; ++i) { ramp.pixels[i] = static_cast<std::uint8_t>(i); }
  CHECK(radapt::resize(ramp, 5, 1, Interpolation::nearest).pixels == std::vector<std::uint8_t>{1, 4, 6, 9, 12});
}

TEST_CASE("an impossible size or window is one clear error") {
  const Image image = noise_image(PixelMode::rgb, 8, 6);
  CHECK_THROWS_WITH_AS(radapt::resize(image, 0, 5), doctest::Contains("sides of 1 to 2^31 - 1 pixels, got 0 x 5"),
                       radapt::error);
  CHECK_THROWS_AS(radapt::resize(image, 5, Index{1} << 31), radapt::error);
  using radapt::Window;
  const auto windowed = [&](Window window) { return radapt::resize(image, 10, 10, Interpolation::bicubic, window); };
  CHECK_NOTHROW(windowed({.left = 9, .top = 9, .width = 1, .height = 1}));
  CHECK_THROWS_WITH_AS(windowed({.left = 9, .top = 9, .width = 2, .height = 1}), doctest::Contains("a window inside"),
                       radapt::error);
  CHECK_THROWS_AS(windowed({.left = 0, .top = 0, .width = 0, .height = 1}), radapt::error);
  CHECK_THROWS_AS(windowed({.left = static_cast<Index>(-1), .top = 0, .width = 2, .height = 1}), radapt::error);
  Image broken = image;
  broken.pixels.pop_back();
  CHECK_THROWS_WITH_AS(radapt::resize(broken, 4, 4), doctest::Contains("8 pixels in 143 bytes"), radapt::error);
}
