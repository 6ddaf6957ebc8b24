// Resizing position embeddings, against values of open_clip, transformers and torch in float64.
#include "radapt/io/position_embedding.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"

namespace {

using radapt::GridResize;
using radapt::resize_image_positions;
using radapt::resize_text_positions;

/// Element (row, column) is sin(0.7 row + 1.9 column); two columns.
std::vector<double> table(std::size_t rows) {
  std::vector<double> values;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < 2; ++c) {
      values.push_back(std::sin(0.7 * static_cast<double>(r) + 1.9 * static_cast<double>(c)));
    }
  }
  return values;
}

/// Torch's values below were computed in float64, as these are; what is left is the order of some ten additions of
/// numbers around 1, some 1e-15.
constexpr double double_bound = 1e-14;

void check_close(const std::vector<double>& got, const std::vector<double>& expected, std::size_t skip) {
  REQUIRE(got.size() == expected.size() + skip);
  for (std::size_t i = 0; i < expected.size(); ++i) { CHECK(std::abs(got[i + skip] - expected[i]) < double_bound); }
}

/// sum of (i + 1) * element i: one number that no two elements can be swapped under.
double weighted_sum(const std::vector<double>& values, std::size_t skip) {
  double sum = 0;
  for (std::size_t i = skip; i < values.size(); ++i) { sum += static_cast<double>(i - skip + 1) * values[i]; }
  return sum;
}

// Expected values: what open_clip 3.3.0's resize_pos_embed and transformers 5.24.0's interpolate_pos_encoding return
// for the table above in float64 under torch 2.15. Both call F.interpolate of rows 1.. as [1, 2, g, g] with mode
// "bicubic", align_corners False, and antialias True (open_clip) or False (transformers); torch 1.13 gives the same.

TEST_CASE("image positions resized by open_clip's rule are torch's antialiased bicubic") {
  const auto resized = [](std::size_t from, std::size_t to) {
    const std::vector<double> old = table(1 + from * from);
    return resize_image_positions(std::span<const double>(old), 2, to, GridResize::open_clip);
  };
  check_close(resized(3, 2),
              {0.5803557979628338, -0.1967177821233942, 0.3261140940042346, -0.559805910834904, -0.5613176527132965,
               0.04165982182640887, -0.4438457852802511, 0.49744507370945945},
              2);
  check_close(resized(2, 3),
              {0.6035976481271239, 0.6453598399946768, 0.829026797442726, 0.2484331490545768, 1.0544559467583279,
               -0.14849354188552308, 0.7598644866058548, -0.09050688318333416, 0.7069662335077325, -0.34974251879845314,
               0.6540679804096103, -0.6089781544135721, 0.9161313250845857, -0.8263736063613449, 0.584905669572739,
               -0.9479181866514829, 0.2536800140608927, -1.0694627669416208},
              2);
  // Up to 98 elements weigh in with up to 98 each, so the bound on their sum is some 50 times that on one.
  CHECK(std::abs(weighted_sum(resized(3, 5), 2) - -55.45262211790435) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(5, 3), 2) - -7.045038487338545) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(4, 2), 2) - -1.9911504397783573) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(7, 3), 2) - -1.4210704455559107) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(1, 2), 2) - 20.617510432232347) < 1e-12);
}

TEST_CASE("image positions resized by transformers' rule are torch's plain bicubic") {
  const auto resized = [](std::size_t from, std::size_t to) {
    const std::vector<double> old = table(1 + from * from);
    return resize_image_positions(std::span<const double>(old), 2, to, GridResize::transformers);
  };
  check_close(resized(3, 2),
              {0.6457251065526244, 0.022456068679532988, 0.4989374542135888, -0.6128767295486418, -0.6896648083421141,
               0.19271032921421455, -0.32629016287377416, 0.6812491289300822},
              2);
  check_close(resized(2, 3),
              {0.5890356477098969, 0.6876270910789801, 0.8335607008188645, 0.270652206484518, 1.0780857539278323,
               -0.14632267810994457, 0.7618293764980658, -0.08087765253225587, 0.7069662335077327, -0.34974251879845314,
               0.6521030905173998, -0.6186073850646505, 0.9346231052862346, -0.8493823961434924, 0.580371766196601,
               -0.9701372440814249, 0.22612042710696684, -1.090892092019357},
              2);
  CHECK(std::abs(weighted_sum(resized(3, 5), 2) - -72.85446269179988) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(5, 3), 2) - -25.138171718671515) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(4, 2), 2) - -0.7876526982709058) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(7, 3), 2) - -0.39822640141488463) < 1e-12);
}

// Expected values: open_clip 3.3.0's resize_text_pos_embed with the arguments that its loader gives, in the same torch.
// It calls F.interpolate of the table as [1, 2, rows] with mode "linear", align_corners False, and antialias False:
// the filter is not widened where the table shrinks.
TEST_CASE("text positions are open_clip's: torch's linear interpolation without antialiasing") {
  const auto resized = [](std::size_t from, std::size_t to) {
    const std::vector<double> old = table(from);
    return resize_text_positions(std::span<const double>(old), 2, to);
  };
  check_close(resized(5, 3),
              {0.21473922907923038, 0.8027005157320978, 0.9854497299884601, -0.1577456941432482, 0.5110618889868945,
               -0.9188830034787099},
              0);
  check_close(resized(3, 5),
              {0.0, 0.9463000876874145, 0.25768707489507636, 0.7739806013410345, 0.644217687237691, 0.5155013718214645,
               0.8489569128881524, 0.11155313224263697, 0.9854497299884601, -0.1577456941432482},
              0);
  CHECK(std::abs(weighted_sum(resized(77, 32), 0) - 21.100840457722114) < 1e-12);
  CHECK(std::abs(weighted_sum(resized(8, 3), 0) - -4.871680241372669) < 1e-12);
}
TEST_CASE("values worked out by hand") {
  // Halving a grid of 2 to one cell: everything weighs the same, by symmetry.
  const std::vector<double> four{100, 1, 2, 4, 8};
  CHECK(resize_image_positions(std::span<const double>(four), 1, 1, GridResize::open_clip) ==
        std::vector<double>{100, 3.75});
  // The plain kernel reads -1, 0, 1 and 2 of each axis, at distance 3/2, 1/2, 1/2, 3/2; edges repeat, so again the
  // mean.
  CHECK(resize_image_positions(std::span<const double>(four), 1, 1, GridResize::transformers)[1] ==
        doctest::Approx(3.75).epsilon(1e-15));
  // Doubling one axis position by position: a = -3/4 gives distance 1/4 the weight 225/256, 3/4 67/256,
  // 5/4 -27/256, 7/4 -9/256. The first new centre lies a quarter before the first cell, which also stands for those
  // beyond the edge.
  const std::vector<double> two_columns{0, 0, 256, 0, 256};
  const auto wide = resize_image_positions(std::span<const double>(two_columns), 1, 4, GridResize::transformers);
  CHECK(wide[1] == doctest::Approx(-27.0).epsilon(1e-14));
  // Doubling two: the centres lie a quarter outside and inside of the old ones; the edge repeats.
  const std::vector<double> pair{0, 1};
  const std::vector<double> doubled = resize_text_positions(std::span<const double>(pair), 1, 4);
  CHECK(doubled == std::vector<double>{0, 0.25, 0.75, 1});
}

TEST_CASE("the class token's row stays, constants stay constant, and the same size is a copy") {
  std::vector<double> old = table(1 + 16);
  for (const GridResize rule : {GridResize::open_clip, GridResize::transformers}) {
    const auto same = resize_image_positions(std::span<const double>(old), 2, 4, rule);
    CHECK(same == old);
    const auto larger = resize_image_positions(std::span<const double>(old), 2, 5, rule);
    CHECK(larger.size() == 52);
    CHECK(larger[0] == old[0]);
    CHECK(larger[1] == old[1]);
    const std::vector<double> flat(34, 3.0);
    for (const double value : resize_image_positions(std::span<const double>(flat), 2, 3, rule)) {
      CHECK(std::abs(value - 3.0) < double_bound);
    }
  }
  CHECK(resize_text_positions(std::span<const double>(old), 2, 17) == old);
}

TEST_CASE("float tables are computed in double and rounded once") {
  const std::vector<double> old = table(1 + 9);
  const std::vector<float> narrow(old.begin(), old.end());
  const std::vector<double> widened(narrow.begin(), narrow.end());
  const auto expected = resize_image_positions(std::span<const double>(widened), 2, 4, GridResize::open_clip);
  const auto got = resize_image_positions(std::span<const float>(narrow), 2, 4, GridResize::open_clip);
  CHECK(got == std::vector<float>(expected.begin(), expected.end()));
  const auto expected_text = resize_text_positions(std::span<const double>(widened), 2, 7);
  const auto got_text = resize_text_positions(std::span<const float>(narrow), 2, 7);
  CHECK(got_text == std::vector<float>(expected_text.begin(), expected_text.end()));
}

TEST_CASE("tables that are no grid are refused") {
  const std::vector<double> old = table(17);
  const std::span<const double> values(old);
  const auto rule = GridResize::open_clip;
  CHECK_THROWS_WITH_AS(resize_image_positions(values.first(32), 2, 5, rule),
                       doctest::Contains("one for the class token, got 16 rows"), radapt::error);
  CHECK_THROWS_WITH_AS(resize_image_positions(values.first(2), 2, 4, rule), doctest::Contains("got 1 rows"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(resize_image_positions(values, 2, 0, rule), doctest::Contains("a grid of 1 to 4096, got 0"),
                       radapt::error);
  CHECK_THROWS_WITH_AS(resize_image_positions(values, 2, 4097, rule), doctest::Contains("got 4097"), radapt::error);
  CHECK_THROWS_WITH_AS(resize_image_positions(values.first(33), 2, 5, rule),
                       doctest::Contains("whole rows of 2, got 33 numbers"), radapt::error);
  CHECK_THROWS_WITH_AS(resize_text_positions(values.first(0), 2, 3), doctest::Contains("got 0 numbers"), radapt::error);
  CHECK_THROWS_WITH_AS(resize_text_positions(values, 0, 3), doctest::Contains("whole rows of 0"), radapt::error);
  CHECK_THROWS_WITH_AS(resize_text_positions(values, 2, 0), doctest::Contains("a context of 1 to 1048576, got 0"),
                       radapt::error);
}

}  // namespace
