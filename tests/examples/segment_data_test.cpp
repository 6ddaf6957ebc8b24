/// Regions for the segmentation program: connected parts of a map, what is seen of objects, names of labels.
#include "examples/support/segment_data.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "support/error_text.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_folder.hpp"

namespace {

using namespace example;
namespace task = radapt::task;

task::LabelMap drawn(const std::vector<std::string>& rows) {
  task::LabelMap map(rows[0].size(), rows.size(), -1);
  for (std::size_t y = 0; y < rows.size(); ++y) {
    for (std::size_t x = 0; x < rows[y].size(); ++x) { map.at(x, y) = rows[y][x] - 'a'; }
  }
  return map;
}

TEST_CASE("connected regions are parts of one label that touch along sides") {
  const task::LabelMap map = drawn({"aab", "bba", "bba", "abb"});
  const auto all = connected_regions(map, 1);
  // By their first pixel: two a above, the b in the corner, the large b, the two a at the right, the a in the corner
  // below.
  std::vector<std::ptrdiff_t> sizes;
  for (const task::RegionMask& mask : all) {
    REQUIRE(mask.inside.size() == 12);
    sizes.push_back(std::count(mask.inside.begin(), mask.inside.end(), std::uint8_t{1}));
  }
  CHECK(sizes == std::vector<std::ptrdiff_t>{2, 1, 6, 2, 1});
  // Every pixel is in exactly one of them.
  for (std::size_t i = 0; i < 12; ++i) {
    CHECK(std::count_if(all.begin(), all.end(), [i](const auto& mask) { return mask.inside[i] != 0; }) == 1);
  }
  CHECK(connected_regions(map, 2).size() == 3);
  CHECK(connected_regions(map, 7).empty());
  CHECK(connected_regions(task::LabelMap(5, 4, 0), 1).size() == 1);
  // The end of a row is no neighbour of the beginning of the next: the a at the right stays alone.
  CHECK(connected_regions(drawn({"aba", "abb"}), 1).size() == 3);
}

TEST_CASE("of objects that overlap the later one is seen, one that is covered has no mask") {
  const auto box = [](double left, double right) {
    return radapt::LabelledPolygon{.label = 7, .points = {{left, 0}, {right, 0}, {right, 1}, {left, 1}}};
  };
  const auto pixels = [](const task::RegionMask& mask) {
    return std::count(mask.inside.begin(), mask.inside.end(), std::uint8_t{1});
  };
  const auto two = visible_objects({box(0, 0.5), box(0.25, 0.75)}, 8, 2);
  REQUIRE(two.size() == 2);
  CHECK(pixels(two[0]) == 4);
  CHECK(pixels(two[1]) == 8);
  const auto covered = visible_objects({box(0.25, 0.5), box(0, 1)}, 8, 2);
  REQUIRE(covered.size() == 1);
  CHECK(pixels(covered[0]) == 16);
  CHECK(visible_objects({}, 8, 2).empty());
}

TEST_CASE("names of labels come from a list, a text file or JSON") {
  const radapt_test::TemporaryFolder folder;
  const std::vector<std::string> expected{"traffic light", "dog"};
  CHECK(read_labels(expected) == expected);
  CHECK(read_labels({"dog"}) == std::vector<std::string>{"dog"});
  std::ofstream(folder.path() / "names.txt") << "traffic light\r\ndog";
  CHECK(read_labels({(folder.path() / "names.txt").string()}) == expected);
  std::ofstream(folder.path() / "names.json") << R"(["traffic light", "dog"])";
  CHECK(read_labels({(folder.path() / "names.json").string()}) == expected);
  const auto says = [&](const char* wrong, const char* message) {
    CAPTURE(wrong);
    std::ofstream(folder.path() / "wrong.json") << wrong;
    const std::string said = radapt_test::error_of([&] { read_labels({(folder.path() / "wrong.json").string()}); });
    CHECK(said.find(message) != std::string::npos);
  };
  for (const char* wrong : {"{\"a\": 1}", "[1, 2]", "[\"a\", \"a\"]"}) {
    says(wrong, "expected different names, none of them empty");
  }
  for (const char* wrong : {"[", ""}) { says(wrong, "expected valid JSON"); }
}

TEST_CASE("pairs of objects hold every class at most once") {
  const radapt_test::TemporaryFolder folder;
  radapt::write_png(folder.path() / "i.png", radapt::zero_image(64, 64, radapt::PixelMode::rgb));
  OutlinedImage image{.image = folder.path() / "i.png"};
  for (std::int32_t c = 0; c < 3; ++c) {
    for (int k = 0; k < 2; ++k) {
      image.objects.push_back({.label = c, .points = {{0.1, 0.1}, {0.9, 0.1}, {0.9, 0.9}}});
    }
  }
  image.objects.push_back({.label = 3, .points = {{0.1, 0.1}, {0.2, 0.1}, {0.2, 0.2}}});  // 6 pixels: too small
  std::vector<Texts> texts;
  for (std::int64_t c = 0; c < 4; ++c) { texts.push_back({{1, c + 2, 60}}); }
  radapt::ProgressOptions quiet;
  quiet.mode = radapt::ProgressOptions::Mode::quiet;
  radapt::Progress progress("objects", 1, quiet);
  ObjectPairs pairs({image}, texts, radapt::Preprocess::openai(8), 64, 1, radapt::Captions(8, 64), progress);
  CHECK(pairs.objects() == 6);
  CHECK(pairs.classes() == 3);
  REQUIRE(pairs.batch() == 3);
  for (int b = 0; b < 5; ++b) {
    const auto batch = pairs.next();
    REQUIRE(batch.captions->size() == 3);
    std::set<std::int32_t> words;
    for (std::size_t row = 0; row < 3; ++row) { words.insert(batch.captions->ids(row)[1]); }
    CHECK(words == std::set<std::int32_t>{2, 3, 4});
  }
  // Batches that do not fit into an epoch of classes: the first class of the next epoch may be the last of this one.
  ObjectPairs two({image}, texts, radapt::Preprocess::openai(8), 2, 1, radapt::Captions(8, 64), progress);
  REQUIRE(two.batch() == 2);
  for (int b = 0; b < 60; ++b) {
    const auto batch = two.next();
    REQUIRE(batch.captions->size() == 2);
    CHECK(batch.captions->ids(0)[1] != batch.captions->ids(1)[1]);
  }
}

TEST_CASE("outlines lie on an image as it is seen, whatever way up its camera stored it") {
  const std::filesystem::path stored = radapt_test::shared_data("fixtures/preprocess/jpeg_exif6.jpg");
  const radapt::Image lying = radapt::open_image(stored);
  const auto opened = open_or_name(stored);
  REQUIRE(opened.has_value());
  REQUIRE(lying.width != lying.height);
  CHECK(opened->width == lying.height);
  CHECK(opened->height == lying.width);
}

}  // namespace
