#include "radapt/clip/preprocess.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "../support/preprocess_cases.hpp"
#include "../support/sha256.hpp"
#include "radapt/core/random.hpp"
#include "radapt/io/image.hpp"
#include "radapt/io/safetensors.hpp"

using radapt::Image;
using radapt::Index;
using radapt::PixelMode;
using radapt::Preprocess;
using radapt::RandomResizedCrop;
using radapt::Window;
using radapt_test::noise_image;

namespace {

radapt::safetensors::File expected_values() {
  return radapt::safetensors::open(radapt_test::shared_data("fixtures/preprocess/expected.safetensors"));
}

/// Numbers in a given order, then an error: so that a test sees how many were used.
struct Script {
  std::vector<double> numbers;
  std::size_t used = 0;
  double operator()() { return numbers.at(used++); }
};

}  // namespace

TEST_CASE("every fixture image gives PIL's bytes and torch's floats under both rule sets") {
  const auto expected = expected_values();
  std::size_t digests = 0, arrays = 0, tensors = 0;
  for (const auto& one : radapt_test::preprocess_cases()) {
    if (one.rejected) { continue; }
    const Image image = radapt::open_image(one.path);
    for (const bool transposed : {false, true}) {
      const std::string name = one.file + (transposed ? ".transposed" : "");
      if (transposed && !expected.contains(name + ".decoded")) {
        CHECK(image.orientation == 1);
        continue;
      }
      for (const Index size : {Index{32}, Index{224}}) {
        for (const bool openai : {true, false}) {
          Preprocess rules = openai ? Preprocess::openai(size) : Preprocess::huggingface(size);
          rules.apply_orientation = transposed;
          // The oracle leaves out the second rule set where it agrees with the first.
          std::string base = name + (openai ? ".openai." : ".hf.") + std::to_string(size);
          if (!expected.contains(base + ".sha256")) { base = name + ".openai." + std::to_string(size); }
          CAPTURE(base);
          const Image pixels = rules.pixels(image);
          REQUIRE(pixels.mode == PixelMode::rgb);
          REQUIRE(pixels.width == size);
          REQUIRE(pixels.height == size);
          const auto digest = radapt_test::sha256(pixels.pixels);
          CHECK(std::vector<std::uint8_t>(digest.begin(), digest.end()) ==
                expected.read<std::uint8_t>(base + ".sha256"));
          ++digests;
          if (expected.contains(base + ".u8")) {
            const bool same = pixels.pixels == expected.read<std::uint8_t>(base + ".u8");
            CHECK(same);
            ++arrays;
          }
          if (expected.contains(base + ".normalised")) {
            // Equal to the last bit: the same three f32 operations on the same 256 values, with nothing to reorder.
            const auto values = expected.read<float>(base + ".normalised");
            const auto tensor = rules(image);
            REQUIRE(tensor.size() == values.size());
            CHECK(std::memcmp(tensor.data(), values.data(), values.size() * sizeof(float)) == 0);
            std::vector<float> memory(rules.elements());
            rules(image, memory);
            const bool same = memory == values;
            CHECK(same);
            ++tensors;
          }
        }
      }
    }
  }
  CHECK(digests == 23 * 2 * 2);  // 22 images that decode, one of them also upright; two sizes, two rule sets
  CHECK(arrays >= 23 * 2);
  CHECK(tensors >= 23);
}

TEST_CASE("the values of black and white are those of the specification") {
  Image image = radapt::zero_image(2, 2, PixelMode::grey);
  image.pixels = {0, 255, 0, 255};
  const auto tensor = Preprocess::openai(2)(image);
  CHECK(tensor(0, 0, 0) == doctest::Approx(-1.7922626f).epsilon(1e-7));  // the specification gives eight digits
  CHECK(tensor(0, 0, 1) == doctest::Approx(1.9303361f).epsilon(1e-7));
  Preprocess inception = Preprocess::openai(2);
  inception.mean = inception.std = {.5f, .5f, .5f};
  CHECK(inception(image)(2, 1, 1) == 1.0f);
  CHECK(inception(image)(2, 1, 0) == -1.0f);
}

TEST_CASE("absurdly long images cost only what is seen of them, and give PIL's bytes") {
  struct Expected {
    PixelMode mode;
    Index width, height;
    const char* digest;  // Pillow 9.4, which makes an image of 1,920,000 x 32 pixels in between
  };
  const Expected table[] = {
      {PixelMode::grey, 1, 60000, "51b0727e293cb05c057baa54377a5c1b940cb0e9a48d5b84a0cd18e1152b1b18"},
      {PixelMode::grey, 60000, 1, "7a8ab5ec2dc606482686c8c2e8fb881eca0061673d5ad8eb2a15aebca9abfa10"},
      {PixelMode::rgb, 1, 60000, "71f5601b3d09961895f3cfd8940f262b9597825ba7dd01bfaf913f98912430cd"},
      {PixelMode::rgb, 60000, 1, "ece69a76e71c2618e9ae951ca8ad1d1667e3d3681c5ef314f6c8bde444821861"},
      {PixelMode::rgba, 1, 60000, "b7c9d96b40665fe7ea9e76f3ba4a36a832eb4cf364aa76c7ad73554e6aa25afe"},
      {PixelMode::rgba, 60000, 1, "17ed3f2291c525fab1e123f2f70b489355eaf4dc2ce3d18c3ce12adccecc952c"},
  };
  for (const auto& one : table) {
    CHECK(radapt_test::sha256_hex(Preprocess::openai(32).pixels(noise_image(one.mode, one.width, one.height)).pixels) ==
          one.digest);
  }
  // 3 gigapixels for PIL.
  CHECK(Preprocess::openai(224)(noise_image(PixelMode::rgb, 1, 60000)).size() == 3 * 224 * 224);
  CHECK(Preprocess::huggingface(224)(noise_image(PixelMode::palette, 60000, 1)).size() == 3 * 224 * 224);
}

TEST_CASE("mode longest fits the long side and pads, as open_clip does on top of Pillow 9.4") {
  struct Expected {
    PixelMode mode;
    Index width, height;
    const char* digest;
  };
  const Expected table[] = {
      {PixelMode::grey, 60, 43, "04b67a1e671ad2c9a779e1beaa0cacf0e48901c217ae20faa31699d4123a33fa"},
      {PixelMode::grey, 43, 60, "2f90697b616cbb630026c71e9e138270f8bec22c0bb56f9817464849856e5349"},
      {PixelMode::grey, 9, 31, "930958766b91bcc8e9e9ab3ca5d60b4bb949fb223d00808904ecc16594601026"},
      {PixelMode::grey, 32, 32, "a0941cc8508be901f16d877618ab5f4d5d744a767645fef872e7807e14d332de"},
      {PixelMode::grey_alpha, 60, 43, "aebd5aa9d298fe68a729c53e9e4e504624f9741eabbc0a38e6ee8f161b730bde"},
      {PixelMode::grey_alpha, 43, 60, "0dabfdd6b342b340f9859012fdc5500fc526f2c680e98fd4fe3fb6dbc0ac7c92"},
      {PixelMode::grey_alpha, 9, 31, "64d57aa7a8b6c3c9f4868f21c26861eee81937ab1bf7a32097240653e91c3981"},
      {PixelMode::grey_alpha, 32, 32, "bf319e489460b6c3f3b0b03b1ade0dbc63a5ec0caa6d95a1c2421c9eff9cf137"},
      {PixelMode::rgb, 60, 43, "67ae665d337fcda4b356fbfee8da0b9e336d796d00427d904189a66df4f50ee9"},
      {PixelMode::rgb, 43, 60, "417e30cab27e56aad0c22de3147b8579a9a4a710d3e2693a9e50f238b01bb035"},
      {PixelMode::rgb, 9, 31, "015e55a40d4faa1f0f77ca6b560bdeaef943a4a9e0e3135409f646bef499ef83"},
      {PixelMode::rgb, 32, 32, "dd0d2b7dec840c7bc43228ace3b7ce80526870f3c0b41bfa3f5dc50905ec9e2f"},
      {PixelMode::rgba, 60, 43, "7d620f050ceff718a4373cb6cc25fa4837ff4894e5b738e178eba87e1d8ed6bc"},
      {PixelMode::rgba, 43, 60, "44f40e846c94fe3462815cd149a19442ae9d3795b2cdbef4f4f794f2547ef5fa"},
      {PixelMode::rgba, 9, 31, "74b25ad4fbe5c4d4982a356e219f27d80b371c6350feced9f26b1b7fb177e992"},
      {PixelMode::rgba, 32, 32, "eaaedb3083952a273a188510740199760a07720780160d80ee16080185358c79"},
      {PixelMode::cmyk, 60, 43, "010a754cf97be5cd446427f065d83014714c77c081d9f75d34e89078cef5895e"},
      {PixelMode::cmyk, 43, 60, "e9d5ba183fedbe0bf56a78afa5bc99c816206999d72fd7b126a57dc9c95a6cec"},
      {PixelMode::cmyk, 9, 31, "ab79b027a73499ac62392925c94040de2840096193ede9d9b5b68911fcbce4a5"},
      {PixelMode::cmyk, 32, 32, "5fb6382ca861cab89109157ca3d7c6b20cc3d06808453050b67cb759ab12d1da"},
      {PixelMode::integer, 60, 43, "7256901e9cd73835ad3d048f8a42abc350e62ef6121189eaee9eb1f12338ecea"},
      {PixelMode::integer, 43, 60, "3990a749334adeb8caea825f03899fda85cf8fa41dd39da2ad04b6ddc09da50c"},
      {PixelMode::integer, 9, 31, "bae610eb8f8f4aa7d09f2236883ed127b72a1b11645c071b8cccdd4b80971ac7"},
      {PixelMode::integer, 32, 32, "a9ec5897cd398691d780d4a56647ab0f7f6ef55ea80205b6bd681de32f4caa64"},
  };
  Preprocess rules = Preprocess::openai(32);
  rules.resize_mode = radapt::ResizeMode::longest;
  rules.fill = 77;
  for (const auto& one : table) {
    CAPTURE(radapt::pil_name(one.mode));
    CAPTURE(one.height);
    CHECK(radapt_test::sha256_hex(rules.pixels(noise_image(one.mode, one.width, one.height)).pixels) == one.digest);
  }
  CHECK_THROWS_WITH_AS(rules.pixels(noise_image(PixelMode::rgb, 1, 60000)),
                       doctest::Contains("less than 64 times as long as wide, got 1 x 60000"), radapt::error);
}

TEST_CASE("where an odd room goes") {
  // In mode longest 10 x 7 stays 10 x 7: three rows are missing.
  Image image = radapt::zero_image(10, 7, PixelMode::grey);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{200});
  Preprocess rules = Preprocess::openai(10);
  rules.resize_mode = radapt::ResizeMode::longest;
  const auto rows_before = [&] {
    const Image pixels = rules.pixels(image);
    Index rows = 0;
    while (pixels.row(rows)[0] == 0) { ++rows; }
    return rows;
  };
  CHECK(rows_before() == 1);
  rules.crop_rule = radapt::CropRule::floor;
  CHECK(rows_before() == 2);
  // When cropping, room 1, 3, 5, 7: half to even gives 0, 2, 2, 4; floor gives 0, 1, 2, 3.
  for (const Index room : {Index{0}, Index{1}, Index{2}, Index{3}, Index{4}, Index{5}, Index{6}, Index{7}}) {
    Image ramp = radapt::zero_image(10 + room, 10, PixelMode::grey);
    for (Index i = 0; i < ramp.pixels.size(); ++i) { ramp.pixels[i] = static_cast<std::uint8_t>(i % ramp.width); }
    const auto even = static_cast<Index>(std::nearbyint(static_cast<double>(room) / 2));
    CHECK(Preprocess::openai(10).pixels(ramp).pixels[0] == even);
    CHECK(Preprocess::huggingface(10).pixels(ramp).pixels[0] == room / 2);
  }
}

TEST_CASE("mode squash is a plain resize of both sides") {
  Preprocess rules = Preprocess::openai(24);
  rules.resize_mode = radapt::ResizeMode::squash;
  rules.interpolation = radapt::Interpolation::bilinear;
  const Image image = noise_image(PixelMode::rgb, 61, 35);
  CHECK(rules.pixels(image).pixels == radapt::resize(image, 24, 24, radapt::Interpolation::bilinear).pixels);
}

TEST_CASE("wrong settings and arguments are one clear error each") {
  const Image image = noise_image(PixelMode::rgb, 9, 9);
  CHECK_THROWS_WITH_AS(Preprocess::openai(0)(image), doctest::Contains("a size of 1 to 32768, got 0"), radapt::error);
  CHECK_THROWS_AS(Preprocess::openai(40000)(image), radapt::error);
  Preprocess flat = Preprocess::openai(4);
  flat.std[1] = 0.0f;
  CHECK_THROWS_WITH_AS(flat(image), doctest::Contains("a std other than 0"), radapt::error);
  flat.std[1] = NAN;
  CHECK_THROWS_AS(flat(image), radapt::error);
  std::vector<float> small(47);
  CHECK_THROWS_WITH_AS(Preprocess::openai(4)(image, small), doctest::Contains("room for 48 floats"), radapt::error);
  Image broken = image;
  broken.height = 8;
  CHECK_THROWS_WITH_AS(Preprocess::openai(4)(broken), doctest::Contains("8 * 9 pixels in 243 bytes"), radapt::error);
  CHECK_THROWS_AS(Preprocess::openai(4)(Image{}), radapt::error);
  Image beyond = noise_image(PixelMode::palette, 9, 9);
  beyond.palette.resize(3);
  CHECK_THROWS_WITH_AS(Preprocess::openai(4)(beyond), doctest::Contains("a palette of 3 colours"), radapt::error);
}

TEST_CASE("a random crop follows its numbers in the order area, aspect, top, left") {
  // 100 x 80, area 8000 * 0.95 = 7600, aspect exp(0) = 1 gives 87 x 87: too high. Then the aspect 4/3 gives
  // sqrt(10133.3) = 100.66, rounded 101: too wide. Then area 7200 at aspect sqrt(4/3) = 1.1547 gives 91 x 79.
  Script script{{.5, .5, .5, 1.0, .0, .75, .5, .5, 99}};
  const Window part = RandomResizedCrop{}(100, 80, script);
  CHECK(script.used == 8);
  CHECK(part.width == 91);
  CHECK(part.height == 79);
  CHECK(part.top == 1);   // 0.5 of the 2 places
  CHECK(part.left == 5);  // 0.5 of the 10 places
}

TEST_CASE("random crops lie in the image and have the area and aspect asked for") {
  radapt::Random random(7);
  const auto uniform = [&] { return random.uniform(); };
  const RandomResizedCrop rules[] = {{}, {.scale = {.08, 1.0}, .ratio = {.5, 2.0}}};
  for (const auto& rule : rules) {
    double smallest = 1, largest = 0;
    bool touched_left = false, touched_right = false;
    for (int i = 0; i < 3000; ++i) {
      const Index width = 40 + random.below(200), height = width * 9 / 10;
      const Window part = rule(width, height, uniform);
      REQUIRE(part.width > 0);
      REQUIRE(part.height > 0);
      REQUIRE(part.left + part.width <= width);
      REQUIRE(part.top + part.height <= height);
      const double w = static_cast<double>(part.width), h = static_cast<double>(part.height);
      const double share = w * h / static_cast<double>(width * height);
      // Each side is rounded by up to half a pixel.
      CHECK(share >= rule.scale[0] * (1 - .5 / w) * (1 - .5 / h) - 1e-9);
      CHECK(share <= rule.scale[1] * (1 + .5 / w) * (1 + .5 / h) + 1e-9);
      CHECK(w / h >= rule.ratio[0] * (1 - .5 / w) * (1 - .5 / h) - 1e-9);
      CHECK(w / h <= rule.ratio[1] * (1 + .5 / w) * (1 + .5 / h) + 1e-9);
      smallest = std::min(smallest, share);
      largest = std::max(largest, share);
      touched_left = touched_left || part.left == 0;
      touched_right = touched_right || part.left + part.width == width;
    }
    // The whole range is used: 3000 draws miss the outer fifth of it with a probability below 1e-30.
    CHECK(smallest < rule.scale[0] + .2 * (rule.scale[1] - rule.scale[0]));
    CHECK(largest > rule.scale[1] - .2 * (rule.scale[1] - rule.scale[0]));
    CHECK(touched_left);
    CHECK(touched_right);
  }
}

TEST_CASE("if no random crop fits, the centre with the nearest aspect is taken") {
  const auto centre = [](Index width, Index height) {
    Script script{std::vector<double>(20, .5)};
    const Window part = RandomResizedCrop{}(width, height, script);
    CHECK(script.used == 20);  // ten tries
    return std::vector<Index>{part.left, part.top, part.width, part.height};
  };
  CHECK(centre(1, 60000) == std::vector<Index>{0, 29999, 1, 1});  // 1 / (3/4) rounds to 1
  CHECK(centre(60000, 3) == std::vector<Index>{29998, 0, 4, 3});
  CHECK(centre(30, 100) == std::vector<Index>{0, 30, 30, 40});
  CHECK(centre(100, 80) == std::vector<Index>{0, 0, 100, 80});  // the aspect is allowed: everything
  Script one{{.5, .5, .9, .9}};
  const Window pixel = RandomResizedCrop{}(1, 1, one);
  CHECK(pixel.width * pixel.height == 1);
}

TEST_CASE("numbers at the upper end, and beyond what a float source rounds to, stay inside") {
  Script script{{0.0, .5, 1.0, 1.0}};
  const Window part = RandomResizedCrop{}(50, 50, script);
  CHECK(part.left + part.width == 50);
  CHECK(part.top + part.height == 50);
}

TEST_CASE("wrong ranges of a random crop are an error") {
  const auto half = [] { return .5; };
  CHECK_THROWS_WITH_AS((RandomResizedCrop{.scale = {.9, .1}}(8, 8, half)), doctest::Contains("0 < from <= to"),
                       radapt::error);
  CHECK_THROWS_AS((RandomResizedCrop{.ratio = {0.0, 1.0}}(8, 8, half)), radapt::error);
  CHECK_THROWS_AS((RandomResizedCrop{.ratio = {NAN, 1.0}}(8, 8, half)), radapt::error);
  CHECK_THROWS_AS((RandomResizedCrop{}(0, 8, half)), radapt::error);
}

TEST_CASE("a training image is the random part squashed, a function of the numbers only") {
  for (const PixelMode mode : {PixelMode::rgb, PixelMode::rgba, PixelMode::palette}) {
    const Image image = noise_image(mode, 57, 44);
    const RandomResizedCrop random_crop;
    for (const bool openai : {true, false}) {
      const Preprocess rules = openai ? Preprocess::openai(32) : Preprocess::huggingface(32);
      radapt::Random random(3);
      const auto uniform = [&] { return random.uniform(); };
      const auto tensor = rules(image, random_crop, uniform);
      random = radapt::Random(3);
      std::vector<float> memory(rules.elements());
      rules(image, random_crop, uniform, memory);
      CHECK(std::equal(memory.begin(), memory.end(), tensor.begin()));
      random = radapt::Random(3);
      const Window part = random_crop(image.width, image.height, uniform);
      const Image start = openai ? image : radapt::to_rgb(image);
      const Image cropped = radapt::crop(start, static_cast<std::ptrdiff_t>(part.left),
                                         static_cast<std::ptrdiff_t>(part.top), part.width, part.height);
      std::vector<float> expected(rules.elements());
      rules.normalise(radapt::to_rgb(radapt::resize(cropped, 32, 32)), expected);
      CHECK(memory == expected);
    }
  }
}

TEST_CASE("the order of the passes reaches both chains") {
  const radapt::Image tall = radapt_test::noise_image(radapt::PixelMode::rgb, 20, 70);
  radapt::Preprocess rules = radapt::Preprocess::openai(10);
  const radapt::Image before = rules.pixels(tall);
  rules.pass_order = radapt::PassOrder::pillow_13;
  const radapt::Image whole =
      radapt::resize(tall, 10, 35, radapt::Interpolation::bicubic, radapt::PassOrder::pillow_13);
  CHECK(rules.pixels(tall).pixels == radapt::crop(whole, 0, 12, 10, 10).pixels);
  CHECK(rules.pixels(tall).pixels != before.pixels);
  const radapt::RandomResizedCrop all{.scale = {1.0, 1.0}, .ratio = {2.0 / 7.0, 2.0 / 7.0}};
  CHECK(rules.pixels(tall, all, [] { return 0.5; }).pixels ==
        radapt::resize(tall, 10, 10, radapt::Interpolation::bicubic, radapt::PassOrder::pillow_13).pixels);
}
