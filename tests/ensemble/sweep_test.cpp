/// Curves over alpha: exact ends, both kinds of weights, and the best point.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/ensemble/sweep.hpp"
#include "radapt/io/load.hpp"
#include "support/error_text.hpp"
#include "support/progress_text.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 1, 64};
};
using Plain = radapt::Weights<radapt::Clip<Tiny>>;
using Adapted = radapt::Weights<radapt::Clip<Tiny, radapt::RAdapter<radapt::low_rank<2>>>>;
using Head = radapt::Weights<radapt::Linear<3, radapt::dynamic, radapt::role::head>>;

template <class W>
W drawn(W weights, std::uint64_t seed) {
  radapt::Random random(seed);
  radapt::each(
      [&](auto& leaf) { std::generate_n(leaf.data, leaf.size(), [&] { return static_cast<float>(random.normal()); }); },
      weights.tree());
  return weights;
}
bool same_bits(const auto& a, const auto& b) {
  return a.buffer().size() == b.buffer().size() && std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin());
}

}  // namespace

TEST_CASE("a grid has both ends exactly") {
  const auto grid = radapt::alpha_grid();
  REQUIRE(grid.size() == 21);
  CHECK(grid.front() == 0.0);
  CHECK(grid.back() == 1.0);
  CHECK(grid[1] == 0.05);
  CHECK(grid[10] == 0.5);
  CHECK(radapt::alpha_grid(1) == std::vector<double>{0.0, 1.0});
}

TEST_CASE("a curve over two weights passes every alpha once, in order, with the ends bit for bit") {
  const auto a = drawn(Head(2), 1), b = drawn(Head(2), 2);
  Shown shown;
  std::vector<Head> seen;
  const auto curve = radapt::alpha_sweep(
      {0.0, 0.25, 1.0, 0.5}, a, b,
      [&](const Head& w) {
        seen.push_back(w);
        return seen.size();
      },
      shown.options());
  REQUIRE(curve.size() == 4);
  for (Index i = 0; i < 4; ++i) {
    CHECK(curve[i].value == i + 1);
    CHECK(same_bits(seen[i], radapt::interpolate(curve[i].alpha, a, b)));
  }
  CHECK(same_bits(seen[0], a));
  CHECK(same_bits(seen[2], b));
  CHECK(shown.text.find("alpha 100% 4/4") != std::string::npos);
}

TEST_CASE("a curve over rescaled merges begins at the plain model bit for bit") {
  Plain plain;
  radapt::initialise_clip(plain, 1);
  const Adapted start = radapt::with_adapters<radapt::RAdapter<radapt::low_rank<2>>>(plain);
  Adapted adapted = drawn(start, 3);
  radapt::copy_by_name(adapted, plain);
  std::vector<Plain> seen;
  radapt::alpha_sweep(
      radapt::alpha_grid(2), adapted,
      [&](const Plain& w) {
        seen.push_back(w);
        return 0;
      },
      quiet());
  REQUIRE(seen.size() == 3);
  CHECK(same_bits(seen[0], plain));
  CHECK(same_bits(seen[1], radapt::merge(0.5, adapted)));
  CHECK(same_bits(seen[2], radapt::merge(1.0, adapted)));
  CHECK_FALSE(same_bits(seen[2], plain));
}

TEST_CASE("the best point is the first of the largest") {
  const auto curve = radapt::sweep(
      radapt::alpha_grid(4), [](double alpha) { return alpha * (1 - alpha) > 0.18 ? 1.0 : alpha; }, quiet());
  CHECK(radapt::best_point(curve).alpha == 0.25);
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  CHECK(
      radapt::best_point(std::vector<radapt::CurvePoint<double>>{{0, none}, {0.5, 0.9}, {0.7, none}, {1, 0.8}}).alpha ==
      0.5);
  struct Scores {
    double id, ood;
  };
  const auto both = radapt::sweep(
      {0.5},
      [](double alpha) {
        return Scores{alpha, 1 - alpha};
      },
      quiet());
  CHECK(both.front().value.ood == 0.5);
}

TEST_CASE("bad alphas are found before anything runs") {
  Index calls = 0;
  const auto f = [&](double) { return ++calls; };
  CHECK(fails_with("alpha", [&] { radapt::sweep({0.0, std::numeric_limits<double>::quiet_NaN()}, f, quiet()); }));
  CHECK(fails_with("at least one alpha", [&] { radapt::sweep({}, f, quiet()); }));
  CHECK(fails_with("interval", [] { radapt::alpha_grid(0); }));
  CHECK(fails_with("a number", [] {
    radapt::best_point(std::vector<radapt::CurvePoint<double>>{{0, std::numeric_limits<double>::quiet_NaN()}});
  }));
  CHECK(fails_with("points", [] { radapt::best_point(std::vector<radapt::CurvePoint<double>>{}); }));
  CHECK(calls == 0);
}
