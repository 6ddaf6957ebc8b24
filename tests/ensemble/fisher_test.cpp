/// Fisher-weighted interpolation: the golden table, its laws, and the diagonal estimate.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ensemble/small_net.hpp"
#include "radapt/ensemble/fisher.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "support/golden_family.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Fisher;
using radapt::Index;

namespace {

namespace role = radapt::role;
using OnlyHead = radapt::tune::only<role::head>;

/// A model that is one tensor, of the size that every case of the family has.
struct OneTensor {
  template <template <class, class> class Slot>
  struct Params {
    Slot<radapt::Shape<4, 6>, role::backbone> tensor;  // (4, 6)
    static constexpr void each(auto&& f, auto&... t) { f("tensor", t.tensor...); }
  };
};

template <class Leaf, class T>
void fill(Leaf& leaf, const std::vector<T>& values) {
  REQUIRE(values.size() == leaf.size());
  std::copy(values.begin(), values.end(), leaf.data);
}

template <class Tune = radapt::tune::everything>
auto fisher_of(std::uint64_t seed) {
  Fisher<SmallNet, Tune> fisher(small_classes);
  radapt::Random random(seed);
  for (double& x : fisher.buffer()) { x = random.uniform(0.0, 2.0); }
  return fisher;
}

}  // namespace

TEST_CASE_TEMPLATE("Fisher-weighted interpolation of the golden table", T, double, float) {
  walk_family("fisher", [](TableCase& c) {
    radapt::Weights<OneTensor, T> zero_shot, tuned;
    Fisher<OneTensor> of_zero_shot, of_tuned;
    fill(zero_shot.tree().tensor, c.read<T>("zero_shot"));
    fill(tuned.tree().tensor, c.read<T>("tuned"));
    fill(of_zero_shot.tree().tensor, c.read<double>("fisher_zero_shot"));
    fill(of_tuned.tree().tensor, c.read<double>("fisher_tuned"));
    const auto mixed = radapt::fisher_interpolate(c.scalar<double>("alpha"), zero_shot, tuned, of_zero_shot, of_tuned,
                                                  c.scalar<double>("floor"));
    const auto& leaf = mixed.tree().tensor;
    CHECK(table_error(std::vector<T>(leaf.data, leaf.data + leaf.size()), c.read<double>("interpolated")) <
          bounds<T>::tables);
  });
}

TEST_CASE("equal Fisher informations give the plain interpolation") {
  const auto a = small_net(1), b = small_net(2);
  const auto fisher = fisher_of(3);
  for (const double alpha : {0.1, 0.5, 0.8}) {
    CAPTURE(alpha);
    const auto mixed = radapt::fisher_interpolate(alpha, a, b, fisher, fisher);
    // The common factor is multiplied in and divided out: a few roundings of numbers near one.
    CHECK(normalised_error(mixed.buffer().begin(), radapt::interpolate(alpha, a, b).buffer().begin(),
                           mixed.buffer().size()) < 1e-14);
  }
}

TEST_CASE("the ends are returned bit for bit, and an element is drawn to where its information is") {
  const auto a = small_net(1), b = small_net(2);
  const auto f0 = fisher_of(3), f1 = fisher_of(4);
  CHECK(same_bits(radapt::fisher_interpolate(0.0, a, b, f0, f1), a));
  CHECK(same_bits(radapt::fisher_interpolate(1.0, a, b, f0, f1), b));

  Fisher<SmallNet> none(small_classes), much(small_classes);
  for (double& x : much.buffer()) { x = 1.0; }
  const auto mixed = radapt::fisher_interpolate(0.5, a, b, none, much, 1e-8);
  for (Index i = 0; i < a.buffer().size(); ++i) {
    // The weight of `a` is the floor, 1e-8.
    CHECK(std::abs(mixed.buffer()[i] - b.buffer()[i]) <= 1.01e-8 * std::abs(a.buffer()[i] - b.buffer()[i]));
  }
  const auto plain = radapt::fisher_interpolate(0.5, a, b, none, none);
  CHECK(normalised_error(plain.buffer().begin(), radapt::interpolate(0.5, a, b).buffer().begin(),
                         plain.buffer().size()) < 1e-14);
}

TEST_CASE("tensors without information are interpolated plainly, bit for bit") {
  const auto a = small_net(1), b = small_net(2);
  const auto f0 = fisher_of<OnlyHead>(3), f1 = fisher_of<OnlyHead>(4);
  const auto mixed = radapt::fisher_interpolate(0.3, a, b, f0, f1);
  const auto plain = radapt::interpolate(0.3, a, b);
  radapt::each_named(
      [&](const std::string& name, const auto& x, const auto& y) {
        CAPTURE(name);
        CHECK(std::equal(x.data, x.data + x.size(), y.data) == !name.starts_with("head"));
      },
      "", mixed.tree(), plain.tree());
}

TEST_CASE("the diagonal estimate is the mean of squared gradients of single samples") {
  const auto net = small_net(6);
  const SmallData data(7);
  SmallHeldOut loss(small_classes, {.batch = 1});
  Shown shown;
  const auto fisher = radapt::diagonal_fisher<OnlyHead>(
      net, 7, [&](Index i, SmallWeights& gradient) { loss(net, data.sample(i), gradient); }, shown.options());
  CHECK(shown.text.find("fisher 100% 7/7") != std::string::npos);

  // The gradient of a cross entropy by the bias of the head is p - onehot; p comes from the losses of all labels.
  std::vector<double> expected(small_classes, 0.0);
  for (Index i = 0; i < 7; ++i) {
    double total = 0;
    std::vector<double> p(small_classes);
    for (Index k = 0; k < small_classes; ++k) {
      auto sample = data.sample(i);
      const std::int32_t label = static_cast<std::int32_t>(k);
      sample.labels = {&label, 1};
      SmallWeights unused(small_classes);
      p[k] = std::exp(-loss(net, sample, unused));  // the loss is -log p of the label
      total += p[k];
    }
    CHECK(std::abs(total - 1) < 1e-12);
    for (Index k = 0; k < small_classes; ++k) {
      const double g = p[k] - (static_cast<Index>(data.labels[i]) == k ? 1.0 : 0.0);
      expected[k] += g * g / 7;
    }
  }
  const auto& bias = radapt::child<"head">(fisher.tree()).bias;
  CHECK(normalised_error(bias.data, expected.data(), small_classes) < 1e-12);

  // One sample: the square of its gradient, whatever the tensor.
  SmallWeights gradient(small_classes);
  loss(net, data.sample(2), gradient);
  const auto single = radapt::diagonal_fisher(
      net, 1, [&](Index, SmallWeights& g) { loss(net, data.sample(2), g); }, quiet());
  radapt::each(
      [](const auto& f, const auto& g) {
        for (Index i = 0; i < f.size(); ++i) { CHECK(f.data[i] == g.data[i] * g.data[i]); }
      },
      single.tree(), gradient.tree());
}

TEST_CASE("bad input of Fisher-weighted interpolation is told apart") {
  const auto a = small_net(1), b = small_net(2);
  const auto f = fisher_of(3);
  const auto mix = [&](double alpha, double floor = 1e-8) {
    return error_of([&] { radapt::fisher_interpolate(alpha, a, b, f, f, floor); });
  };
  CHECK(mix(std::numeric_limits<double>::quiet_NaN()).find("alpha") != std::string::npos);
  CHECK(mix(1.5).find("from 0 (zero-shot) to 1") != std::string::npos);
  CHECK(mix(0.5, 0.0).find("floor") != std::string::npos);
  CHECK(mix(0.5).empty());

  auto broken = fisher_of(3);
  radapt::child<"head">(broken.tree()).weight.data[1] = std::numeric_limits<double>::quiet_NaN();
  CHECK(fails_with("'head.weight'", [&] { radapt::fisher_interpolate(0.5, a, b, f, broken); }));
  radapt::child<"head">(broken.tree()).weight.data[1] = -1;
  CHECK(fails_with("at least 0", [&] { radapt::fisher_interpolate(0.5, a, b, broken, f); }));

  const SmallWeights more(small_classes + 1);
  CHECK(fails_with("classes", [&] { radapt::fisher_interpolate(0.5, a, more, f, f); }));
  CHECK(fails_with("classes", [&] { radapt::fisher_interpolate(0.5, a, b, f, Fisher<SmallNet>(2)); }));
  CHECK(fails_with("sample", [&] {
    radapt::diagonal_fisher(
        a, 0, [](Index, SmallWeights&) {}, quiet());
  }));
  CHECK(fails_with("classes", [&] { radapt::interpolate(0.5, a, more); }));
  CHECK(fails_with("alpha", [&] { radapt::interpolate(std::numeric_limits<double>::quiet_NaN(), a, b); }));
}
