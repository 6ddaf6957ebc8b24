#pragma once
/// The images of fixtures/preprocess, and an image of noise that is the same everywhere.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "radapt/io/image_mode.hpp"
#include "shared_data.hpp"

namespace radapt_test {

/// A line of cases.tsv.
struct PreprocessCase {
  std::string file, mode;
  radapt::Index width = 0, height = 0;
  bool rejected = false;
  std::filesystem::path path;
};

inline std::vector<PreprocessCase> preprocess_cases() {
  const std::filesystem::path folder = shared_data("fixtures/preprocess");
  std::ifstream table(folder / "cases.tsv");
  std::vector<PreprocessCase> cases;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') { continue; }
    PreprocessCase one;
    std::istringstream words(line);
    std::string width, height;
    words >> one.file >> one.mode >> width >> height;
    one.rejected = one.mode == "-";
    if (!one.rejected) {
      one.width = std::stoul(width);
      one.height = std::stoul(height);
    }
    one.path = folder / one.file;
    cases.push_back(one);
  }
  if (cases.size() != 24) { throw std::runtime_error("cases.tsv should list 24 images"); }
  return cases;
}

/// Noise from a linear congruential generator: bytes are its upper 8 bits (0 or 255 by the lowest of them in mode
/// one_bit), integers its upper 16. A palette has 256 greys.
inline radapt::Image noise_image(radapt::PixelMode mode, radapt::Index width, radapt::Index height) {
  radapt::Image image = radapt::zero_image(width, height, mode);
  std::uint32_t state = 12345;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  if (mode == radapt::PixelMode::integer) {
    for (radapt::Index i = 0; i < image.pixels.size(); i += 4) {
      const auto value = static_cast<std::int32_t>(next() >> 16);
      std::memcpy(image.pixels.data() + i, &value, sizeof value);
    }
    return image;
  }
  for (std::uint8_t& byte : image.pixels) {
    byte = static_cast<std::uint8_t>(next() >> 24);
    if (mode == radapt::PixelMode::one_bit) { byte = byte % 2 != 0 ? 255 : 0; }
  }
  if (mode == radapt::PixelMode::palette) {
    for (int i = 0; i < 256; ++i) {
      const auto grey = static_cast<std::uint8_t>(i);
      image.palette.push_back({grey, grey, grey});
    }
  }
  return image;
}

}  // namespace radapt_test
