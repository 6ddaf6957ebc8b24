/// Laws of the contrastive losses (methods.md 10): derivatives, special cases and symmetries that need no golden
/// values.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "loss/contrastive_run.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/core/random.hpp"
#include "radapt/loss/contrastive.hpp"
#include "radapt/loss/mpm_nce.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;
using Labels = std::vector<std::int32_t>;

/// Two sides of one law are computed in the same precision with sums in another order: some 1e-16 or 1e-7 for each, and
/// the temperature of 0.1 multiplies the error of a cosine by ten.
template <class T>
constexpr double rounding = sizeof(T) == 8 ? 1e-13 : 1e-5;

constexpr Index batch = 6, width = 5;
const Labels groups{0, 1, 0, 2, 1, 0};
constexpr double tau = 0.1;

template <class T>
Pairs<T> random_pairs(std::uint64_t seed, Index n = batch) {
  Pairs<T> pairs{.batch = n, .width = width, .image = std::vector<T>(n * width), .text = std::vector<T>(n * width)};
  radapt::Random random(seed);
  for (auto* v : {&pairs.image, &pairs.text}) {
    for (T& x : *v) { x = static_cast<T>(random.normal()); }
  }
  pairs.log_scale = static_cast<T>(std::log(1 / tau));
  return pairs;
}

// The losses that every law is applied to. A loss whose targets ignore the groups is given them all the same.
struct MarginAndSmoothing {
  static auto loss() { return radapt::loss::MpmNce{.tau = tau, .margin = 0.05, .smoothing = 0.1}; }
};
struct PlainPositives {
  static auto loss() { return radapt::loss::MpmNce{.tau = tau, .margin = 0.0, .smoothing = 0.0}; }
};
struct Diagonal {
  static auto loss() { return radapt::loss::Contrastive{}; }
};

template <class L, class Chosen>
struct Law {
  using S = Chosen;
  using T = typename S::T;
  static auto run(const Pairs<T>& pairs, const Labels& labels) { return contrastive<S>(L::loss(), pairs, labels); }
};

template <class T>
Pairs<T> permuted(const Pairs<T>& pairs, const std::vector<Index>& order) {
  Pairs<T> out = pairs;
  for (Index i = 0; i < pairs.batch; ++i) {
    std::copy_n(pairs.image.begin() + static_cast<std::ptrdiff_t>(order[i] * width), width,
                out.image.begin() + static_cast<std::ptrdiff_t>(i * width));
    std::copy_n(pairs.text.begin() + static_cast<std::ptrdiff_t>(order[i] * width), width,
                out.text.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
  return out;
}

/// The loss by its formula with the margin taken from the positives instead of added to the negatives (CosFace).
template <class R>
double with_lowered_positives(const R& r, Index n, double margin) {
  std::vector<double> z(n * n);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j) {
      double cosine = 0;
      for (Index e = 0; e < width; ++e) {
        cosine += static_cast<double>(r.image[i * width + e]) * static_cast<double>(r.text[j * width + e]);
      }
      z[i * n + j] = (cosine - (r.targets.labels[i] == r.targets.labels[j] ? margin : 0.0)) / tau;
    }
  }
  double loss = 0;
  for (Index i = 0; i < n; ++i) {
    double row = 0, column = 0;
    for (Index j = 0; j < n; ++j) {
      row += std::exp(z[i * n + j]);
      column += std::exp(z[j * n + i]);
    }
    for (Index j = 0; j < n; ++j) {
      loss -= r.target(i, j) * (z[i * n + j] - std::log(row) + z[j * n + i] - std::log(column));
    }
  }
  return loss / static_cast<double>(2 * n);
}

}  // namespace

TEST_CASE_TEMPLATE("gradients are central differences", L, MarginAndSmoothing, PlainPositives, Diagonal) {
  const auto run = [](const Pairs<double>& pairs) { return Law<L, InDouble>::run(pairs, groups); };
  const auto pairs = random_pairs<double>(1);
  const auto got = run(pairs);
  // With step h the difference is off by h^2/6 third derivatives, which grow with 1/tau^3: 1e-7 of the gradient. The
  // rounding of the loss, 1e-16/h, is a hundred times below that.
  constexpr double h = 1e-5, bound = 1e-6;
  const auto difference = [&](auto change) {
    Pairs<double> above = pairs, below = pairs;
    change(above, h);
    change(below, -h);
    return (run(above).loss - run(below).loss) / (2 * h);
  };
  std::vector<double> dimage, dtext;
  for (Index i = 0; i < batch * width; ++i) {
    dimage.push_back(difference([&](auto& p, double by) { p.image[i] += by; }));
    dtext.push_back(difference([&](auto& p, double by) { p.text[i] += by; }));
  }
  CHECK(normalised_error(got.dimage, dimage) < bound);
  CHECK(normalised_error(got.dtext, dtext) < bound);
  const double dscale = difference([](auto& p, double by) { p.log_scale += by; });
  CHECK(std::abs(got.dlog_scale - dscale) < bound * std::max(1.0, std::abs(dscale)));
}

TEST_CASE_TEMPLATE("with distinct labels, no margin and no smoothing MPM-NCE is InfoNCE", S, InDouble, InFloat) {
  using T = typename S::T;
  const auto pairs = random_pairs<T>(2);
  const auto mpm = contrastive<S>(PlainPositives::loss(), pairs, Labels{5, 3, 8, 1, 0, 9});
  const auto unlabelled = contrastive<S>(PlainPositives::loss(), pairs, {});
  const auto info = contrastive<S>(Diagonal::loss(), pairs, {});
  // exp(log(10)) rounds the scale itself, once, in the precision of T.
  CHECK(std::abs(mpm.loss - info.loss) < rounding<T> * info.loss);
  CHECK(normalised_error(mpm.dimage, info.dimage) < rounding<T>);
  CHECK(normalised_error(mpm.dtext, info.dtext) < rounding<T>);
  CHECK(mpm.loss == unlabelled.loss);
  CHECK(mpm.dimage == unlabelled.dimage);
}

TEST_CASE_TEMPLATE("the targets of every row sum to one", S, double, float) {
  struct Case {
    const char* name;
    Labels labels;
    Index size;
  };
  const Case cases[] = {{"mixed", groups, batch},
                        {"all distinct", {3, 1, 4, 2}, 4},
                        {"all equal, no negatives", {7, 7, 7}, 3},
                        {"one row", {0}, 1},
                        {"no labels", {}, 5},
                        {"no labels, one row", {}, 1}};
  for (const Case& one : cases) {
    CAPTURE(one.name);
    for (const double smoothing : {0.0, 0.02, 0.5, 1.0}) {
      CAPTURE(smoothing);
      radapt::loss::ContrastiveTargets<S> targets(one.size);
      radapt::loss::MpmNce{.smoothing = smoothing}.targets(one.labels, targets);
      for (Index i = 0; i < one.size; ++i) {
        double sum = 0;
        for (Index j = 0; j < one.size; ++j) {
          sum +=
              static_cast<double>(targets.labels[i] == targets.labels[j] ? targets.positive[i] : targets.negative[i]);
        }
        // At most six numbers, each rounded once to S.
        CHECK(std::abs(sum - 1) < (sizeof(S) == 8 ? 1e-15 : 1e-6));
        CHECK(targets.positive[i] >= 0);
        CHECK(targets.negative[i] >= 0);
      }
    }
  }
}

TEST_CASE_TEMPLATE("a margin on negatives is the same margin taken from positives", S, InDouble, InFloat) {
  using T = typename S::T;
  for (const double margin : {0.0, 0.05, 0.4}) {
    CAPTURE(margin);
    const radapt::loss::MpmNce loss{.tau = tau, .margin = margin, .smoothing = 0.1};
    const auto got = contrastive<S>(loss, random_pairs<T>(3), groups);
    CHECK(std::abs(got.loss - with_lowered_positives(got, batch, margin)) < rounding<T> * got.loss);
  }
}

TEST_CASE_TEMPLATE("the order of the pairs in a batch does not matter", L, Law<MarginAndSmoothing, InDouble>,
                   Law<PlainPositives, InDouble>, Law<Diagonal, InDouble>, Law<MarginAndSmoothing, InFloat>,
                   Law<Diagonal, InFloat>) {
  using T = typename L::T;
  const std::vector<Index> order{4, 2, 0, 5, 1, 3};
  const auto pairs = random_pairs<T>(4);
  Labels labels(batch);
  for (Index i = 0; i < batch; ++i) { labels[i] = groups[order[i]]; }
  const auto got = L::run(pairs, groups), other = L::run(permuted(pairs, order), labels);
  CHECK(std::abs(got.loss - other.loss) < rounding<T> * got.loss);
  const auto expected =
      permuted(Pairs<T>{.batch = batch, .width = width, .image = got.dimage, .text = got.dtext}, order);
  CHECK(normalised_error(other.dimage, expected.image) < rounding<T>);
  CHECK(normalised_error(other.dtext, expected.text) < rounding<T>);
}

TEST_CASE_TEMPLATE("images and texts can change places", L, Law<MarginAndSmoothing, InDouble>,
                   Law<PlainPositives, InDouble>, Law<Diagonal, InDouble>, Law<MarginAndSmoothing, InFloat>,
                   Law<Diagonal, InFloat>) {
  using T = typename L::T;
  const auto pairs = random_pairs<T>(5);
  Pairs<T> swapped = pairs;
  std::swap(swapped.image, swapped.text);
  const auto got = L::run(pairs, groups), other = L::run(swapped, groups);
  CHECK(std::abs(got.loss - other.loss) < rounding<T> * got.loss);
  CHECK(normalised_error(other.dimage, got.dtext) < rounding<T>);
  CHECK(normalised_error(other.dtext, got.dimage) < rounding<T>);
}

TEST_CASE_TEMPLATE("logits of ten thousand give finite losses and gradients", S, InDouble, InFloat) {
  using T = typename S::T;
  // Cosines of exactly 1 and -1 at temperature 1e-4, whose exponentials overflow even in double.
  Pairs<T> pairs{.batch = 3, .width = 2, .image = {1, 0, -1, 0, 0, 1}, .text = {-1, 0, 1, 0, 0, 1}};
  pairs.log_scale = static_cast<T>(std::log(1e4));
  const auto finite = [](const auto& got) {
    const auto all = [](const std::vector<T>& v) {
      return std::all_of(v.begin(), v.end(), [](T x) { return std::isfinite(x); });
    };
    return std::isfinite(got.loss) && all(got.dimage) && all(got.dtext) && std::isfinite(got.dlog_scale);
  };
  const radapt::loss::MpmNce loss{.tau = 1e-4, .margin = 0.05, .smoothing = 0.02};
  const auto apart = contrastive<S>(loss, pairs, Labels{0, 1, 2});
  CHECK(finite(apart));
  CHECK(apart.loss > 1e4);  // two of three pairs are opposite: 2/3 of 2e4, less the smoothed share
  CHECK(finite(contrastive<S>(loss, pairs, Labels{0, 0, 0})));
  CHECK(finite(contrastive<S>(Diagonal::loss(), pairs, {})));
}

TEST_CASE("options out of range are refused with one sentence") {
  radapt::loss::ContrastiveTargets<double> targets(2);
  const auto with = [&](radapt::loss::MpmNce loss) { loss.targets(Labels{0, 1}, targets); };
  CHECK_NOTHROW(with({.margin = 2.0, .smoothing = 1.0}));
  CHECK_THROWS_WITH_AS(with({.smoothing = 1.1}), doctest::Contains("smoothing"), radapt::error);
  CHECK_THROWS_WITH_AS(with({.smoothing = -0.1}), doctest::Contains("smoothing"), radapt::error);
  CHECK_THROWS_WITH_AS(with({.margin = -0.1}), doctest::Contains("margin"), radapt::error);
  CHECK_THROWS_WITH_AS(with({.tau = 0.0}), doctest::Contains("tau"), radapt::error);
  CHECK_THROWS_WITH_AS(with({.tau = std::nan("")}), doctest::Contains("tau"), radapt::error);
  CHECK_THROWS_WITH_AS(with({.tau = HUGE_VAL}), doctest::Contains("a finite temperature above 0"), radapt::error);
}
