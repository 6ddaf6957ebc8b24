/// ProLoRA: the golden table, the laws of methods.md 10, effective ranks, matching of modules.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "radapt/adapter/matching.hpp"
#include "radapt/adapter/transfer.hpp"
#include "radapt/core/random.hpp"
#include "support/error_text.hpp"
#include "support/golden_family.hpp"
#include "support/progress_text.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::LowRankUpdate;
using radapt::RankRule;
using radapt::Subspaces;
using Dense = radapt::detail::EigenMatrix;
using Algebra = radapt::detail::SpaceAlgebra<double>;

namespace {

radapt::Matrix<const double> view(const Dense& m) {
  return {m.data(), static_cast<Index>(m.rows()), static_cast<Index>(m.cols())};
}
Dense normal(Eigen::Index rows, Eigen::Index columns, std::uint64_t seed) {
  radapt::Random random(seed);
  Dense m(rows, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i) { m.data()[i] = random.normal(); }
  return m;
}
/// A weight of rank `rank` plus noise in all directions.
Dense weight(Eigen::Index rows, Eigen::Index columns, Eigen::Index rank, std::uint64_t seed, double noise = 0.05) {
  Dense w = Algebra::product(normal(rows, rank, seed), normal(rank, columns, seed + 100));
  w += noise * normal(rows, columns, seed + 200);
  return w;
}
Subspaces spaces(const Dense& w, RankRule rule = RankRule::energy(0.95)) {
  return radapt::leading_subspaces(view(w), rule);
}
double error(const Dense& got, const Dense& expected) {
  REQUIRE(got.rows() == expected.rows());
  REQUIRE(got.cols() == expected.cols());
  return (got - expected).cwiseAbs().maxCoeff() / std::max(1.0, expected.cwiseAbs().maxCoeff());
}
// Products of a few dozen terms near one, after an SVD that is orthogonal to 1e-15.
constexpr double exact = 1e-13;

template <class T>
struct GoldenMatrices {
  TableCase& c;
  Dense read(const std::string& name) {
    const auto values = c.read<double>(name);
    Dense m(static_cast<Eigen::Index>(c.extent(name, 0)), static_cast<Eigen::Index>(c.extent(name, 1)));
    std::copy(values.begin(), values.end(), m.data());
    return m;
  }
  /// The spaces of a weight that is stored in element type T.
  Subspaces spaces_of(const std::string& name, double energy) {
    const auto values = c.read<T>(name);
    return radapt::leading_subspaces(radapt::Matrix<const T>(values.data(), c.extent(name, 0), c.extent(name, 1)),
                                     RankRule::energy(energy));
  }
};

template <class T>
void prolora(TableCase& c) {
  GoldenMatrices<T> m{c};
  const double energy = c.scalar<double>("energy");
  const Subspaces source = m.spaces_of("source_weight", energy), target = m.spaces_of("target_weight", energy);
  CHECK(source.rank() == static_cast<Index>(c.scalar<std::int64_t>("source_rank")));
  CHECK(target.rank() == static_cast<Index>(c.scalar<std::int64_t>("target_rank")));
  const LowRankUpdate update{.B = m.read("B"), .A = m.read("A")};
  const Dense dW = radapt::dense(update);
  constexpr double bound =
      bounds<double>::tables;  // everything is computed in double, whatever the weight is stored in
  CHECK(error(radapt::parallel_part(dW, source), m.read("source_parallel")) < bound);
  CHECK(error(radapt::perpendicular_part(dW, source), m.read("source_perpendicular")) < bound);

  const Dense plain = m.read("transferred"), cross = m.read("transferred_with_cross_terms");
  const auto factored = radapt::transfer(update, source, target);
  CHECK(factored.rank() == 2 * update.rank());
  CHECK(error(radapt::dense(factored), plain) < bound);
  CHECK(error(radapt::transfer(dW, source, target), plain) < bound);
  const auto factored_cross = radapt::transfer(update, source, target, {.keep_cross = true});
  CHECK(factored_cross.rank() == update.rank());
  CHECK(error(radapt::dense(factored_cross), cross) < bound);
  CHECK(error(radapt::transfer(dW, source, target, {.keep_cross = true}), cross) < bound);

  const double retained = c.scalar<double>("retained_energy");
  CHECK(std::abs(radapt::update_energy(update, source).retained() - retained) < bound);
  CHECK(std::abs(radapt::update_energy(dW, source).retained() - retained) < bound);
  CHECK(std::abs(radapt::subspace_similarity(source.left, target.left) - c.scalar<double>("left_similarity")) < bound);
  CHECK(std::abs(radapt::subspace_similarity(source.right, target.right) - c.scalar<double>("right_similarity")) <
        bound);
}

template <class T>
void prolora_adapter(TableCase& c) {
  GoldenMatrices<T> m{c};
  const double energy = c.scalar<double>("energy");
  const Subspaces source = radapt::output_spaces(m.spaces_of("source_weight", energy));
  const Subspaces target = radapt::output_spaces(m.spaces_of("target_weight", energy));
  const Dense F = m.read("F");
  CHECK(error(radapt::transfer(F, source, target), m.read("transferred")) < bounds<double>::tables);
  CHECK(error(radapt::transfer(F, source, target, {.keep_cross = true}), m.read("transferred_with_cross_terms")) <
        bounds<double>::tables);
}

}  // namespace

TEST_CASE_TEMPLATE("transfer of the golden table", T, double, float) {
  walk_family("prolora", prolora<T>);
  walk_family("prolora_adapter", prolora_adapter<T>);
}

TEST_CASE("the effective rank is the least that holds the energy, or what is above the tolerance") {
  const std::vector<double> singular{2, 1, 1, 0.1};  // squares 4, 1, 1, 0.01
  const auto by_energy = [&](double share) { return radapt::effective_rank(singular, RankRule::energy(share)); };
  CHECK(by_energy(0.5) == 1);
  CHECK(by_energy(4.0 / 6.01) == 1);
  CHECK(by_energy(0.67) == 2);
  CHECK(by_energy(0.99) == 3);
  CHECK(by_energy(1.0) == 4);
  for (const double scale : {1e-200, 1e200}) {
    CHECK(radapt::effective_rank({2 * scale, scale, scale, 0.1 * scale}, RankRule::energy(0.99)) == 3);
  }
  const auto by_tolerance = [&](double t) { return radapt::effective_rank(singular, RankRule::tolerance(t)); };
  CHECK(by_tolerance(0.5) == 1);  // above, not at
  CHECK(by_tolerance(0.49) == 3);
  CHECK(by_tolerance(0.0) == 4);
  CHECK(radapt::effective_rank({0, 0}, RankRule::energy(0.9)) == 0);
  CHECK(radapt::effective_rank({3, 0}, RankRule::tolerance(0)) == 1);
}

TEST_CASE("the decomposition gives back the weight, with orthonormal columns and one sign for each pair") {
  for (const auto& w : {weight(9, 5, 3, 1), weight(5, 9, 3, 2), weight(7, 7, 2, 3, 0.0)}) {
    const Subspaces all = spaces(w, RankRule::energy(1.0));
    const auto k = static_cast<Eigen::Index>(all.rank());
    Dense scaled = all.left;
    for (Eigen::Index i = 0; i < k; ++i) { scaled.col(i) *= all.singular[static_cast<Index>(i)]; }
    CHECK(error(Algebra::product(scaled, Algebra::transposed(all.right)), w) < exact);
    CHECK(error(Algebra::transposed_product(all.left, all.left), Dense::Identity(k, k)) < exact);
    CHECK(error(Algebra::transposed_product(all.right, all.right), Dense::Identity(k, k)) < exact);
    for (Eigen::Index i = 0; i < k; ++i) {
      Eigen::Index at = 0;
      all.left.col(i).cwiseAbs().maxCoeff(&at);
      CHECK(all.left(at, i) > 0);
    }
  }
}

TEST_CASE(
    "a transfer of a weight to itself is the identity with cross terms, else the parallel and perpendicular part") {
  const Dense w = weight(12, 8, 3, 1);
  const Subspaces own = spaces(w);
  REQUIRE(own.rank() < 8);
  const LowRankUpdate update{.B = normal(12, 2, 2), .A = normal(2, 8, 3)};
  const Dense dW = radapt::dense(update);
  CHECK(error(radapt::dense(radapt::transfer(update, own, own, {.keep_cross = true})), dW) < exact);
  CHECK(error(radapt::transfer(dW, own, own, {.keep_cross = true}), dW) < exact);
  const Dense kept = radapt::parallel_part(dW, own) + radapt::perpendicular_part(dW, own);
  CHECK(error(radapt::dense(radapt::transfer(update, own, own)), kept) < exact);
  CHECK((kept - dW).norm() > 0.1);  // the cross terms are there, and are lost
}

TEST_CASE("without an effective rank a square weight of full rank makes a copy") {
  const Dense source = weight(6, 6, 6, 1, 0.0), target = weight(6, 6, 6, 5, 0.0);
  const Dense dW = normal(6, 6, 9);
  CHECK(error(radapt::transfer(dW, spaces(source, RankRule::energy(1.0)), spaces(target, RankRule::energy(1.0))), dW) <
        exact);
  CHECK(error(radapt::transfer(dW, spaces(source, RankRule::energy(0.7)), spaces(target, RankRule::energy(0.7))), dW) >
        0.1);
}

TEST_CASE("an update in the null space survives through the perpendicular part alone") {
  const Dense w = weight(10, 8, 3, 1, 0.0);
  const Subspaces own = spaces(w, RankRule::tolerance(1e-10));
  REQUIRE(own.rank() == 3);
  const Dense any = normal(10, 8, 2);
  const Dense dW = radapt::perpendicular_part(any, own);
  CHECK(dW.norm() > 1);
  CHECK(radapt::parallel_part(dW, own).norm() < 1e-13);  // all that LoRA-X would keep
  CHECK(error(radapt::transfer(dW, own, own), dW) < exact);
  const auto energy = radapt::update_energy(dW, own);
  CHECK(std::abs(energy.perpendicular - 1) < exact);
  CHECK(energy.parallel < 1e-25);
}

TEST_CASE("the energies of the parts add up to that of the update") {
  const Subspaces own = spaces(weight(12, 8, 3, 1));
  const LowRankUpdate update{.B = normal(12, 2, 2), .A = normal(2, 8, 3)};
  const Dense dW = radapt::dense(update);
  const auto by_factors = radapt::update_energy(update, own), by_matrix = radapt::update_energy(dW, own);
  for (const auto& e : {by_factors, by_matrix}) {
    CHECK(std::abs(e.parallel + e.perpendicular + e.cross - 1) < exact);
    CHECK(e.parallel > 0.01);
    CHECK(e.cross > 0.01);
  }
  CHECK(std::abs(by_factors.parallel - by_matrix.parallel) < exact);
  CHECK(std::abs(by_factors.cross - by_matrix.cross) < exact);
  CHECK(std::abs(by_matrix.parallel - radapt::parallel_part(dW, own).squaredNorm() / dW.squaredNorm()) < exact);
  CHECK(radapt::update_energy(Dense(Dense::Zero(12, 8)), own).retained() == 0);
}

TEST_CASE("recompression is exact for a rank that is enough, and the best there is for one that is not") {
  const LowRankUpdate update{.B = normal(9, 4, 1), .A = normal(4, 7, 2)};
  const Dense dW = radapt::dense(update);
  for (const Index rank : {4u, 6u}) {
    CHECK(error(radapt::dense(radapt::recompress(update, rank)), dW) < exact);
    CHECK(error(radapt::dense(radapt::recompress(dW, rank)), dW) < exact);
  }
  const auto half = radapt::recompress(update, 2), half_of_matrix = radapt::recompress(dW, 2);
  CHECK(half.rank() == 2);
  CHECK(error(radapt::dense(half), radapt::dense(half_of_matrix)) < exact);
  const Subspaces all = spaces(dW, RankRule::energy(1.0));  // Eckart and Young: the rest is that of singular values
  const double rest = std::hypot(all.singular[2], all.singular[3]);
  CHECK(std::abs((dW - radapt::dense(half)).norm() - rest) < exact);
  // What a transfer without cross terms doubles is brought back.
  const Subspaces own = spaces(weight(9, 7, 3, 3));
  const auto moved = radapt::transfer(update, own, own);
  CHECK(moved.rank() == 8);
  CHECK(error(radapt::dense(radapt::recompress(moved, 7)), radapt::dense(moved)) < exact);
}

TEST_CASE(
    "experimental: a transfer between shapes reads coordinates in the other frame, whatever the signs of an SVD") {
  using radapt::experimental::transfer_between_shapes;
  const Dense w = weight(10, 8, 3, 1), wide = weight(14, 11, 4, 2);
  const Subspaces own = spaces(w), other = spaces(wide);
  const LowRankUpdate update{.B = normal(10, 2, 3), .A = normal(2, 8, 4)};
  CHECK(error(radapt::dense(transfer_between_shapes(update, own, own)),
              radapt::parallel_part(radapt::dense(update), own)) < exact);
  const auto moved = transfer_between_shapes(update, own, other);
  CHECK(moved.B.rows() == 14);
  CHECK(moved.A.cols() == 11);
  const Eigen::Index k = std::min(own.left.cols(), other.left.cols());
  const auto leading = [&](const Dense& basis) { return Dense(basis.leftCols(k)); };
  const Dense coordinates =
      Algebra::product(Algebra::transposed_product(leading(own.left), radapt::dense(update)), leading(own.right));
  CHECK(error(radapt::dense(moved), Algebra::product(Algebra::product(leading(other.left), coordinates),
                                                     Algebra::transposed(leading(other.right)))) < exact);
  // -W has the same pairs with one side turned: fixed by the largest element of each left vector.
  const Subspaces turned = spaces(-w);
  CHECK(error(turned.left, own.left) < exact);
  CHECK(error(turned.right, -own.right) < exact);
}

TEST_CASE("similarity is one for a space within another, and modules find each other") {
  const Dense w = weight(10, 8, 3, 1);
  const Subspaces small = spaces(w, RankRule::energy(0.6)), large = spaces(w, RankRule::energy(0.999));
  REQUIRE(small.rank() < large.rank());
  CHECK(std::abs(radapt::subspace_similarity(small.left, large.left) - 1) < exact);
  CHECK(std::abs(radapt::subspace_similarity(small.left, small.left) - 1) < exact);
  CHECK(radapt::subspace_similarity(small.left, spaces(weight(10, 8, 3, 50)).left) < 0.9);

  // Three source modules; the target has a shifted copy of two of them, a stranger, and one of another shape.
  const auto module = [](const std::string& name, const std::string& group, const Dense& m) {
    return radapt::ModuleSpaces{.name = name, .group = group, .spaces = spaces(m)};
  };
  const std::vector<radapt::ModuleSpaces> sources{module("s0", "mlp", weight(10, 8, 3, 1)),
                                                  module("s1", "mlp", weight(10, 8, 3, 11)),
                                                  module("s2", "attn", weight(10, 8, 3, 21))};
  const auto near = [](const Dense& m) { return Dense(m + 0.05 * normal(m.rows(), m.cols(), 77)); };
  const std::vector<radapt::ModuleSpaces> targets{
      module("t0", "mlp", near(weight(10, 8, 3, 11))), module("t1", "mlp", near(weight(10, 8, 3, 1))),
      module("t2", "mlp", weight(10, 8, 3, 31)), module("t3", "mlp", weight(12, 8, 3, 1)),
      module("t4", "attn", near(weight(10, 8, 3, 1)))};
  Shown shown;
  const auto matches = radapt::match_modules(sources, targets, 0.8, shown.options());
  REQUIRE(matches.size() == 5);
  CHECK(matches[0].source == "s1");
  CHECK(matches[0].accepted);
  CHECK(matches[1].source == "s0");
  CHECK(matches[1].accepted);
  CHECK_FALSE(matches[2].accepted);
  CHECK(matches[2].left < 0.8);
  CHECK(matches[3].source.empty());
  CHECK_FALSE(matches[3].accepted);
  CHECK(matches[4].source == "s2");  // of its group, however unlike
  CHECK_FALSE(matches[4].accepted);
  CHECK(shown.text.find("matching modules 100% 5/5") != std::string::npos);

  const std::string table = radapt::describe(matches);
  CHECK(table.find("t3      none    0.000  0.000  no") != std::string::npos);
  CHECK(std::count(table.begin(), table.end(), '\n') == 6);
}

TEST_CASE("bad input of a transfer is told apart") {
  const Dense w = weight(6, 5, 2, 1);
  const Subspaces own = spaces(w), other = spaces(weight(7, 5, 2, 2));
  const LowRankUpdate update{.B = normal(6, 2, 2), .A = normal(2, 5, 3)};
  CHECK(fails_with("(7, 5)", [&] { radapt::transfer(update, own, other); }));
  CHECK(fails_with("transfer from the source", [&] { radapt::transfer(radapt::dense(update), other, own); }));
  CHECK(fails_with("factors B",
                   [&] { radapt::transfer(LowRankUpdate{.B = normal(6, 2, 2), .A = normal(3, 5, 3)}, own, own); }));
  CHECK(fails_with("factors B", [&] { radapt::update_energy(LowRankUpdate{}, own); }));
  CHECK(fails_with("rank of at least 1", [&] { radapt::recompress(update, 0); }));
  CHECK(fails_with("share of the energy", [&] { spaces(w, RankRule{}); }));
  CHECK(fails_with("share of the energy", [&] { spaces(w, RankRule::energy(1.1)); }));
  CHECK(fails_with("tolerance", [&] { spaces(w, RankRule::tolerance(1)); }));
  CHECK(fails_with("tolerance", [&] { spaces(w, RankRule::tolerance(std::nan(""))); }));
  Dense broken = w;
  broken(1, 2) = std::nan("");
  CHECK(fails_with("element 7", [&] { spaces(broken); }));
  CHECK(fails_with("7 rows", [&] { radapt::subspace_similarity(own.left, other.left); }));
  CHECK(fails_with("threshold", [&] { radapt::match_modules({}, {}, 1.5, quiet()); }));
}
