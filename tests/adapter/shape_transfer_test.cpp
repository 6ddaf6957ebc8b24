/// EXPERIMENTAL: transfer of adapters between CLIPs of different widths.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/transfer_between_shapes.hpp"
#include "support/error_text.hpp"
#include "support/progress_text.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::RankRule;
using radapt::detail::EigenMatrix;
using radapt::experimental::transfer_adapters_between_shapes;

namespace {

template <Index Width, Index Layers = 2>
struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{Width, 2, Layers, 2 * Width}, text{12, 2, 1, 20};
};
template <class Arch, class Policy = radapt::NoAdapter>
using Weights = radapt::Weights<radapt::Clip<Arch, Policy>, double>;
using Narrow = Tiny<16>;
using Wide = Tiny<24>;
using LowRank = radapt::RAdapter<radapt::low_rank<2>>;
using Full = radapt::RAdapter<>;

template <class W>
W drawn(std::uint64_t seed) {
  W weights;
  radapt::Random random(seed);
  for (auto& x : weights.buffer()) { x = 0.3 * random.normal(); }
  return weights;
}
template <class Policy>
Weights<Narrow> base_of(const Weights<Narrow, Policy>& adapted) {
  Weights<Narrow> plain;
  radapt::copy_by_name(plain, adapted);
  return plain;
}
template <class W>
auto tensors(W& weights) {
  return radapt::detail::leaves_by_name(weights.tensors());
}
double error(const auto& got, const auto& expected) {
  double worst = 0;
  for (Index i = 0; i < got.buffer().size(); ++i) {
    worst = std::max(worst, std::abs(got.buffer()[i] - expected.buffer()[i]));
  }
  return worst;
}
radapt::experimental::ShapeTransferOptions options(RankRule rank) {
  return {.rank = rank, .progress = {.mode = radapt::ProgressOptions::Mode::quiet}};
}
/// The small model in the upper left corner of a wide one whose other hosts' elements are zero.
Weights<Wide> padded(const Weights<Narrow>& narrow) {
  Weights<Wide> wide = drawn<Weights<Wide>>(5);
  const auto from = tensors(narrow);
  for (const auto& [name, to] : tensors(wide)) {
    const bool host = name.find("out_proj") != std::string::npos || name.find("c_proj") != std::string::npos;
    if (!host) { continue; }
    const auto& leaf = from.at(name);
    for (Index i = 0; i < to.rows; ++i) {
      for (Index j = 0; j < to.columns; ++j) {
        const bool inside = i < leaf.rows && j < leaf.columns;
        to.data[i * to.columns + j] = inside ? leaf.data[i * leaf.columns + j] : 0.0;
      }
    }
  }
  return wide;
}

// Numbers near one through decompositions that are orthogonal to 1e-15, whose columns' signs and order are fixed.
constexpr double exact = 1e-12;

}  // namespace

TEST_CASE_TEMPLATE("a transfer to the own base is the merge where all of the weight is leading", Policy, LowRank,
                   Full) {
  const auto adapted = drawn<Weights<Narrow, Policy>>(1);
  const auto base = base_of<Policy>(adapted);
  for (const double alpha : {0.5, 1.0}) {
    CAPTURE(alpha);
    // dW = alpha F W never leaves the row space of W, and the left space is everything: nothing is lost.
    const auto moved = transfer_adapters_between_shapes(alpha, adapted, base, options(RankRule::tolerance(1e-12)));
    CHECK(error(moved.weights, radapt::merge(alpha, adapted)) < exact);
    CHECK(error(moved.weights, base) > 0.05);  // 0.08 and 0.16: something was moved
    REQUIRE(moved.modules.size() == 6);
    for (const auto& m : moved.modules) { CHECK(m.retained == doctest::Approx(1).epsilon(1e-12)); }
  }
  const auto none = transfer_adapters_between_shapes(0.0, adapted, base, options(RankRule::energy(0.9)));
  CHECK(std::equal(none.weights.buffer().begin(), none.weights.buffer().end(), base.buffer().begin()));
}

TEST_CASE("between equal shapes and to the own base it is the parallel part of the published transfer") {
  const auto adapted = drawn<Weights<Narrow, LowRank>>(1);
  const auto base = base_of<LowRank>(adapted);
  const RankRule rank = RankRule::energy(0.8);
  const auto moved = transfer_adapters_between_shapes(1.0, adapted, base, options(rank));
  const auto before = tensors(base), after = tensors(moved.weights);
  for (const auto& update : radapt::detail::host_updates(1.0, adapted)) {
    CAPTURE(update.rows.name);
    const auto weight = before.at(update.rows.host + ".weight");
    const auto spaces = radapt::leading_subspaces(weight, rank);
    const EigenMatrix change = radapt::dense(update.compute().factors);
    const EigenMatrix expected = radapt::parallel_part(change, spaces);
    const auto to = after.at(update.rows.host + ".weight");
    double worst = 0;
    for (Index i = 0; i < to.size(); ++i) {
      worst = std::max(worst, std::abs(to.data[i] - weight.data[i] - expected.data()[i]));
    }
    CHECK(worst < exact);
    const auto found = std::find_if(moved.modules.begin(), moved.modules.end(),
                                    [&](const auto& m) { return m.host == update.rows.name; });
    REQUIRE(found != moved.modules.end());
    CHECK(found->retained == doctest::Approx(expected.squaredNorm() / change.squaredNorm()).epsilon(1e-12));
    CHECK(found->retained < 0.999);
    CHECK(found->source_rank == found->target_rank);
  }
}

TEST_CASE_TEMPLATE("a wider copy of the base with nothing in its new units gets the same update in the old ones",
                   Policy, LowRank, Full) {
  const auto adapted = drawn<Weights<Narrow, Policy>>(1);
  const auto base = base_of<Policy>(adapted);
  const Weights<Wide> wide = padded(base);
  const auto narrow = transfer_adapters_between_shapes(0.7, adapted, base, options(RankRule::energy(0.8)));
  const auto moved = transfer_adapters_between_shapes(0.7, adapted, wide, options(RankRule::energy(0.8)));
  const auto got = tensors(moved.weights), start = tensors(wide), small = tensors(narrow.weights), own = tensors(base);
  for (const auto& [name, to] : got) {
    const std::string tensor = name;  // a binding cannot be captured
    CAPTURE(tensor);
    const bool host = name.find("out_proj") != std::string::npos || name.find("c_proj") != std::string::npos;
    double worst = 0;
    for (Index i = 0; i < to.rows; ++i) {
      for (Index j = 0; j < to.columns; ++j) {
        double update = 0;
        if (host && i < small.at(name).rows && j < small.at(name).columns) {
          const Index at = i * small.at(name).columns + j;
          update = small.at(name).data[at] - own.at(name).data[at];
        }
        const Index at = i * to.columns + j;
        worst = std::max(worst, std::abs(to.data[at] - start.at(name).data[at] - update));
      }
    }
    CHECK(worst < exact);
  }
  for (Index i = 0; i < moved.modules.size(); ++i) {
    CHECK(moved.modules[i].retained == doctest::Approx(narrow.modules[i].retained).epsilon(1e-12));
  }
}

TEST_CASE("what was moved is told, and what cannot be is refused") {
  const auto adapted = drawn<Weights<Narrow, LowRank>>(1);
  const auto wide = drawn<Weights<Wide>>(2);
  auto o = options(RankRule::energy(0.8));
  Shown shown;
  o.progress = shown.options();
  const auto moved = transfer_adapters_between_shapes(1.0, adapted, wide, o);
  CHECK(shown.text.find("transfer 100% 6/6") != std::string::npos);
  const std::string table = radapt::experimental::describe(moved.modules);
  CHECK(std::count(table.begin(), table.end(), '\n') == 7);
  CHECK(table.find("visual.transformer.resblocks.1.mlp.c_proj") != std::string::npos);
  using Deep = Weights<Tiny<24, 1>>;
  CHECK(fails_with("Towers must have as many layers", [&] {
    transfer_adapters_between_shapes(1.0, adapted, drawn<Deep>(2), options(RankRule::energy(0.8)));
  }));
  CHECK(fails_with(
      "alpha", [&] { transfer_adapters_between_shapes(std::nan(""), adapted, wide, options(RankRule::energy(0.8))); }));
  CHECK(fails_with("Choose it", [&] { transfer_adapters_between_shapes(1.0, adapted, wide, options(RankRule{})); }));
}
