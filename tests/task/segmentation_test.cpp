// Polygons and label maps, windows and their means, regions cut out and put back, overlays: by hand and by laws.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "radapt/core/random.hpp"
#include "radapt/io/image.hpp"
#include "radapt/task/confusion_matrix.hpp"
#include "radapt/task/label_map.hpp"
#include "radapt/task/overlay.hpp"
#include "radapt/task/regions.hpp"
#include "radapt/task/sliding_window.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_folder.hpp"

using radapt::Image;
using radapt::Index;
using radapt::LabelledPolygon;
using radapt::Point;
using radapt::Window;
using namespace radapt::task;
using Labels = std::vector<std::int32_t>;

namespace {

/// A map as text, one sign for each pixel.
std::vector<std::string> drawn(const LabelMap& map) {
  std::vector<std::string> rows(map.height);
  for (Index y = 0; y < map.height; ++y) {
    for (Index x = 0; x < map.width; ++x) { rows[y] += map.at(x, y) < 0 ? '.' : static_cast<char>('0' + map.at(x, y)); }
  }
  return rows;
}
LabelMap filled(Index width, Index height, const std::vector<Point>& points) {
  LabelMap map(width, height, -1);
  fill_polygon(map, points, 1);
  return map;
}
using Rows = std::vector<std::string>;

}  // namespace

TEST_CASE("polygons by hand: centres decide, and a centre on the outline goes to the right and below") {
  CHECK(drawn(filled(4, 3, {{1, 1}, {3, 1}, {3, 2}, {1, 2}})) == Rows{"....", ".11.", "...."});
  // Edges through centres: the left and upper ones belong to the square, the right and lower ones do not.
  CHECK(drawn(filled(4, 4, {{0.5, 0.5}, {2.5, 0.5}, {2.5, 2.5}, {0.5, 2.5}})) == Rows{"11..", "11..", "....", "...."});
  // A triangle: row y is left of x = 4 - y - 1/2, so the centres x + 1/2 < 4 - y - 1/2.
  CHECK(drawn(filled(4, 4, {{0, 0}, {4, 0}, {0, 4}})) == Rows{"111.", "11..", "1...", "...."});
  // What is crossed twice is outside: a hole drawn as part of the outline.
  CHECK(drawn(filled(5, 5, {{0, 0}, {5, 0}, {5, 5}, {0, 5}, {0, 0}, {1, 1}, {4, 1}, {4, 4}, {1, 4}, {1, 1}})) ==
        Rows{"11111", "1...1", "1...1", "1...1", "11111"});
  // Parts outside are cut off; a sliver without a centre leaves nothing.
  CHECK(drawn(filled(3, 2, {{-9, -9}, {9, -9}, {9, 9}, {-9, 9}})) == Rows{"111", "111"});
  CHECK(drawn(filled(3, 2, {{-9, 3}, {9, 3}, {9, 9}})) == Rows{"...", "..."});
  CHECK(drawn(filled(3, 2, {{0, 0.6}, {3, 0.6}, {3, 0.9}, {0, 0.9}})) == Rows{"...", "..."});
  LabelMap map(2, 2, -1);
  CHECK_THROWS_AS(fill_polygon(map, std::vector<Point>{{0, 0}, {1, 1}}, 1), radapt::error);
  CHECK_THROWS_AS(fill_polygon(map, std::vector<Point>{{0, 0}, {1, 1}, {NAN, 0}}, 1), radapt::error);
  CHECK_THROWS_AS(LabelMap(0, 1, 0), radapt::error);
}

TEST_CASE("laws of filling: direction and first point do not matter; neighbours share no pixel and leave none") {
  radapt::Random random(3);
  for (int repeat = 0; repeat < 50; ++repeat) {
    // A fan of triangles around a point covers a convex polygon exactly once, whatever the edges in between.
    const Index corners = 3 + random.below(6);
    std::vector<Point> outline;
    for (Index i = 0; i < corners; ++i) {
      const double angle = 6.283185307179586 * static_cast<double>(i) / static_cast<double>(corners);
      // Halves and quarters, so that edges often run through centres.
      outline.push_back(
          {std::round(4 * (10 + 9 * std::cos(angle))) / 4, std::round(4 * (10 + 9 * std::sin(angle))) / 4});
    }
    const LabelMap whole = filled(20, 20, outline);
    std::vector<Point> turned(outline.rbegin(), outline.rend());
    std::rotate(turned.begin(), turned.begin() + random.below(static_cast<std::uint32_t>(corners)), turned.end());
    CHECK(filled(20, 20, turned).labels == whole.labels);
    const Point inner{10 + std::round(8 * random.uniform()) / 4 - 1, 10 + std::round(8 * random.uniform()) / 4 - 1};
    Labels times(400, 0);
    for (Index i = 0; i < corners; ++i) {
      const LabelMap part = filled(20, 20, {outline[i], inner, outline[(i + 1) % corners]});
      for (Index p = 0; p < 400; ++p) { times[p] += part.labels[p] == 1 ? 1 : 0; }
    }
    for (Index p = 0; p < 400; ++p) { CHECK(times[p] == (whole.labels[p] == 1 ? 1 : 0)); }
  }
}

TEST_CASE("later polygons lie on top; coordinates are shares of the sides") {
  const std::vector<LabelledPolygon> polygons{{0, {{0, 0}, {1, 0}, {1, 1}, {0, 1}}},
                                              {7, {{0.5, 0}, {1, 0}, {1, 0.5}, {0.5, 0.5}}}};
  CHECK(drawn(label_map(polygons, 4, 2, -1)) == Rows{"0077", "0000"});
  CHECK(drawn(label_map({polygons[1]}, 4, 2, -1)) == Rows{"..77", "...."});
}

TEST_CASE("polygon files: what they hold, and every mistake with its line") {
  const auto polygons = radapt::parse_polygons("45 0 0.5 1 1 0.25 0\r\n\n  7\t0 0 1 0 1e0 1\n", "a.txt", 80);
  REQUIRE(polygons.size() == 2);
  CHECK(polygons[0].label == 45);
  CHECK(polygons[0].points.size() == 3);
  CHECK(polygons[0].points[2].x == 0.25);
  CHECK(polygons[1].points[2].x == 1.0);
  CHECK(radapt::parse_polygons("", "a.txt", 80).empty());
  const auto says = [](const char* text, const char* message) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(radapt::parse_polygons(text, "a.txt", 80), doctest::Contains(message), radapt::error);
  };
  says("1 0 0 1 1 0 1\n80 0 0 1 1 0 1\n", "'a.txt', line 2: expected a class from 0 to 79, got '80'");
  says("-1 0 0 1 1 0 1", "a class from 0 to 79");
  says("x 0 0 1 1 0 1", "a class from 0 to 79, got 'x'");
  says("1 0 0 1 1 0", "x and y of at least three points, got 5 numbers");
  says("1 0 0 1 1", "at least three points, got 4 numbers");
  says("1", "got 0 numbers");
  says("1 0 0 1 1 0 1.01", "coordinates from 0 to 1, got '1.01'");
  says("1 0 0 1 1 0 nan", "coordinates from 0 to 1, got 'nan'");
}

TEST_CASE("the outlines of COCO: every file is read, and maps are what a test of every centre gives") {
  const auto folder = radapt_test::shared_data("data/coco128seg");
  std::set<std::int32_t> classes;
  Index files = 0, outlines = 0, of_their_area = 0, images = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "labels/train2017")) {
    const auto polygons = radapt::read_polygons(entry.path(), 80);
    ++files;
    outlines += polygons.size();
    const auto picture = folder / "images/train2017" / entry.path().filename().replace_extension(".jpg");
    images += std::filesystem::exists(picture) ? 1U : 0U;
    for (const LabelledPolygon& polygon : polygons) {
      classes.insert(polygon.label);
      const auto& points = polygon.points;
      // The usual test of one point, without a scanline. No outline of COCO runs through one of these centres.
      const LabelMap coarse = label_map({polygon}, 24, 18, -1);
      Index wrong = 0;
      for (Index y = 0; y < 18; ++y) {
        for (Index x = 0; x < 24; ++x) {
          const double at_x = (static_cast<double>(x) + 0.5) / 24, at_y = (static_cast<double>(y) + 0.5) / 18;
          bool inside = false;
          for (Index i = 0, j = points.size() - 1; i < points.size(); j = i++) {
            const Point a = points[i], b = points[j];
            if ((a.y > at_y) != (b.y > at_y) && at_x < (b.x - a.x) * (at_y - a.y) / (b.y - a.y) + a.x) {
              inside = !inside;
            }
          }
          wrong += inside == (coarse.at(x, y) >= 0) ? 0U : 1U;
        }
      }
      CHECK(wrong == 0);
      // The area by the shoelace formula: only pixels that the outline passes through can be counted wrongly, at most
      // about three for each two units of its length, by half on average.
      const LabelMap fine = label_map({polygon}, 200, 150, -1);
      const auto pixels = static_cast<double>(std::count(fine.labels.begin(), fine.labels.end(), polygon.label));
      double area = 0, length = 0;
      for (Index i = 0; i < points.size(); ++i) {
        const Point a = points[i], b = points[(i + 1) % points.size()];
        area += 200 * 150 * (a.x * b.y - b.x * a.y) / 2;
        length += std::hypot(200 * (a.x - b.x), 150 * (a.y - b.y));
      }
      of_their_area += std::abs(pixels - std::abs(area)) <= 0.75 * length + 1 ? 1U : 0U;
    }
  }
  CHECK(files == 128);
  CHECK(outlines == 941);
  CHECK(of_their_area == 941 - 17);  // 17 join parts that run in opposite directions, whose signed areas cancel
  CHECK(images == 126);              // two files have no image beside them
  CHECK(*classes.rbegin() < 80);
}

TEST_CASE("mean IoU and pixel accuracy of two maps by hand, with an ignored label") {
  LabelMap truth(4, 2, 0), guess(4, 2, 0);
  truth.labels = {0, 0, 1, 1,  //
                  0, 0, 1, 255};
  guess.labels = {0, 1, 1, 1,  //
                  0, 0, 2, 2};
  ConfusionMatrix matrix(3);
  matrix.add(guess.labels, truth.labels, 255);
  CHECK(matrix.total() == 7);
  CHECK(matrix.accuracy() == 5.0 / 7);
  CHECK(matrix.iou(0) == 3.0 / 4);
  CHECK(matrix.iou(1) == 2.0 / 4);
  CHECK(matrix.iou(2) == 0.0);
  CHECK(matrix.mean_iou() == doctest::Approx((0.75 + 0.5 + 0) / 3).epsilon(1e-15));
}

TEST_CASE("windows cover every pixel, and their mean gives every pixel the weight one") {
  for (const Index width : {8U, 9U, 13U, 20U}) {
    for (const Index stride : {1U, 3U, 5U, 8U}) {
      const auto windows = sliding_windows(width, 11, 8, stride);
      std::vector<float> ones(64, 1.0f);
      WindowAverage average(1, width, 11);
      std::vector<Index> times(width * 11);
      for (const Window& w : windows) {
        CHECK(w.left + w.width <= width);
        CHECK(w.top + w.height <= 11);
        average.add(w, ones);
        for (Index y = w.top; y < w.top + 8; ++y) {
          for (Index x = w.left; x < w.left + 8; ++x) { ++times[y * width + x]; }
        }
      }
      CHECK(*std::min_element(times.begin(), times.end()) >= 1);
      // Sums of ones divided by their number: exact.
      for (const float weight : average.mean()) { CHECK(weight == 1.0f); }
    }
  }
  const auto windows = sliding_windows(13, 8, 8, 4);
  REQUIRE(windows.size() == 3);
  CHECK(windows[0].left == 0);
  CHECK(windows[1].left == 4);
  CHECK(windows[2].left == 5);
  CHECK(sliding_windows(8, 8, 8, 8).size() == 1);
  CHECK(sliding_windows(16, 8, 8, 8).size() == 2);
  CHECK_THROWS_AS(sliding_windows(8, 8, 8, 9), radapt::error);
  CHECK_THROWS_AS(sliding_windows(7, 8, 8, 4), radapt::error);
  CHECK_THROWS_AS(sliding_windows(8, 8, 8, 0), radapt::error);
}

TEST_CASE("the mean of windows by hand, its labels, and a pixel that nothing covers") {
  WindowAverage average(2, 3, 1);
  average.add({.left = 0, .top = 0, .width = 2, .height = 1}, std::vector<float>{1, 2, 5, 4});
  CHECK_THROWS_WITH_AS(average.mean(), doctest::Contains("none over (2, 0)"), radapt::error);
  average.add({.left = 1, .top = 0, .width = 2, .height = 1}, std::vector<float>{6, 3, 2, 3});
  CHECK(average.mean() == std::vector<float>{1, 4, 3, 5, 3, 3});
  CHECK(average.labels().labels == Labels{1, 0, 0});  // of equal scores the first class
  CHECK_THROWS_AS(average.add({.left = 2, .top = 0, .width = 2, .height = 1}, std::vector<float>(4)), radapt::error);
  CHECK_THROWS_AS(average.add({.left = 0, .top = 0, .width = 2, .height = 1}, std::vector<float>(3)), radapt::error);
}

TEST_CASE("bilinear resizing is torch's") {
  // torch.nn.functional.interpolate(tensor([[0., 1.], [2., 4.]]), size=(4, 3), mode="bilinear", align_corners=False):
  // rows at 0, 0.25, 0.75, 1 between the two, columns at 0, 0.5, 1.
  const auto out = resize_bilinear(std::vector<float>{0, 1, 2, 4}, 2, 2, 4, 3);
  const std::vector<float> expected{0, 0.5f, 1, 0.5f, 1.125f, 1.75f, 1.5f, 2.375f, 3.25f, 2, 3, 4};
  CHECK(out == expected);
  CHECK(resize_bilinear(std::vector<float>{3}, 1, 1, 2, 2) == std::vector<float>(4, 3.0f));
  CHECK(resize_bilinear(expected, 4, 3, 4, 3) == expected);
  CHECK_THROWS_AS(resize_bilinear(expected, 3, 3, 4, 3), radapt::error);
}

TEST_CASE("a region is cut out with the mean colour around it") {
  Image image = radapt::zero_image(4, 3, radapt::PixelMode::rgb);
  for (Index i = 0; i < 12; ++i) { image.pixels[3 * i] = static_cast<std::uint8_t>(10 * i); }
  RegionMask mask{.width = 4,
                  .height = 3,
                  .inside = {0, 0, 0, 0,  //
                             0, 1, 0, 0,  //
                             0, 0, 1, 0}};
  const Window box = bounding_box(mask);
  CHECK(box.left == 1);
  CHECK(box.top == 1);
  CHECK(box.width == 2);
  CHECK(box.height == 2);
  const auto preprocess = radapt::Preprocess::openai(8);
  CHECK(mean_colour(preprocess) == std::array<std::uint8_t, 3>{123, 117, 104});
  const Image part = cut_out(image, mask, mean_colour(preprocess));
  CHECK(part.pixels == std::vector<std::uint8_t>{50, 0, 0, 123, 117, 104, 123, 117, 104, 100, 0, 0});
  radapt::Preprocess squash = preprocess;
  squash.resize_mode = radapt::ResizeMode::squash;
  const auto pixels = region_pixels(image, std::vector<RegionMask>{mask, mask}, squash);
  REQUIRE(pixels.size() == 2 * 192);
  const auto expected = squash(part);
  CHECK(std::equal(expected.begin(), expected.end(), pixels.begin() + 192));
  // The colour is within half a level of the mean: 1/2 / 255 / 0.26 of a standard deviation.
  const Image blank =
      cut_out(image, RegionMask{.width = 4, .height = 3, .inside = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
              mean_colour(preprocess));
  CHECK(std::abs(squash(blank)(1, 0, 7)) < 0.008f);
  CHECK_THROWS_AS(bounding_box(RegionMask{.width = 1, .height = 1, .inside = {0}}), radapt::error);
  CHECK_THROWS_AS(bounding_box(RegionMask{.width = 2, .height = 1, .inside = {1}}), radapt::error);
  CHECK_THROWS_AS(cut_out(image, RegionMask{.width = 1, .height = 1, .inside = {1}}, {}), radapt::error);
}

TEST_CASE("classified regions become a map: sums of scores decide where they overlap") {
  LabelMap truth(3, 1, 0);
  truth.labels = {4, 5, 4};
  CHECK(mask_of(truth, 4).inside == std::vector<std::uint8_t>{1, 0, 1});
  const std::vector<RegionMask> masks{{4, 1, {1, 1, 0, 0}}, {4, 1, {0, 1, 1, 0}}, {4, 1, {0, 1, 0, 0}}};
  const std::vector<float> scores{0.9f, 0.1f, 0.3f, 0.7f, 0.45f, 0.55f};
  CHECK(assemble_regions(masks, scores, 2, -1).labels == Labels{0, 0, 1, -1});  // 1.65 against 1.35 in the middle
  CHECK_THROWS_AS(assemble_regions(masks, scores, 3, -1), radapt::error);
  CHECK_THROWS_AS(assemble_regions({}, {}, 2, -1), radapt::error);
  CHECK_THROWS_AS(assemble_regions(std::vector<RegionMask>{{1, 1, {1}}, {2, 1, {1, 1}}}, std::vector<float>(2), 1, -1),
                  radapt::error);
}

TEST_CASE("colours of classes are PASCAL VOC's, and an overlay is written as a picture") {
  using Colour = std::array<std::uint8_t, 3>;
  CHECK(class_colour(0) == Colour{0, 0, 0});
  CHECK(class_colour(1) == Colour{128, 0, 0});       // aeroplane
  CHECK(class_colour(15) == Colour{192, 128, 128});  // person
  CHECK(class_colour(20) == Colour{0, 64, 128});     // tv monitor
  Image image = radapt::zero_image(3, 1, radapt::PixelMode::grey);
  image.pixels = {100, 100, 100};
  LabelMap map(3, 1, -1);
  map.labels = {-1, 0, 14};
  const Image picture = overlay(image, map, 64);
  // (64 * 128 + 192 * 100 + 128) / 256 = 107.5, and 75.5 where the colour is 0.
  CHECK(picture.pixels == std::vector<std::uint8_t>{100, 100, 100, 107, 75, 75, 123, 107, 107});
  CHECK(overlay(image, map, 0).pixels == std::vector<std::uint8_t>(9, 100));
  CHECK(overlay(image, map, 256).pixels[3] == 128);
  CHECK_THROWS_AS(overlay(image, map, 257), radapt::error);
  CHECK_THROWS_AS(overlay(image, LabelMap(2, 1, 0)), radapt::error);
  const radapt_test::TemporaryFolder folder;
  radapt::write_png(folder.path() / "overlay.png", picture);
  CHECK(radapt::open_image(folder.path() / "overlay.png").pixels == picture.pixels);
}
