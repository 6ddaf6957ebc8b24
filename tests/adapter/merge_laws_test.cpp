/// Laws of merging a whole CLIP: which tensors change, by how much, and that every bit comes back (methods.md 10).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/ensemble/product_average.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

struct Small : radapt::arch::Defaults {
  static constexpr Index embed = 4, image = 8, patch = 4, context = 6, vocabulary = 12;
  static constexpr radapt::TowerSize vision{8, 2, 2, 16}, text{6, 2, 1, 12};
};
using Plain = radapt::Clip<Small>;

template <class Rank, class Scale, class Element, class Towers = radapt::both_towers>
struct Kind {
  using T = Element;
  using Model = radapt::Clip<Small, radapt::RAdapter<Rank, Scale, Towers>>;
  static constexpr bool image = Towers::template has<radapt::role::tower::image>;
  static constexpr bool text = Towers::template has<radapt::role::tower::text>;
};
using radapt::full;
using radapt::learned_scale;
using radapt::low_rank;
using radapt::no_scale;
using EveryKind = std::tuple<Kind<full, learned_scale, double>, Kind<low_rank<2>, no_scale, double>,
                             Kind<low_rank<2>, learned_scale, float>,
                             Kind<full, no_scale, float, radapt::only_tower<radapt::role::tower::image>>>;

/// A weight of the plain model is summed from some ten products and rounded once to T.
template <class T>
constexpr double rounding = sizeof(T) == 8 ? 1e-14 : 1e-6;

template <class M, class T>
radapt::Weights<M, T> random_weights(std::uint64_t seed) {
  radapt::Weights<M, T> weights;
  radapt::Random random(seed);
  radapt::each(
      [&](auto& leaf) {
        std::generate_n(leaf.data, leaf.size(), [&] { return static_cast<T>(0.3 * random.normal()); });
      },
      weights.tree());
  return weights;
}

/// The tensors of a plain model.
template <class T>
auto by_name(radapt::Weights<Plain, T> weights) {
  std::map<std::string, std::vector<T>> tensors;
  for (const auto& tensor : weights.tensors()) { tensors[tensor.name()] = {tensor.data, tensor.data + tensor.size()}; }
  return tensors;
}
/// What an adapted model has in common with the plain one.
template <class M, class T>
radapt::Weights<Plain, T> without_adapters(const radapt::Weights<M, T>& adapted) {
  radapt::Weights<Plain, T> plain;
  radapt::copy_by_name(plain, adapted);
  return plain;
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("merging interpolates the hosts of adapters and leaves everything else", K, merging) {
  using T = typename K::T;
  const auto adapted = random_weights<typename K::Model, T>(1);
  const auto original = by_name(radapt::merge(0.0, adapted)), whole = by_name(radapt::merge(1.0, adapted));
  const auto before = by_name(without_adapters(adapted));
  for (const double alpha : {0.0, 0.35, 1.0, 1.6}) {
    CAPTURE(alpha);
    for (const auto& entry : by_name(radapt::merge(alpha, adapted))) {
      const std::string& name = entry.first;
      const std::vector<T>& merged = entry.second;
      CAPTURE(name);
      const bool image = name.starts_with("visual.");
      const bool host = (name.find("out_proj.") != std::string::npos || name.find("c_proj.") != std::string::npos) &&
                        (image ? K::image : K::text);
      CHECK(original.at(name) == before.at(name));
      if (!host) {
        CHECK(merged == before.at(name));
        continue;
      }
      CHECK((merged == before.at(name)) == (alpha == 0.0));
      std::vector<double> mixed;
      for (Index i = 0; i < merged.size(); ++i) {
        mixed.push_back((1 - alpha) * static_cast<double>(original.at(name)[i]) +
                        alpha * static_cast<double>(whole.at(name)[i]));
      }
      CHECK(normalised_error(merged, mixed) < rounding<T>);
    }
  }
}
TEST_CASE_TEMPLATE_APPLY(merging, EveryKind);

TEST_CASE_TEMPLATE_DEFINE("merging in place is merging, and unmerging restores every bit", K, unmerging) {
  using T = typename K::T;
  const auto adapted = random_weights<typename K::Model, T>(2);
  auto plain = without_adapters(adapted);
  const auto original = by_name(plain);
  for (const double alpha : {0.5, -2.0}) {
    radapt::MergedInPlace<typename K::Model, T> merged(alpha, adapted, plain);
    CHECK(by_name(plain) == by_name(radapt::merge(alpha, adapted)));
    CHECK(by_name(plain) != original);
    merged.unmerge();
    CHECK(by_name(plain) == original);
    merged.unmerge();
    CHECK(by_name(plain) == original);
  }
}
TEST_CASE_TEMPLATE_APPLY(unmerging, EveryKind);

TEST_CASE_TEMPLATE_DEFINE("an alpha that is no finite number is refused, and nothing is merged", K, not_finite) {
  using T = typename K::T;
  const auto adapted = random_weights<typename K::Model, T>(2);
  auto plain = without_adapters(adapted);
  const auto original = by_name(plain);
  for (const double alpha : {std::nan(""), HUGE_VAL}) {
    CHECK_THROWS_WITH_AS(radapt::merge(alpha, adapted), doctest::Contains("merge: alpha: expected a finite number"),
                         radapt::error);
    CHECK_THROWS_AS((radapt::MergedInPlace<typename K::Model, T>(alpha, adapted, plain)), radapt::error);
  }
  CHECK(by_name(plain) == original);
}
TEST_CASE_TEMPLATE_APPLY(not_finite, EveryKind);

TEST_CASE_TEMPLATE_DEFINE("the average of constant products is theirs and m^T of the first", K, products) {
  using T = typename K::T;
  const auto first = random_weights<typename K::Model, T>(3), then = random_weights<typename K::Model, T>(4);
  radapt::ProductAverage<typename K::Model, T> average(first.tree());
  const auto start = average.products(), target = radapt::ProductAverage<typename K::Model, T>(then.tree()).products();
  constexpr int steps = 5;
  for (int i = 0; i < steps; ++i) { average.update(then.tree(), 0.9); }
  CHECK(average.products().size() == 2 * ((K::image ? Small::vision.layers : 0) + (K::text ? Small::text.layers : 0)));
  for (const auto& entry : average.products()) {
    const std::string& path = entry.first;
    const radapt::detail::DoubleMatrix& got = entry.second;
    CAPTURE(path);
    const radapt::detail::DoubleMatrix &from = start.at(path), &to = target.at(path);
    radapt::detail::DoubleMatrix expected(got.rows(), got.columns());
    for (radapt::Index i = 0; i < expected.size(); ++i) {
      expected.data()[i] = to.data()[i] + std::pow(0.9, steps) * (from.data()[i] - to.data()[i]);
    }
    // Products are averaged in double whatever T is: five steps of one rounding each.
    CHECK(normalised_error(got.data(), expected.data(), got.size()) < 1e-14);
  }
  // An average that is the product of one model merges to what that model merges to.
  const radapt::ProductAverage<typename K::Model, T> single(then.tree());
  const auto merged = by_name(single.merge(0.7, then));
  for (const auto& [name, tensor] : by_name(radapt::merge(0.7, then))) {
    CHECK(normalised_error(merged.at(name), tensor) < rounding<T>);
  }
}
TEST_CASE_TEMPLATE_APPLY(products, EveryKind);

TEST_CASE("the product that a merge takes is exact on integers, at the edges of its tiles and blocks as inside") {
  const auto integers = [](radapt::Index rows, radapt::Index columns, std::uint64_t seed) {
    radapt::detail::DoubleMatrix m(rows, columns);
    radapt::Random random(seed);
    for (radapt::Index i = 0; i < m.size(); ++i) { m.data()[i] = static_cast<double>(random.below(19)) - 9.0; }
    return m;
  };
  // Tiles are of 4 by 8, blocks of 64 rows and of 256 numbers to add up.
  for (const radapt::Index rows : {1U, 3U, 4U, 5U, 63U, 64U, 65U, 130U}) {
    for (const radapt::Index inner : {0U, 1U, 255U, 256U, 257U, 600U}) {
      for (const radapt::Index columns : {1U, 7U, 8U, 9U, 33U}) {
        const auto a = integers(rows, inner, 1), b = integers(inner, columns, 2);
        const auto c = radapt::detail::multiply(a, b);
        REQUIRE(c.rows() == rows);
        REQUIRE(c.columns() == columns);
        bool exact = true;  // sums below 600 * 81 are integers that a double holds, in any order
        for (radapt::Index i = 0; i < rows; ++i) {
          for (radapt::Index j = 0; j < columns; ++j) {
            double sum = 0;
            for (radapt::Index k = 0; k < inner; ++k) { sum += a.data()[i * inner + k] * b.data()[k * columns + j]; }
            exact = exact && c.data()[i * columns + j] == sum;
          }
        }
        CAPTURE(rows);
        CAPTURE(inner);
        CAPTURE(columns);
        CHECK(exact);
      }
    }
  }
}

TEST_CASE("the merged text tower computes what the adapted one does") {
  // The image tower is held against golden values, merged and not, in tests/clip.
  using Model = radapt::Clip<Small, radapt::RAdapter<full, no_scale>>;
  const auto adapted = random_weights<Model, double>(5);
  auto captions = radapt::Captions::of<Model>();
  captions.add(std::vector<std::int64_t>{10, 3, 11});
  captions.add(std::vector<std::int64_t>{10, 7, 1, 5, 11});
  const auto features = [&](auto session) {
    std::vector<double> text(captions.size() * Small::embed);
    session.encode_texts(captions, text);
    return text;
  };
  const auto original = radapt::merge(0.0, adapted);
  const auto unadapted = features(radapt::Session<Plain, radapt::reference, double>(original));
  for (const double alpha : {0.0, 0.4, 1.0, 1.5}) {
    CAPTURE(alpha);
    const auto weights = radapt::merge(alpha, adapted);
    const auto merged = features(radapt::Session<Plain, radapt::reference, double>(weights));
    const auto running = features(radapt::Session<Model, radapt::reference, double>(adapted, {.adapter_alpha = alpha}));
    CHECK(normalised_error(merged, running) < 1e-12);  // the order of sums, through a block
    CHECK((merged == unadapted) == (alpha == 0.0));
  }
}
