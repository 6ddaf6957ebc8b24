/// Laws of weight interpolation and of moving averages (methods.md 10).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "ensemble/averaging.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/initialise.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/io/load.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/train/average.hpp"
#include "support/settings.hpp"
#include "support/temporary_folder.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Average;
using radapt::Index;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

constexpr Index width = 6;
using Head = radapt::Linear<width, radapt::dynamic, radapt::role::head>;
struct Small : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, vocabulary = 12;
  static constexpr radapt::TowerSize vision{64, 1, 1, 16}, text{64, 1, 1, 256};
};
using Plain = radapt::Clip<Small>;

template <class W>
W filled(W weights, std::uint64_t seed) {
  radapt::Random random(seed);
  radapt::each(
      [&](auto& leaf) {
        std::generate_n(leaf.data, leaf.size(), [&] { return static_cast<typename W::element>(random.normal()); });
      },
      weights.tree());
  return weights;
}
template <class T>
auto head(std::uint64_t seed) {
  return filled(radapt::Weights<Head, T>(5), seed);
}
bool same_bits(const auto& a, const auto& b) {
  return a.buffer().size() == b.buffer().size() && std::equal(a.buffer().begin(), a.buffer().end(), b.buffer().begin());
}

/// Logits of a head on rows of features.
template <class S, class W>
std::vector<typename S::T> logits(const W& head, const std::vector<typename S::T>& x) {
  using T = typename S::T;
  using X = radapt::Samples<width>;
  const Index rows = x.size() / width;
  radapt::Context<typename S::backend> c;
  std::vector<T> y(rows * head.classes());
  radapt::Unsaved none;
  Head::template forward<T, X>(c, head.tree(), radapt::View<const T, X>{x.data(), rows},
                               radapt::View<T, radapt::Samples<radapt::dynamic>>{y.data(), rows, head.classes()}, none);
  return y;
}

}  // namespace

TEST_CASE_TEMPLATE("interpolation returns its ends bit for bit", T, float, double) {
  const auto a = head<T>(1), b = head<T>(2);
  CHECK(same_bits(radapt::interpolate(0.0, a, b), a));
  CHECK(same_bits(radapt::interpolate(1.0, a, b), b));
  CHECK_FALSE(same_bits(radapt::interpolate(0.001, a, b), a));
  // Even where the other end holds what no arithmetic survives.
  auto broken = b;
  broken.tree().weight.data[3] = std::numeric_limits<T>::quiet_NaN();
  broken.tree().bias.data[0] = std::numeric_limits<T>::infinity();
  CHECK(same_bits(radapt::interpolate(0.0, a, broken), a));
  CHECK(same_bits(radapt::interpolate(1.0, broken, a), a));
}

TEST_CASE_TEMPLATE("interpolating a model with itself gives it back", T, float, double) {
  const auto a = head<T>(3);
  for (const double alpha : {0.1, 0.5, 0.9, 1.7, -0.3}) {
    CAPTURE(alpha);
    const auto mixed = radapt::interpolate(alpha, a, a);
    // (1 - alpha) x + alpha x in double: off by a few of its units, which f32 does not see.
    for (Index i = 0; i < a.buffer().size(); ++i) {
      const double x = static_cast<double>(a.buffer()[i]);
      CHECK(std::abs(static_cast<double>(mixed.buffer()[i]) - x) <= (sizeof(T) == 8 ? 1e-15 * std::abs(x) : 0.0));
    }
  }
}

TEST_CASE_TEMPLATE("the weight ensemble of a linear head is the ensemble of its outputs", S, InDouble, InFloat) {
  using T = typename S::T;
  const auto a = head<T>(4), b = head<T>(5);
  radapt::Random random(6);
  std::vector<T> x(7 * width);
  std::generate(x.begin(), x.end(), [&] { return static_cast<T>(random.normal()); });
  const auto of_a = logits<S>(a, x), of_b = logits<S>(b, x);
  for (const double alpha : {0.0, 0.3, 0.5, 1.0, 1.4}) {
    CAPTURE(alpha);
    std::vector<double> mixed;
    for (Index i = 0; i < of_a.size(); ++i) {
      mixed.push_back((1 - alpha) * static_cast<double>(of_a[i]) + alpha * static_cast<double>(of_b[i]));
    }
    // Sums of six products, rounded on either side.
    CHECK(normalised_error(logits<S>(radapt::interpolate(alpha, a, b), x), mixed) < (sizeof(T) == 8 ? 1e-14 : 1e-6));
  }
}

TEST_CASE("saving, loading and interpolating can change places") {
  const TemporaryFolder folder;
  radapt::Weights<Plain> a, b;
  radapt::initialise_clip(a, 1);
  radapt::initialise_clip(b, 2);
  const auto stored = [&](const radapt::Weights<Plain>& weights, radapt::names::Origin origin) {
    const auto place = folder.path() / (origin == radapt::names::Origin::open_clip ? "open_clip" : "huggingface");
    radapt::save(place, weights, origin);
    return radapt::load<Plain>(place);
  };
  constexpr auto first = radapt::names::Origin::open_clip, second = radapt::names::Origin::huggingface;
  for (const double alpha : {0.0, 0.37, 1.0}) {
    CAPTURE(alpha);
    const auto mixed = radapt::interpolate(alpha, a, b);
    CHECK(same_bits(radapt::interpolate(alpha, stored(a, first), stored(b, second)), mixed));
    CHECK(same_bits(stored(mixed, first), mixed));
    CHECK(same_bits(stored(mixed, second), mixed));
  }
}

TEST_CASE_TEMPLATE("after T constant steps the average is W + m^T (first - W)", S, InDouble, InFloat) {
  using T = typename S::T;
  const std::vector<T> first{1, -2, 0.5, 8}, value{3, 3, -1, 8};
  for (const double momentum : {0.0, 0.5, 0.9, 0.999}) {
    CAPTURE(momentum);
    Averaging<S> averaging(first);
    constexpr int steps = 40;
    std::vector<T> got;
    for (int t = 1; t <= steps; ++t) { got = averaging.follow(value, Average{.momentum = momentum}.momentum_at(1, 1)); }
    std::vector<double> expected;
    for (Index i = 0; i < first.size(); ++i) {
      const double w = static_cast<double>(value[i]);
      expected.push_back(w + std::pow(momentum, steps) * (static_cast<double>(first[i]) - w));
    }
    // Forty steps round once each, and the average forgets old roundings no faster than it forgets old values.
    CHECK(normalised_error(got, expected) < (sizeof(T) == 8 ? 1e-14 : 5e-6));
  }
}

TEST_CASE("the Beta average of a constant is the constant, and with beta 1 it is the arithmetic mean") {
  for (const double beta : {0.1, 0.5, 1.0}) {
    CAPTURE(beta);
    const Average average{.kind = Average::Kind::beta, .beta = beta};
    constexpr std::uint64_t total = 9;
    Averaging<InDouble> constant({2.5}), growing({0.0});
    std::vector<double> mean;
    for (std::uint64_t t = 1; t <= total; ++t) {
      const std::vector<double> same{2.5}, next{static_cast<double>(t)};
      CHECK(std::abs(constant.follow(same, average.momentum_at(t, total))[0] - 2.5) < 1e-14);
      mean = growing.follow(next, average.momentum_at(t, total));
    }
    // The density is symmetric, so the mean of 0..9 is 4.5 for every beta; the partial means are t/2 for beta 1 only.
    CHECK(std::abs(mean[0] - 4.5) < 1e-13);
    radapt::AscendingMomentum running;
    for (const std::uint64_t t : {1U, 2U, 5U, 6U, 3U, 4U}) {  // and back, as after a resumed run
      CHECK(running.at(average, t, total) == average.momentum_at(t, total));
    }
    if (beta == 1.0) { CHECK(std::abs(average.momentum_at(4, total) - 4.0 / 5.0) < 1e-14); }
  }
}
