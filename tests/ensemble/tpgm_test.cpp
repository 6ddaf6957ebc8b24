/// TPGM: the projection by its formula, its derivative, and radii that are learned.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ensemble/small_net.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/ensemble/tpgm.hpp"
#include "radapt/test/central_difference.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::UpdateNorm;

namespace {

using Projection = radapt::TpgmProjection<SmallWeights>;
constexpr UpdateNorm norms[] = {UpdateNorm::l2, UpdateNorm::mars};

/// The tensors of SmallNet in order: extents as (rows, columns); a vector has one column.
constexpr Index shapes[4][2] = {{6, 4}, {6, 1}, {small_classes, 6}, {small_classes, 1}};

/// Every tensor as its elements.
std::vector<std::vector<double>> tensors_of(const SmallWeights& w) {
  std::vector<std::vector<double>> all;
  radapt::each([&](const auto& leaf) { all.emplace_back(leaf.data, leaf.data + leaf.size()); }, w.tree());
  return all;
}

/// The projection as methods.md 7.14 writes it.
std::vector<double> formula(const std::vector<double>& anchor, const std::vector<double>& tuned,
                            const Index (&shape)[2], double radius, UpdateNorm norm) {
  std::vector<double> out(anchor.size());
  const Index rows = norm == UpdateNorm::l2 ? 1 : shape[0], width = anchor.size() / rows;
  for (Index r = 0; r < rows; ++r) {
    double size = 0;
    for (Index i = r * width; i < (r + 1) * width; ++i) {
      size += norm == UpdateNorm::l2 ? std::pow(tuned[i] - anchor[i], 2) : std::abs(tuned[i] - anchor[i]);
    }
    if (norm == UpdateNorm::l2) { size = std::sqrt(size); }
    const double ratio = std::min(1.0, std::max(0.0, radius / (size + 1e-8)));
    for (Index i = r * width; i < (r + 1) * width; ++i) { out[i] = anchor[i] + ratio * (tuned[i] - anchor[i]); }
  }
  return out;
}

}  // namespace

TEST_CASE("the projection is its formula, for both norms") {
  const auto anchor = small_net(1), tuned = moved(anchor, 2, 0.3);
  const auto a = tensors_of(anchor), b = tensors_of(tuned);
  for (const UpdateNorm norm : norms) {
    CAPTURE(static_cast<int>(norm));
    const Projection projection(anchor, tuned, norm);
    REQUIRE(projection.tensors() == 4);
    CHECK(projection.tensor(2) == "head.weight");
    for (const double share : {0.2, 0.7, 1.0}) {
      std::vector<double> radii;
      for (Index j = 0; j < 4; ++j) { radii.push_back(share * projection.largest_norm(j)); }
      const auto got = tensors_of(projection.project(radii));
      for (Index j = 0; j < 4; ++j) {
        CAPTURE(j);
        // At a radius equal to the norm the formula keeps 1e-8 / norm away from the tuned value; the code does not.
        CHECK(normalised_error(got[j], formula(a[j], b[j], shapes[j], radii[j], norm)) < (share == 1.0 ? 1e-7 : 1e-14));
      }
    }
  }
}

TEST_CASE("a radius of the norm is the identity, one of zero the anchor, bit for bit") {
  const auto anchor = small_net(1), tuned = moved(anchor, 2, 0.3);
  for (const UpdateNorm norm : norms) {
    const Projection projection(anchor, tuned, norm);
    std::vector<double> at_norm, zero(4, 0.0), beyond(4, 1e3);
    for (Index j = 0; j < 4; ++j) { at_norm.push_back(projection.largest_norm(j)); }
    CHECK(same_bits(projection.project(at_norm), tuned));
    CHECK(same_bits(projection.project(beyond), tuned));
    CHECK(same_bits(projection.project(zero), anchor));
    // One tensor alone.
    std::vector<double> one = beyond;
    one[1] = 0;
    const auto mixed = tensors_of(projection.project(one));
    CHECK(mixed[1] == tensors_of(anchor)[1]);
    CHECK(mixed[0] == tensors_of(tuned)[0]);
  }
}

TEST_CASE("with one norm for all, TPGM is an interpolation") {
  // Every radius 0.4 of its own norm: L2 moves all tensors by one ratio, up to the formula's 1e-8.
  const auto anchor = small_net(1), tuned = moved(anchor, 2, 0.3);
  const Projection projection(anchor, tuned, UpdateNorm::l2);
  std::vector<double> radii;
  for (Index j = 0; j < 4; ++j) { radii.push_back(0.4 * projection.largest_norm(j)); }
  const auto expected = radapt::interpolate(0.4, anchor, tuned);
  CHECK(normalised_error(projection.project(radii).buffer().begin(), expected.buffer().begin(),
                         expected.buffer().size()) < 1e-7);
}

TEST_CASE("the derivative by the radii is that of central differences") {
  const auto anchor = small_net(1), tuned = moved(anchor, 2, 0.3);
  const SmallData data(9);
  SmallHeldOut loss(small_classes, {.batch = 9});
  for (const UpdateNorm norm : norms) {
    CAPTURE(static_cast<int>(norm));
    const Projection projection(anchor, tuned, norm);
    std::vector<double> radii;
    // Between the norms of the rows, so that some rows are inside and some outside.
    for (Index j = 0; j < 4; ++j) {
      radii.push_back(0.5 * (projection.smallest_norm(j) + projection.largest_norm(j)) *
                      (norm == UpdateNorm::l2 ? 0.6 : 1));
    }
    SmallWeights gradient(small_classes);
    loss(projection.project(radii), data.batch(), gradient);
    const auto computed = projection.gradient(radii, gradient);
    for (Index j = 0; j < 4; ++j) {
      CAPTURE(j);
      CHECK(std::abs(computed[j]) > 1e-6);
      const double first = radii[j];
      const auto derivative = radapt::test::central_difference(1e-4, [&](double t) {
        radii[j] = first + t;
        SmallWeights unused(small_classes);
        radapt::test::Sum sum;
        sum.add(loss(projection.project(radii), data.batch(), unused));
        return sum;
      });
      radii[j] = first;
      CHECK(std::abs(computed[j] - derivative.value) < 1e-11 + derivative.rounding);
    }
    std::vector<double> beyond(4, 1e3);
    for (const double d : projection.gradient(beyond, gradient)) { CHECK(d == 0); }
  }
}

TEST_CASE("learned radii lower the held-out loss and end where the data wants them") {
  const auto anchor = small_net(1), tuned = moved(anchor, 2, 1.5);
  const SmallData data(30);
  SmallHeldOut loss(small_classes, {.batch = 30});
  Index calls = 0;
  const auto held_out = [&](const SmallWeights& w, SmallWeights& gradient) {
    ++calls;
    return loss(w, data.batch(), gradient);
  };
  for (const UpdateNorm norm : norms) {
    CAPTURE(static_cast<int>(norm));
    const Projection projection(anchor, tuned, norm);
    Shown shown;
    calls = 0;
    const auto result = radapt::tpgm(anchor, tuned, held_out, {.norm = norm, .progress = shown.options()});
    CHECK(calls == 200);
    CHECK(result.losses.size() == 200);
    CHECK(result.losses.back() < result.losses.front());
    std::vector<double> radii;
    for (Index j = 0; j < 4; ++j) {
      CAPTURE(j);
      CHECK(result.tensors[j].name == projection.tensor(j));
      CHECK(result.tensors[j].norm == projection.largest_norm(j));
      CHECK(result.tensors[j].radius >= 1e-8);
      CHECK(result.tensors[j].radius <= projection.largest_norm(j));
      radii.push_back(result.tensors[j].radius);
    }
    CHECK(same_bits(result.weights, projection.project(radii)));
    CHECK(shown.text.find("tpgm 100% 200/200") != std::string::npos);

    // At first half the smallest norm; one step of Adam is the rate, against the gradient.
    std::vector<double> start;
    for (Index j = 0; j < 4; ++j) { start.push_back(projection.smallest_norm(j) / 2); }
    SmallWeights gradient(small_classes);
    held_out(projection.project(start), gradient);
    const auto d = projection.gradient(start, gradient);
    const auto first = radapt::tpgm(anchor, tuned, held_out, {.norm = norm, .iterations = 1, .progress = quiet()});
    for (Index j = 0; j < 4; ++j) {
      CAPTURE(j);
      const double expected = std::max(1e-8, start[j] - 1e-2 * d[j] / (std::abs(d[j]) + 1e-8));
      CHECK(std::abs(first.tensors[j].radius - expected) < 1e-12);
    }
  }
}

TEST_CASE("excluded tensors stay tuned, unchanged ones stay what they are") {
  const auto anchor = small_net(1);
  auto tuned = moved(anchor, 2, 0.5);
  std::copy_n(radapt::child<"layer">(anchor.tree()).bias.data, 6, radapt::child<"layer">(tuned.tree()).bias.data);
  const SmallData data(10);
  SmallHeldOut loss(small_classes, {.batch = 10});
  const auto held_out = [&](const SmallWeights& w, SmallWeights& g) { return loss(w, data.batch(), g); };
  const auto result = radapt::tpgm(anchor, tuned, held_out,
                                   {.iterations = 20, .excluded = {"head.weight", "head.bias"}, .progress = quiet()});
  const auto got = tensors_of(result.weights), as_tuned = tensors_of(tuned);
  CHECK(got[2] == as_tuned[2]);
  CHECK(got[3] == as_tuned[3]);
  CHECK(got[1] == as_tuned[1]);
  CHECK(got[0] != as_tuned[0]);
}

TEST_CASE("bad input of TPGM is told apart") {
  const auto anchor = small_net(1), tuned = moved(anchor, 2, 0.5);
  const SmallWeights more(small_classes + 1);
  const auto zero = [](const SmallWeights&, SmallWeights&) { return 0.0; };
  const auto nan = [](const SmallWeights&, SmallWeights&) { return std::numeric_limits<double>::quiet_NaN(); };
  CHECK(fails_with("classes", [&] { radapt::tpgm(anchor, more, zero, {.progress = quiet()}); }));
  CHECK(fails_with("iteration 0", [&] { radapt::tpgm(anchor, tuned, nan, {.progress = quiet()}); }));
  CHECK(fails_with("'head'", [&] { radapt::tpgm(anchor, tuned, zero, {.excluded = {"head"}, .progress = quiet()}); }));
  const Projection projection(anchor, tuned, UpdateNorm::l2);
  CHECK(fails_with("4 radii", [&] { projection.project({1, 1, 1}); }));
  CHECK(fails_with("'layer.bias'", [&] { projection.project({1, -1, 1, 1}); }));
  CHECK(fails_with("'head.bias'", [&] { projection.project({1, 1, 1, std::nan("")}); }));
  auto broken = moved(tuned, 3, 0.1);
  radapt::child<"layer">(broken.tree()).weight.data[0] = std::nan("");
  CHECK(fails_with("'layer.weight'", [&] { Projection(anchor, broken, UpdateNorm::mars); }));
}
