/// Model soups: means, the greedy choice, and learned shares against central differences.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ensemble/small_net.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/ensemble/learned_soup.hpp"
#include "radapt/ensemble/soup.hpp"
#include "radapt/test/central_difference.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

using Head = radapt::Linear<3, radapt::dynamic, radapt::role::head>;
using HeadWeights = radapt::Weights<Head, float>;
using Models = std::vector<const SmallWeights*>;

HeadWeights head(std::uint64_t seed) { return drawn(HeadWeights(2), seed); }

/// A head whose every element is `x`: a mean of such heads is seen from one number.
HeadWeights constant_head(float x) {
  HeadWeights w(2);
  radapt::each([&](auto& leaf) { std::fill_n(leaf.data, leaf.size(), x); }, w.tree());
  return w;
}
float value_of(const HeadWeights& w) { return w.tree().bias.data[0]; }

}  // namespace

TEST_CASE("a uniform soup is the mean, in double") {
  const auto a = head(1), b = head(2), c = head(3);
  const auto soup = radapt::uniform_soup(std::array{&a, &b, &c});
  for (Index i = 0; i < soup.buffer().size(); ++i) {
    const double sum =
        static_cast<double>(a.buffer()[i]) + static_cast<double>(b.buffer()[i]) + static_cast<double>(c.buffer()[i]);
    CHECK(soup.buffer()[i] == static_cast<float>(sum / 3));
  }
  CHECK(same_bits(radapt::uniform_soup(std::vector<const HeadWeights*>{&a}), a));
  CHECK(same_bits(radapt::uniform_soup(std::vector<HeadWeights*>{const_cast<HeadWeights*>(&a)}), a));
  CHECK(same_bits(radapt::uniform_soup(std::array{&b, &b, &b, &b}), b));
}

TEST_CASE("WiSE-FT of a soup is one line, and the soup of WiSE-FTs") {
  const auto zero_shot = head(9), a = head(1), b = head(2), c = head(3);
  for (const double alpha : {0.0, 0.3, 1.0}) {
    CAPTURE(alpha);
    const auto mixed = radapt::interpolate(alpha, zero_shot, radapt::uniform_soup(std::array{&a, &b, &c}));
    const auto wise_a = radapt::interpolate(alpha, zero_shot, a), wise_b = radapt::interpolate(alpha, zero_shot, b),
               wise_c = radapt::interpolate(alpha, zero_shot, c);
    const auto soup = radapt::uniform_soup(std::array{&wise_a, &wise_b, &wise_c});
    for (Index i = 0; i < soup.buffer().size(); ++i) {
      // Numbers near one in f32, rounded twice on either side.
      CHECK(std::abs(static_cast<double>(mixed.buffer()[i]) - static_cast<double>(soup.buffer()[i])) < 1e-6);
    }
  }
}

TEST_CASE("a greedy soup keeps what raises the score, in the order of the single scores") {
  // The score is the nearness to 3 of the common element.
  const auto score = [](const HeadWeights& w) { return -std::abs(static_cast<double>(value_of(w)) - 3.0); };
  const auto m0 = constant_head(7), m1 = constant_head(2), m2 = constant_head(4.5), m3 = constant_head(-20);
  Shown shown;
  const auto soup = radapt::greedy_soup(std::vector{&m0, &m1, &m2, &m3}, score, shown.options());
  // Alone: 4, 1, 1.5, 23 away. First model 1; with model 2 the mean is 3.25, kept; with model 0 4.5, not kept; with
  // model 3 -4.5, not kept.
  REQUIRE(soup.turns.size() == 4);
  const Index order[] = {1, 2, 0, 3};
  const bool kept[] = {true, true, false, false};
  const double alone[] = {-1, -1.5, -4, -23}, with[] = {-1, -0.25, -1.5, -7.5};
  for (Index t = 0; t < 4; ++t) {
    CAPTURE(t);
    CHECK(soup.turns[t].model == order[t]);
    CHECK(soup.turns[t].kept == kept[t]);
    CHECK(soup.turns[t].alone == alone[t]);
    CHECK(soup.turns[t].with == with[t]);
  }
  CHECK(soup.kept == std::vector<Index>{1, 2});
  CHECK(soup.score == -0.25);
  CHECK(value_of(soup.weights) == 3.25f);
  CHECK(shown.text.find("greedy soup 100% 7/7") != std::string::npos);
}

TEST_CASE("greedy soups at their edges: one model, equal scores, all kept") {
  const auto a = head(4), b = head(5), c = head(6);
  const auto constant = [](const HeadWeights&) { return 0.5; };
  const auto alone = radapt::greedy_soup(std::array{&a}, constant, quiet());
  CHECK(same_bits(alone.weights, a));
  CHECK(alone.kept == std::vector<Index>{0});

  // The score never rises strictly, so the first model stays alone; equal scores are tried in the order of the list.
  const auto tied = radapt::greedy_soup(std::array{&b, &a, &c}, constant, quiet());
  CHECK(same_bits(tied.weights, b));
  CHECK(tied.turns[1].model == 1);
  CHECK(tied.turns[2].model == 2);

  // A score that rises with every call keeps all models; they are averaged in the order of the list.
  double calls = 0;
  const auto all = radapt::greedy_soup(
      std::array{&a, &b, &c}, [&](const HeadWeights&) { return ++calls; }, quiet());
  CHECK(all.kept == std::vector<Index>{0, 1, 2});
  CHECK(all.turns[0].model == 2);
  CHECK(same_bits(all.weights, radapt::uniform_soup(std::array{&a, &b, &c})));
}

TEST_CASE("a mixture's gradient by its shares and its logit scale is that of central differences") {
  const auto a = small_net(1), b = moved(a, 2, 0.5), c = moved(a, 3, 0.5);
  const SmallData data(9);
  SmallHeldOut loss(small_classes, {.batch = 9});
  radapt::SoupMixture<SmallWeights> mixture(Models{&a, &b, &c});
  radapt::Random random(4);
  for (double& x : mixture.parameters()) { x += random.normal(); }
  mixture.parameters().back() = 1.3;

  SmallWeights gradient(small_classes);
  loss(mixture.mix(), data.batch(), gradient);
  const auto computed = mixture.gradient(gradient);
  REQUIRE(computed.size() == 4 * 3 + 1);
  double largest = 0;
  for (const double x : computed) { largest = std::max(largest, std::abs(x)); }
  CHECK(largest > 1e-3);
  for (Index i = 0; i < computed.size(); ++i) {
    CAPTURE(i);
    const double first = mixture.parameters()[i];
    const auto derivative = radapt::test::central_difference(1e-3, [&](double t) {
      mixture.parameters()[i] = first + t;
      SmallWeights unused(small_classes);
      radapt::test::Sum sum;
      sum.add(loss(mixture.mix(), data.batch(), unused));
      return sum;
    });
    mixture.parameters()[i] = first;
    // The five-point formula leaves the fourth power of the step, 1e-12.
    CHECK(std::abs(computed[i] - derivative.value) < 1e-10 * largest + derivative.rounding);
  }
}

TEST_CASE("shares are a softmax: equal at first, one model alone at the limit, and no way to go for equal models") {
  const auto a = small_net(1), b = small_net(2);
  radapt::SoupMixture<SmallWeights> mixture(Models{&a, &b});
  for (Index j = 0; j < mixture.tensors(); ++j) { CHECK(mixture.shares(j) == std::vector<double>{0.5, 0.5}); }
  const auto mean = radapt::uniform_soup(Models{&a, &b});
  CHECK(normalised_error(mixture.mix().buffer().begin(), mean.buffer().begin(), mean.buffer().size()) < 1e-15);
  for (Index j = 0; j < mixture.tensors(); ++j) { mixture.parameters()[2 * j + 1] = 1e4; }
  CHECK(same_bits(mixture.mix(), b));

  radapt::SoupMixture<SmallWeights> same(Models{&a, &a});
  const auto d = same.gradient(drawn(SmallWeights(small_classes), 7));
  for (Index i = 0; i + 1 < d.size(); ++i) { CHECK(std::abs(d[i]) < 1e-13); }
}

TEST_CASE("a learned soup finds the model that fits, and scales the logits") {
  // Labels are what the teacher says, so the teacher fits and the others do not.
  const auto teacher = small_net(1), b = small_net(8), c = small_net(9);
  SmallData data(40);
  SmallHeldOut loss(small_classes, {.batch = 40});
  for (Index i = 0; i < 40; ++i) {
    double best = 1e9;
    for (std::int32_t k = 0; k < 3; ++k) {
      auto sample = data.sample(i);
      sample.labels = {&k, 1};
      SmallWeights unused(small_classes);
      const double value = loss(teacher, sample, unused);
      if (value < best) {
        best = value;
        data.labels[i] = k;
      }
    }
  }
  Index calls = 0;
  const auto held_out = [&](const SmallWeights& w, SmallWeights& gradient) {
    ++calls;
    return loss(w, data.batch(), gradient);
  };
  Shown shown;
  const auto soup =
      radapt::learned_soup(Models{&b, &teacher, &c}, held_out, {.iterations = 200, .progress = shown.options()});
  CHECK(calls == 200);
  CHECK(soup.losses.size() == 200);
  SmallWeights unused(small_classes);
  CHECK(loss(soup.weights, data.batch(), unused) < 0.6 * loss(teacher, data.batch(), unused));
  CHECK(soup.losses.back() < 0.25 * soup.losses.front());
  CHECK(soup.logit_scale > 1.5);  // the teacher is always right, so confidence pays
  REQUIRE(soup.tensors.size() == 4);
  CHECK(soup.tensors[0] == "layer.weight");
  for (const auto& shares : soup.shares) { CHECK(std::abs(shares[0] + shares[1] + shares[2] - 1) < 1e-15); }
  CHECK(soup.shares[0][1] > 0.9);
  CHECK(shown.text.find("learned soup 100% 200/200") != std::string::npos);

  // The first step of Adam is the rate, whatever the gradient's size; the released rate is 0.05.
  const auto first = radapt::learned_soup(Models{&b, &teacher, &c}, held_out, {.iterations = 1, .progress = quiet()});
  CHECK(std::abs(std::abs(first.logit_scale - 1) - 0.05) < 1e-6);
  const auto unscaled = radapt::learned_soup(Models{&b, &teacher}, held_out,
                                             {.iterations = 5, .learns_logit_scale = false, .progress = quiet()});
  CHECK(unscaled.logit_scale == 1.0);
}

TEST_CASE("bad input of soups is told apart") {
  const auto a = head(1), b = head(2);
  const HeadWeights more(5);
  const auto zero = [](const HeadWeights&) { return 0.0; };
  CHECK(fails_with("at least one model", [&] { radapt::uniform_soup(std::vector<const HeadWeights*>{}); }));
  CHECK(fails_with("null", [&] { radapt::uniform_soup(std::vector<const HeadWeights*>{&a, nullptr}); }));
  CHECK(fails_with("classes", [&] { radapt::uniform_soup(std::array{&a, &more}); }));
  CHECK(fails_with("classes", [&] { radapt::greedy_soup(std::array{&a, &more}, zero, quiet()); }));
  const auto nan = [](const HeadWeights&) { return std::numeric_limits<double>::quiet_NaN(); };
  CHECK(fails_with("model 0", [&] { radapt::greedy_soup(std::array{&a, &b}, nan, quiet()); }));

  const auto net = small_net(1);
  const auto infinite = [](const SmallWeights&, SmallWeights&) { return std::numeric_limits<double>::infinity(); };
  CHECK(fails_with("iterations", [&] { radapt::learned_soup(Models{&net}, infinite, {.progress = quiet()}); }));
  CHECK(fails_with("finite",
                   [&] { radapt::learned_soup(Models{&net}, infinite, {.iterations = 1, .progress = quiet()}); }));
}
