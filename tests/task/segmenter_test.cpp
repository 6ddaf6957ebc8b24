// Segmenting images with a tiny model: the right class in the right place, in images of any size.
#include "radapt/task/segmenter.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "task/tiny_clip.hpp"

using radapt::Index;
using namespace radapt::task;
using namespace radapt_test;

TEST_CASE("a segmenter takes the class whose row a patch is nearest to, in the places of the image") {
  using M = Model<2>;
  const auto weights = weights_of<M, float>();
  // An image of the model's size in two colours, left and right; rows of the head are the features of one patch of
  // each.
  radapt::Image image = radapt::zero_image(12, 12, radapt::PixelMode::rgb);
  for (Index y = 0; y < 12; ++y) {
    for (Index x = 0; x < 12; ++x) {
      image.row(y)[3 * x] = x < 4 ? 250 : 0;
      image.row(y)[3 * x + 2] = x < 4 ? 0 : 250;
    }
  }
  const auto preprocess = radapt::Preprocess::openai(12);
  std::vector<float> pixels(preprocess.elements()), features(9 * 6);
  preprocess(image, pixels);
  DenseSession<M, radapt::reference> dense(weights);
  dense.encode(pixels, features);
  std::vector<float> head;
  for (const Index patch : {3U, 5U}) {
    float squares = 0;
    for (Index e = 0; e < 6; ++e) { squares += features[6 * patch + e] * features[6 * patch + e]; }
    for (Index e = 0; e < 6; ++e) { head.push_back(features[6 * patch + e] / std::sqrt(squares)); }
  }
  Segmenter<M, radapt::reference> segmenter(weights, head, preprocess);
  CHECK(segmenter.classes() == 2);
  const LabelMap map = segmenter(image);
  CHECK(map.at(0, 5) == 0);
  CHECK(map.at(11, 5) == 1);
  // One window: the mean is the window, which is the cosines of the patches resized.
  const auto scores = segmenter.scores(image).mean();
  REQUIRE(scores.size() == 2 * 144);
  for (Index c = 0; c < 2; ++c) {
    std::vector<float> cells;
    for (Index p = 0; p < 9; ++p) {
      double cosine = 0, squares = 0;
      for (Index e = 0; e < 6; ++e) {
        const double f = static_cast<double>(features[6 * p + e]);
        cosine += f * static_cast<double>(head[6 * c + e]);
        squares += f * f;
      }
      cells.push_back(static_cast<float>(cosine / std::sqrt(squares)));
    }
    CHECK(cells[c == 0 ? 3 : 5] == doctest::Approx(1.0).epsilon(1e-6));
    const auto expected = resize_bilinear(cells, 3, 3, 12, 12);
    for (Index i = 0; i < 144; ++i) { CHECK(std::abs(scores[144 * c + i] - expected[i]) < 1e-5f); }
  }
  // An image that is smaller is enlarged, a larger one is covered by windows; either way every pixel has a class.
  const radapt::Image wide = radapt::resize(image, 31, 17);
  const LabelMap of_wide = segmenter(wide);
  CHECK(of_wide.width == 31);
  CHECK(of_wide.height == 17);
  const LabelMap of_small = segmenter(radapt::resize(image, 5, 7));
  CHECK(of_small.labels.size() == 35);
  CHECK_THROWS_AS((Segmenter<M, radapt::reference>(weights, {1, 2}, preprocess)), radapt::error);
  CHECK_THROWS_AS((Segmenter<M, radapt::reference>(weights, head, preprocess, {.short_side = 11})), radapt::error);
  CHECK_THROWS_AS((Segmenter<M, radapt::reference>(weights, head, preprocess, {.stride = 13})), radapt::error);
}
