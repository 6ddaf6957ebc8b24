#pragma once
/// Outlines of objects in text files, one per line: `class x y x y ...` in shares of the image's sides, as YOLO's
/// segmentation labels have them.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/quoted_name.hpp"

namespace radapt {

/// A point of an image: x from left to right, y from top to bottom.
struct Point {
  double x = 0.0, y = 0.0;
};

/// A closed outline, the last point joined to the first, and what it is around.
struct LabelledPolygon {
  std::int32_t label = 0;
  std::vector<Point> points;  ///< at least three; 0 to 1, shares of the width and the height
};

/// The polygons in `text`, in its order; `name` stands for it in messages. Empty lines are passed over. Errors, each
/// with its line: a class outside 0 .. classes - 1, an odd number of coordinates, fewer than three points, what is no
/// number from 0 to 1.
inline std::vector<LabelledPolygon> parse_polygons(std::string_view text, const std::string& name, Index classes) {
  std::vector<LabelledPolygon> polygons;
  Index line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    const auto wrong = [&](const std::string& expected, const std::string& got) {
      fail({.what = "reading '" + name + "', line " + std::to_string(line_number),
            .expected = expected,
            .got = got,
            .hint = {}});
    };
    std::vector<double> numbers;
    LabelledPolygon polygon;
    bool labelled = false;
    while (true) {
      const std::size_t word = line.find_first_not_of(" \t\r");
      if (word == std::string_view::npos) { break; }
      line.remove_prefix(word);
      const std::string_view text_of_word = line.substr(0, line.find_first_of(" \t\r"));
      line.remove_prefix(text_of_word.size());
      const char* const stop = text_of_word.data() + text_of_word.size();
      if (!labelled) {
        const auto [at, problem] = std::from_chars(text_of_word.data(), stop, polygon.label);
        if (problem != std::errc{} || at != stop || polygon.label < 0 || static_cast<Index>(polygon.label) >= classes) {
          wrong("a class from 0 to " + std::to_string(classes == 0 ? 0 : classes - 1), quoted_name(text_of_word));
        }
        labelled = true;
        continue;
      }
      double value = 0.0;
      const auto [at, problem] = std::from_chars(text_of_word.data(), stop, value);
      if (problem != std::errc{} || at != stop || !(value >= 0.0 && value <= 1.0)) {
        wrong("coordinates from 0 to 1", quoted_name(text_of_word));
      }
      numbers.push_back(value);
    }
    if (!labelled) { continue; }
    if (numbers.size() < 6 || numbers.size() % 2 != 0) {
      wrong("x and y of at least three points", std::to_string(numbers.size()) + " numbers");
    }
    for (Index i = 0; i < numbers.size(); i += 2) { polygon.points.push_back({.x = numbers[i], .y = numbers[i + 1]}); }
    polygons.push_back(std::move(polygon));
  }
  return polygons;
}

/// The polygons in the file `path`; see parse_polygons.
inline std::vector<LabelledPolygon> read_polygons(const std::filesystem::path& path, Index classes) {
  const std::vector<std::byte> bytes = read_file(path);
  return parse_polygons({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string(), classes);
}

}  // namespace radapt
