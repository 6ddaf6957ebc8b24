/// Mask-fill against tests/oracle: its term, and the images that are filled. The relevance of patches is in
/// oracle_relevance.hpp.
#include <string>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "oracle/cases.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/loss/masked_distillation.hpp"
#include "radapt/train/fill_masked.hpp"
#include "support/settings.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

template <class S>
void masked_distillation(OracleCase& c) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  const auto features = c.read<T>("features"), teacher = c.read<T>("teacher");
  const Index rows = c.extent("features", 0), width = c.extent("features", 1);
  std::vector<T> slope(features.size(), T{1});  // the term adds to the gradient
  const radapt::loss::MaskedDistillation term{.strength = c.number("strength")};
  double loss = 0;
  term.add(context,
           radapt::loss::FilledFeatures<T>{.features = {features.data(), rows, width},
                                           .teacher_features = {teacher.data(), rows, width},
                                           .dfeatures = {slope.data(), rows, width}},
           {}, &loss);
  auto expected = c.read("grad.features");
  for (double& x : expected) { x += 1; }
  CHECK(oracle_error(std::vector{loss}, c.read("loss")) < oracle_bound<T>);
  CHECK(oracle_error(slope, expected) < oracle_bound<T>);
}

template <Index Image, Index Patch>
struct Grid {
  static constexpr Index image = Image, patch = Patch;
};

template <class S, class Arch>
void fill_of(OracleCase& c) {
  using T = typename S::T;
  const auto pixels = c.read<T>("pixels"), relevance = c.read<T>("relevance"), alternatives = c.read<T>("filled");
  const double threshold = c.number("threshold");
  const std::span<const T> images = pixels, maps = relevance;
  std::vector<T> filled(pixels.size());
  // One of the ways to choose donors that the oracle lists, for every draw; with two images there is but one.
  const Index ways = alternatives.size() / pixels.size();
  std::vector<Index> times(ways);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto among = [&](radapt::FillFrom from) {
      radapt::fill_masked<Arch>(images, maps, std::span<T>(filled),
                                {.threshold = threshold, .from = from, .seed = seed});
      Index way = 0;
      while (way < ways && !std::equal(filled.begin(), filled.end(),
                                       alternatives.begin() + static_cast<std::ptrdiff_t>(way * filled.size()))) {
        ++way;
      }
      REQUIRE(way < ways);
      ++times[way];
    };
    among(radapt::FillFrom::one_image);
    if (ways == 1) { among(radapt::FillFrom::image_per_patch); }
  }
  for (const Index n : times) { CHECK(n > 0); }

  std::vector<std::uint8_t> kept(relevance.size());
  radapt::keep_unmasked<Arch>(maps, std::span(kept), threshold);
  CHECK(kept == c.read<std::uint8_t>("kept"));
}
template <class S>
void fill(OracleCase& c) {
  const Index image = c.count("image"), patch = c.count("patch");
  REQUIRE((patch == 2 && (image == 4 || image == 6)));
  image == 4 ? fill_of<S, Grid<4, 2>>(c) : fill_of<S, Grid<6, 2>>(c);
}

template <class S>
void walk() {
  walk_oracle("mask_fill.json", {{"masked_distillation", 3, masked_distillation<S>}, {"fill", 4, fill<S>}});
}

}  // namespace

TEST_CASE("Mask-fill is that of the oracle, in double on the reference") { walk<InDouble>(); }
TEST_CASE("Mask-fill is that of the oracle, in f32 on oneDNN") { walk<InFloat>(); }
