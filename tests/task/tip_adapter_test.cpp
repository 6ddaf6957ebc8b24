// Tip-Adapter against its formula, its gradient against differences, the search, and training the keys.
#include "radapt/task/tip_adapter.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/test/central_difference.hpp"

using radapt::Index;
using namespace radapt::task;
using Labels = std::vector<std::int32_t>;

namespace {

template <class T>
std::vector<T> unit_rows(Index rows, Index embed, std::uint64_t seed) {
  radapt::Random random(seed);
  std::vector<T> out(rows * embed);
  for (Index i = 0; i < rows; ++i) {
    double squares = 0;
    std::vector<double> row(embed);
    for (double& x : row) {
      x = random.normal();
      squares += x * x;
    }
    for (Index e = 0; e < embed; ++e) { out[i * embed + e] = static_cast<T>(row[e] / std::sqrt(squares)); }
  }
  return out;
}
Labels cyclic(Index count, Index classes) {
  Labels labels;
  for (Index i = 0; i < count; ++i) { labels.push_back(static_cast<std::int32_t>(i * 5 % classes)); }
  return labels;
}

constexpr Index embed = 6, classes = 3, shots = 7;

template <class T>
double formula(const std::vector<T>& f, Index i, Index c, const std::vector<T>& keys, const Labels& labels,
               const std::vector<T>& head, const TipSettings& s) {
  double squares = 0, zero_shot = 0, votes = 0;
  for (Index e = 0; e < embed; ++e) { squares += std::pow(static_cast<double>(f[i * embed + e]), 2); }
  const auto dot = [&](const std::vector<T>& rows, Index r) {
    double sum = 0;
    for (Index e = 0; e < embed; ++e) {
      sum += static_cast<double>(f[i * embed + e]) * static_cast<double>(rows[r * embed + e]);
    }
    return sum / std::sqrt(squares);
  };
  if (!head.empty()) { zero_shot = s.scale * dot(head, c); }
  for (Index k = 0; k < labels.size(); ++k) {
    if (labels[k] == static_cast<std::int32_t>(c)) { votes += std::exp(-s.beta * (1 - dot(keys, k))); }
  }
  return zero_shot + s.alpha * votes;
}

template <class Backend, class T>
void check_formula(double bound) {
  const auto keys = unit_rows<T>(shots, embed, 1), head = unit_rows<T>(classes, embed, 2);
  auto features = unit_rows<T>(9, embed, 3);
  for (Index e = 0; e < embed; ++e) { features[e] *= T{7}; }  // lengths do not matter
  const Labels labels = cyclic(shots, classes);
  const TipSettings settings{.alpha = 1.5, .beta = 2.5, .scale = 30.0};
  for (int with_head = 0; with_head < 2; ++with_head) {
    const std::vector<T> used = with_head == 1 ? head : std::vector<T>{};
    TipAdapter<Backend, T> tip(keys, labels, used, classes, embed, settings);
    const auto logits = tip.logits(features);
    REQUIRE(logits.size() == 9 * classes);
    for (Index i = 0; i < 9; ++i) {
      for (Index c = 0; c < classes; ++c) {
        CHECK(static_cast<double>(logits[i * classes + c]) ==
              doctest::Approx(formula(features, i, c, keys, labels, used, settings)).epsilon(bound));
      }
    }
  }
}

}  // namespace

TEST_CASE("logits are the formula's on both backends") {
  check_formula<radapt::reference, double>(1e-13);  // sums of a dozen terms
  check_formula<radapt::onednn, float>(1e-5);       // the same in f32, on logits of up to 30
}

TEST_CASE("blocks do not change logits") {
  const auto keys = unit_rows<double>(shots, embed, 1);
  const auto features = unit_rows<double>(2 * TipAdapter<radapt::reference>::largest_block + 3, embed, 2);
  TipAdapter<radapt::reference, double> tip(keys, cyclic(shots, classes), {}, classes, embed);
  const auto all = tip.logits(features);
  const auto tail = tip.logits(std::span(features).last(3 * embed));
  REQUIRE(all.size() == features.size() / embed * classes);
  // A product of another number of rows may be summed in another order.
  for (Index i = 0; i < tail.size(); ++i) {
    CHECK(all[all.size() - tail.size() + i] == doctest::Approx(tail[i]).epsilon(1e-14));
  }
}

TEST_CASE("the gradient by the keys is that of the loss") {
  auto keys = unit_rows<double>(shots, embed, 1);
  const auto head = unit_rows<double>(classes, embed, 2), features = unit_rows<double>(9, embed, 3);
  const Labels labels = cyclic(shots, classes), wanted = cyclic(9, classes);
  const TipSettings settings{.alpha = 1.5, .beta = 2.5, .scale = 3.0, .trained_keys = true};
  std::vector<double> gradient(keys.size(), 1e30);  // it is assigned, not added to
  TipAdapter<radapt::reference, double>(keys, labels, head, classes, embed, settings).loss(features, wanted, gradient);
  double largest = 0;
  for (const double g : gradient) { largest = std::max(largest, std::abs(g)); }
  for (Index i = 0; i < keys.size(); ++i) {
    const auto difference = radapt::test::central_difference(1e-3, [&](double t) {
      auto moved = keys;
      moved[i] += t;
      TipAdapter<radapt::reference, double> tip(moved, labels, head, classes, embed, settings);
      radapt::test::Sum sum;
      sum.add(tip.loss(features, wanted));
      return sum;
    });
    // The formula leaves 1e-12 of smooth functions; times ten, and ten again for exp(beta).
    CHECK(std::abs(gradient[i] - difference.value) <= 1e-10 * largest + difference.rounding);
  }
}

TEST_CASE("the search tries the grid of the released code and takes the first of the best") {
  // One key for each class. With the zero-shot head alone the sample is wrong; with enough of the cache it is right.
  const std::vector<float> keys{1, 0, 0, 1}, head{0, 1, 1, 0}, features{0.9f, 0.1f, 0.2f, 1};
  const Labels labels{0, 1};
  TipAdapter<radapt::reference> tip(keys, labels, head, 2, 2, {.alpha = 9.0, .beta = 9.0, .scale = 1.0});
  std::vector<std::pair<double, double>> right;
  const TipSearch grid{.beta_steps = 5, .alpha_steps = 4, .from = 0.5, .beta_to = 3.0, .alpha_to = 2.5};
  for (Index b = 0; b < 5; ++b) {
    for (Index a = 0; a < 4; ++a) {
      tip.set(0.5 + 0.5 * static_cast<double>(a), 0.5 + 0.5 * static_cast<double>(b));
      if (predict(tip.logits(features), 2) == labels) { right.emplace_back(tip.settings().beta, tip.settings().alpha); }
    }
  }
  REQUIRE(!right.empty());
  REQUIRE(right.size() < 20);
  const TipChoice choice = tip.search(features, labels, grid);
  CHECK(choice.accuracy == 1.0);
  CHECK(choice.beta == doctest::Approx(right.front().first).epsilon(1e-15));
  CHECK(choice.alpha == doctest::Approx(right.front().second).epsilon(1e-15));
  CHECK(tip.settings().alpha == choice.alpha);
  CHECK(predict(tip.logits(features), 2) == labels);
  CHECK_THROWS_AS(tip.search(features, labels, {.beta_steps = 0}), radapt::error);
  CHECK_THROWS_AS(tip.search(features, Labels{0}, grid), radapt::error);
}

TEST_CASE("training moves the keys, lowers the loss, and depends on the seed alone") {
  const auto keys = unit_rows<float>(12, embed, 1), head = unit_rows<float>(classes, embed, 2);
  const Labels labels = cyclic(12, classes);
  const auto trained = [&](std::uint64_t seed, Index batch) {
    TipAdapter<radapt::reference> tip(keys, labels, head, classes, embed, {.alpha = 3, .beta = 2, .scale = 5});
    const auto losses = tip.train(keys, labels, {.epochs = 30, .batch = batch, .lr = 0.02, .seed = seed});
    CHECK(losses.size() == 30);
    CHECK(losses.back() < 0.8 * losses.front());
    return std::vector<float>(tip.keys().begin(), tip.keys().end());
  };
  const auto a = trained(1, 5);
  CHECK(a != keys);
  CHECK(a == trained(1, 5));
  CHECK(a != trained(2, 5));
  // A batch of everything does not depend on the order but for rounding.
  const auto whole = trained(1, 12), again = trained(2, 12);
  for (Index i = 0; i < whole.size(); ++i) { CHECK(std::abs(whole[i] - again[i]) < 1e-3f); }
}

TEST_CASE("keys of several passes are means of unit rows, of unit length") {
  const std::vector<float> features{3, 4, 0, 1,   // the first pass over two samples
                                    0, 2, 0, 5};  // the second
  const auto keys = cache_keys(features, 2, 2);
  const double length = std::sqrt(0.36 + 3.24);  // of (0.6, 0.8) + (0, 1)
  CHECK(static_cast<double>(keys[0]) == doctest::Approx(0.6 / length).epsilon(1e-6));
  CHECK(static_cast<double>(keys[1]) == doctest::Approx(1.8 / length).epsilon(1e-6));
  CHECK(keys[2] == 0.0f);
  CHECK(keys[3] == 1.0f);
  CHECK_THROWS_AS(cache_keys(features, 3, 2), radapt::error);
  CHECK_THROWS_WITH_AS(cache_keys(std::vector<float>(4), 1, 2), doctest::Contains("features with a direction"),
                       radapt::error);
}

TEST_CASE("keys that are no directions are refused, unless they were trained") {
  auto keys = unit_rows<float>(shots, embed, 1);
  const Labels labels = cyclic(shots, classes);
  for (Index e = 0; e < embed; ++e) { keys[embed + e] *= 36.0F; }
  CHECK_THROWS_WITH_AS((TipAdapter<radapt::reference>(keys, labels, {}, classes, embed)),
                       doctest::Contains("TipAdapter: key 1: expected a length of 1"), radapt::error);
  TipAdapter<radapt::reference>(keys, labels, {}, classes, embed, {.trained_keys = true});
  TipAdapter<radapt::reference>(cache_keys(keys, 1, embed), labels, {}, classes, embed);
}

TEST_CASE("what does not fit is an error") {
  const auto keys = unit_rows<float>(4, embed, 1), head = unit_rows<float>(classes, embed, 2);
  const Labels labels{0, 1, 2, 0};
  using Tip = TipAdapter<radapt::reference>;
  CHECK_THROWS_AS(Tip(keys, Labels{0, 1, 2}, head, classes, embed), radapt::error);
  CHECK_THROWS_WITH_AS(Tip(keys, Labels{0, 1, 3, 0}, head, classes, embed), doctest::Contains("a label from 0 to 2"),
                       radapt::error);
  CHECK_THROWS_AS(Tip(keys, labels, std::span(head).first(embed), classes, embed), radapt::error);
  CHECK_THROWS_AS(Tip({}, {}, head, classes, embed), radapt::error);
  Tip tip(keys, labels, head, classes, embed);
  CHECK_THROWS_AS(tip.logits(std::span(keys).first(5)), radapt::error);
  CHECK_THROWS_AS(tip.logits({}), radapt::error);
  CHECK_THROWS_AS(tip.loss(keys, Labels{0, 1, 2}), radapt::error);
  CHECK_THROWS_AS(tip.train(keys, labels, {.batch = 0}), radapt::error);
  std::vector<float> small(3);
  CHECK_THROWS_AS(tip.loss(keys, labels, small), radapt::error);
}
