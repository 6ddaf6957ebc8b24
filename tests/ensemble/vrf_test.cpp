/// VRF: the golden table, the laws of methods.md 10, neighbours against brute force, degenerate sets.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "ensemble/small_net.hpp"
#include "radapt/core/random.hpp"
#include "radapt/ensemble/output_pair.hpp"
#include "radapt/ensemble/vrf.hpp"
#include "support/error_text.hpp"
#include "support/golden_family.hpp"
#include "support/progress_text.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::DistanceWeight;
using radapt::FailureSet;
using radapt::FeatureDistance;
using radapt::Index;
using radapt::NeighbourRule;
using radapt::rows_of;
using radapt::Scores;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

template <class T>
std::vector<T> normals(Index n, std::uint64_t seed) {
  radapt::Random random(seed);
  std::vector<T> x(n);
  for (T& value : x) { value = static_cast<T>(random.normal()); }
  return x;
}

/// A training set with its failure set, and test samples.
struct World {
  static constexpr Index samples = 80, tests = 15, width = 6, classes = 4;
  std::vector<double> features = normals<double>(samples * width, 1), tuned = normals<double>(samples * classes, 2);
  std::vector<double> zero_shot = normals<double>(samples * classes, 3);
  std::vector<std::int32_t> labels;
  std::vector<double> test_features = normals<double>(tests * width, 4);
  std::vector<double> test_tuned = normals<double>(tests * classes, 5);
  std::vector<double> test_zero_shot = normals<double>(tests * classes, 6);
  World() {
    radapt::Random random(7);
    for (Index i = 0; i < samples; ++i) {
      labels.push_back(static_cast<std::int32_t>(random.below(classes)));
      tuned[i * classes + static_cast<Index>(labels[i])] += 2;
    }
  }
  FailureSet<double> failures() const {
    return {rows_of(features, width), rows_of(tuned, classes), rows_of(zero_shot, classes), labels};
  }
  radapt::VrfPrediction<double> predict(const radapt::VrfOptions& options) const {
    return radapt::vrf(failures(), rows_of(test_features, width), rows_of(test_tuned, classes),
                       rows_of(test_zero_shot, classes), options);
  }
};
radapt::VrfOptions options() { return {.share = 0.1, .progress = quiet()}; }

template <class T>
void golden(TableCase& c) {
  const Index classes = c.extent("test_tuned_logits", 1), width = c.extent("test_features", 1);
  const auto features = c.read<T>("train_features"), tuned = c.read<T>("train_tuned_logits");
  const auto zero_shot = c.read<T>("train_zero_shot_logits");
  const FailureSet<T> failures(rows_of(features, width), rows_of(tuned, classes), rows_of(zero_shot, classes),
                               c.labels("labels"));
  const auto expected = c.read<std::int64_t>("zero_shot_failures");
  CHECK(std::vector<std::int64_t>(failures.indices().begin(), failures.indices().end()) == expected);
  const double share = c.scalar<double>("share");
  const auto k = static_cast<Index>(c.scalar<std::int64_t>("k"));
  CHECK(failures.neighbour_rank(NeighbourRule::share, share) == k);
  CHECK(failures.neighbour_rank(NeighbourRule::released) == static_cast<Index>(c.scalar<std::int64_t>("k_released")));

  const auto test_features = c.read<T>("test_features"), test_tuned = c.read<T>("test_tuned_logits");
  const auto test_zero_shot = c.read<T>("test_zero_shot_logits");
  radapt::VrfOptions o{.share = share,
                       .weight = {.a = c.scalar<double>("a"), .b = c.scalar<double>("b")},
                       .tuned_temperature = c.scalar<double>("tuned_temperature"),
                       .zero_shot_temperature = c.scalar<double>("zero_shot_temperature"),
                       .progress = quiet()};
  const auto run = [&] {
    return radapt::vrf(failures, rows_of(test_features, width), rows_of(test_tuned, classes),
                       rows_of(test_zero_shot, classes), o);
  };
  const auto got = run();
  CHECK(got.k == k);
  CHECK_FALSE(got.failure_set_is_empty);
  CHECK(table_error(got.distances, c.read<double>("distance_squared")) < bounds<T>::tables);
  CHECK(table_error(got.omega, c.read<double>("omega")) < bounds<T>::tables);
  CHECK(table_error(got.probabilities.values, c.read<double>("mixture")) < bounds<T>::tables);
  const auto prediction = c.read<std::int64_t>("prediction");
  CHECK(std::vector<std::int64_t>(got.classes.begin(), got.classes.end()) == prediction);
  o.weight.form = DistanceWeight::Form::binary;
  CHECK(table_error(run().omega, c.read<double>("omega_binary")) < bounds<T>::tables);
  o.weight.form = DistanceWeight::Form::linear;
  CHECK(table_error(run().omega, c.read<double>("omega_linear")) < bounds<T>::tables);

  const auto constant = radapt::mix_probabilities(0.3, radapt::probabilities(rows_of(test_tuned, classes)),
                                                  radapt::probabilities(rows_of(test_zero_shot, classes)));
  CHECK(table_error(constant.values, c.read<double>("output_ensemble_0.30")) < bounds<T>::tables);
}

}  // namespace

TEST_CASE_TEMPLATE("VRF of the golden table", T, double, float) { walk_family("vrf", golden<T>); }

TEST_CASE(
    "the failure set holds what the fine-tuned model gets right and the zero-shot model wrong, and nothing else") {
  const World w;
  const auto failures = w.failures();
  const auto tuned = radapt::predicted_classes(rows_of(w.tuned, World::classes));
  const auto zero_shot = radapt::predicted_classes(rows_of(w.zero_shot, World::classes));
  const std::set<Index> members(failures.indices().begin(), failures.indices().end());
  CHECK(failures.size() > 10);
  CHECK(failures.samples() == World::samples);
  for (Index i = 0; i < World::samples; ++i) {
    CHECK(members.contains(i) == (tuned[i] == w.labels[i] && zero_shot[i] != w.labels[i]));
  }
  for (Index i = 0; i < failures.size(); ++i) {
    const auto* row = failures.rows().data() + i * World::width;
    CHECK(std::abs(std::inner_product(row, row + World::width, row, 0.0) - 1) < 1e-15);
  }
  const FailureSet<double> again(failures.rows(), failures.width(), failures.indices(), failures.samples());
  CHECK(normalised_error(again.rows(), failures.rows()) < 1e-15);
  CHECK(again.distances(rows_of(w.test_features, World::width), 2, FeatureDistance::squared_l2, quiet()).size() ==
        World::tests);
}

TEST_CASE("the number of neighbours is at least one and at most the size") {
  const auto set = [](Index size, Index samples) {
    std::vector<Index> indices(size);
    std::iota(indices.begin(), indices.end(), Index{0});
    return FailureSet<float>(std::vector<float>(size, 1.0f), 1, std::move(indices), samples);
  };
  CHECK(set(3, 100).neighbour_rank() == 1);       // floor(0.003) is none
  CHECK(set(2999, 10000).neighbour_rank() == 2);  // floor(2.999)
  CHECK(set(10, 20).neighbour_rank(NeighbourRule::share, 1.0) == 10);
  CHECK(set(10, 20).neighbour_rank(NeighbourRule::released) == 10);   // 500, more than there are
  CHECK(set(10, 4000).neighbour_rank(NeighbourRule::released) == 2);  // 2.5, half to even
  CHECK(set(14, 4000).neighbour_rank(NeighbourRule::released) == 4);  // 3.5
  CHECK(set(1, 4000).neighbour_rank(NeighbourRule::released) == 1);   // 0.25
}

TEST_CASE("distances are 2 - 2 cos to the k-th neighbour, across blocks of rows") {
  // 20000 rows of doubles leave room for 209 queries at once, so that 300 make two blocks.
  constexpr Index size = 20000, queries = 300, width = 3;
  const auto rows = normals<double>(size * width, 1), test = normals<double>(queries * width, 2);
  std::vector<Index> indices(size);
  std::iota(indices.begin(), indices.end(), Index{0});
  const FailureSet<double> failures(rows, width, indices, size);
  Shown shown;
  const auto unit = [](const double* x) {
    const double norm = std::sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
    return std::array{x[0] / norm, x[1] / norm, x[2] / norm};
  };
  std::vector<std::vector<double>> sorted;
  for (const Index q : {Index{0}, Index{208}, Index{209}, Index{299}}) {
    std::vector<double> all;
    const auto v = unit(test.data() + q * width);
    for (Index i = 0; i < size; ++i) {
      const auto u = unit(rows.data() + i * width);
      all.push_back(2 - 2 * (u[0] * v[0] + u[1] * v[1] + u[2] * v[2]));
    }
    std::sort(all.begin(), all.end());
    sorted.push_back(std::move(all));
  }
  for (const Index k : {Index{1}, Index{20}, size}) {
    CAPTURE(k);
    const auto squared = failures.distances(rows_of(test, width), k, FeatureDistance::squared_l2, shown.options());
    const auto plain = failures.distances(rows_of(test, width), k, FeatureDistance::l2, quiet());
    Index at = 0;
    for (const Index q : {Index{0}, Index{208}, Index{209}, Index{299}}) {
      CHECK(std::abs(squared[q] - sorted[at++][k - 1]) < 1e-14);  // 2 - 2 cos takes the difference of numbers near one
      CHECK(plain[q] == std::sqrt(squared[q]));
    }
  }
  CHECK(shown.text.find("distances 100% 300/300") != std::string::npos);
  // A member is its own nearest neighbour; rounding may not make the distance negative.
  for (const double d : failures.distances(rows_of(std::vector<double>(rows.begin(), rows.begin() + 30), width), 1,
                                           FeatureDistance::squared_l2, quiet())) {
    CHECK(d >= 0);
    CHECK(d < 1e-15);
  }
}

TEST_CASE_TEMPLATE("distances on a backend are those of the call without one", T, double, float) {
  // More rows than a launch is given at once.
  constexpr Index size = 50, queries = 4100, width = 6;
  const auto rows = normals<T>(size * width, 1), test = normals<T>(queries * width, 2);
  std::vector<Index> indices(size);
  std::iota(indices.begin(), indices.end(), Index{0});
  const FailureSet<T> failures(rows, width, indices, size);
  radapt::Context<radapt::reference> context;
  // Cosines of six products in another order.
  const double tolerance = std::is_same_v<T, float> ? 1e-6 : 2e-15;
  for (const FeatureDistance distance : {FeatureDistance::squared_l2, FeatureDistance::l2}) {
    const auto expected = failures.distances(rows_of(test, width), 7, distance, quiet());
    Shown shown;
    const auto got = failures.distances(context, rows_of(test, width), 7, distance, shown.options());
    CHECK(normalised_error(got, expected) < tolerance);
    CHECK(shown.text.find("distances 100% 4100/4100") != std::string::npos);
  }
  CHECK(failures.distances(context, rows_of(std::vector<T>{}, width), 7, FeatureDistance::l2, quiet()).empty());
  const auto of = [&](Index k, Index columns) {
    return [&, k, columns] {
      failures.distances(context, rows_of(test, columns), k, FeatureDistance::squared_l2, quiet());
    };
  };
  CHECK(fails_with("from 1 to 50", of(0, width)));
  CHECK(fails_with("from 1 to 50", of(51, width)));
  CHECK(fails_with("rows of width 6", of(1, 4)));
  CHECK(fails_with("finite length above 0", [&] {
    failures.distances(context, rows_of(std::vector<T>(width), width), 1, FeatureDistance::l2, quiet());
  }));
}

TEST_CASE("VRF on a backend is VRF") {
  const World w;
  const auto o = options();
  const auto expected = w.predict(o);
  radapt::Context<radapt::reference> context;
  const auto got = radapt::VariancePair<radapt::Weights<SmallNet, double>, SmallNet>::predict(
      context, w.failures(), rows_of(w.test_features, World::width), rows_of(w.test_tuned, World::classes),
      rows_of(w.test_zero_shot, World::classes), o);
  CHECK(got.k == expected.k);
  CHECK(normalised_error(got.distances, expected.distances) < 1e-14);
  CHECK(normalised_error(got.omega, expected.omega) < 1e-14);
  CHECK(normalised_error(got.probabilities.values, expected.probabilities.values) < 1e-14);
  CHECK(got.classes == expected.classes);
}

TEST_CASE("omega is one half at a, never rises, and stays in 0 .. 1") {
  using Form = DistanceWeight::Form;
  CHECK(DistanceWeight{}(1.5) == 0.5);
  CHECK(std::abs(DistanceWeight{}(0.40) - 0.86) < 0.005);  // the published range on ImageNet, methods.md 3.3
  CHECK(std::abs(DistanceWeight{}(1.63) - 0.45) < 0.005);
  for (const Form form : {Form::sigmoid, Form::binary, Form::linear}) {
    const DistanceWeight weight{.form = form, .a = 1.2, .b = 0.4};
    double before = 1;
    for (double d = 0; d <= 4; d += 0.05) {
      const double omega = weight(d);
      CHECK(omega <= before);
      CHECK(omega >= 0);
      before = omega;
    }
    CHECK(before < 0.01);
  }
}

TEST_CASE("an infinite a is one of the two models alone, and every mixture adds up to one") {
  const World w;
  const auto p = radapt::probabilities(rows_of(w.test_tuned, World::classes), 1.3);
  const auto q = radapt::probabilities(rows_of(w.test_zero_shot, World::classes), 0.8);
  auto o = options();
  o.tuned_temperature = 1.3;
  o.zero_shot_temperature = 0.8;
  for (const radapt::Mixing mixing : {radapt::Mixing::probabilities, radapt::Mixing::logits}) {
    CAPTURE(static_cast<int>(mixing));
    o.mixing = mixing;
    o.weight.a = inf;
    CHECK(normalised_error(w.predict(o).probabilities.values, p.values) < 1e-15);
    o.weight.a = -inf;
    CHECK(normalised_error(w.predict(o).probabilities.values, q.values) < 1e-15);
    o.weight.a = 1.0;
    const auto mixed = w.predict(o);
    for (Index i = 0; i < World::tests; ++i) {
      const auto row = mixed.probabilities.row(i);
      CHECK(std::abs(std::accumulate(row.begin(), row.end(), 0.0) - 1) < 1e-15);
      CHECK(mixed.classes[i] == static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    }
  }
  // Mixed logits, by their formula.
  const auto mixed = w.predict(o);
  std::vector<double> z(World::classes);
  for (Index i = 0; i < World::tests; ++i) {
    for (Index c = 0; c < World::classes; ++c) {
      const Index at = i * World::classes + c;
      z[c] = mixed.omega[i] * w.test_tuned[at] / 1.3 + (1 - mixed.omega[i]) * w.test_zero_shot[at] / 0.8;
    }
    const auto expected = radapt::probabilities(rows_of(z, World::classes));
    CHECK(normalised_error(mixed.probabilities.row(i).data(), expected.values.data(), World::classes) < 1e-14);
  }
}

TEST_CASE("the projection of labels comes before the softmax of both models") {
  const World w;
  const auto projection = [](std::span<const double> row) { return std::array{row[2], std::max(row[0], row[3])}; };
  const auto o = options();
  const auto projected =
      radapt::vrf(w.failures(), rows_of(w.test_features, World::width), rows_of(w.test_tuned, World::classes),
                  rows_of(w.test_zero_shot, World::classes), o, projection);
  const auto before = radapt::vrf(w.failures(), rows_of(w.test_features, World::width),
                                  radapt::project_labels(rows_of(w.test_tuned, World::classes), projection),
                                  radapt::project_labels(rows_of(w.test_zero_shot, World::classes), projection), o);
  CHECK(projected.probabilities.width == 2);
  CHECK(projected.probabilities.values == before.probabilities.values);
  CHECK(projected.omega == w.predict(o).omega);  // distances know nothing of labels
}

TEST_CASE("an empty failure set needs a constant omega, and the result says so") {
  World w;
  w.zero_shot = w.tuned;  // whatever the one gets right, the other does
  CHECK(w.failures().empty());
  auto o = options();
  CHECK(fails_with("omega_if_empty", [&] { w.predict(o); }));
  o.omega_if_empty = 0.3;
  const auto got = w.predict(o);
  CHECK(got.failure_set_is_empty);
  CHECK(got.k == 0);
  CHECK(got.distances.empty());
  CHECK(got.omega == std::vector<double>(World::tests, 0.3));
  const auto expected = radapt::mix_probabilities(0.3, radapt::probabilities(rows_of(w.test_tuned, World::classes)),
                                                  radapt::probabilities(rows_of(w.test_zero_shot, World::classes)));
  CHECK(normalised_error(got.probabilities.values, expected.values) < 1e-15);
  o.omega_if_empty = 1.2;
  CHECK(fails_with("omega_if_empty", [&] { w.predict(o); }));
}

TEST_CASE("bad input of VRF is told apart") {
  const World w;
  const auto failures = w.failures();
  const auto with = [&](auto&& change) {
    auto o = options();
    change(o);
    return error_of([&] { w.predict(o); });
  };
  CHECK(with([](auto&) {}).empty());
  CHECK(with([](auto& o) { o.k = 0; }).find("neighbour k") != std::string::npos);
  CHECK(with([](auto& o) { o.k = 1000; }).empty());  // as many as there are (methods.md 3.2)
  CHECK(with([](auto& o) { o.share = -1; }).find("share") != std::string::npos);
  CHECK(with([](auto& o) { o.share = std::nan(""); }).find("share") != std::string::npos);
  CHECK(with([](auto& o) { o.weight.a = std::nan(""); }).find("weight.a") != std::string::npos);
  CHECK(with([](auto& o) { o.weight.b = 0; }).find("weight.b") != std::string::npos);
  CHECK(with([](auto& o) { o.tuned_temperature = 0; }).find("temperature") != std::string::npos);

  const auto test = rows_of(w.test_tuned, World::classes), other = rows_of(w.test_zero_shot, World::classes);
  const auto features = rows_of(w.test_features, World::width);
  const std::vector<double> narrow(World::tests * 5, 1.0), fewer(World::width, 1.0);
  CHECK(fails_with("width 6", [&] { radapt::vrf(failures, rows_of(narrow, 5), test, other, options()); }));
  CHECK(fails_with("rows of features",
                   [&] { radapt::vrf(failures, rows_of(fewer, World::width), test, other, options()); }));
  CHECK(
      fails_with("one shape", [&] { radapt::vrf(failures, features, test, rows_of(w.test_zero_shot, 2), options()); }));
  std::vector<double> still = w.test_features;
  std::fill_n(still.begin() + 3 * World::width, World::width, 0.0);
  CHECK(fails_with("row 3", [&] { radapt::vrf(failures, rows_of(still, World::width), test, other, options()); }));

  const auto make = [&](const World& v) { return error_of([&] { v.failures(); }); };
  World broken;
  broken.labels[4] = 9;
  CHECK(make(broken).find("0 to 3") != std::string::npos);
  broken = World();
  broken.labels.pop_back();
  CHECK(make(broken).find("80 labels") != std::string::npos);
  broken = World();
  broken.tuned[7] = std::nan("");
  CHECK(make(broken).find("fine-tuned logits, row 1") != std::string::npos);
  broken = World();
  broken.features[0] = inf;
  CHECK(make(broken).find("row 0") != std::string::npos);
  CHECK(fails_with("failure set", [] { FailureSet<float>({1, 2}, 2, {0, 1}, 5); }));
}
