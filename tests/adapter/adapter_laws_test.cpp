/// Laws of R-Adapter's layers (methods.md 10), for full and low rank, with and without a learned scale.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/adapter/r_adapter.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/core/weights.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::DropGranularity;
using radapt::Index;

namespace {

constexpr Index width = 8, count = 3, length = 2, rows = count * length;
using X = radapt::Tokens<width>;
using Site = radapt::site::Site<radapt::site::after_attention, radapt::role::tower::text>;
using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;
using radapt::full;
using radapt::learned_scale;
using radapt::low_rank;
using radapt::no_scale;

template <class Rank, class Scale, class S>
struct Kind {
  using T = typename S::T;
  using backend = typename S::backend;
  using layer = typename radapt::RAdapter<Rank, Scale>::template at<Site, width>;
};
using EveryKind = std::tuple<Kind<full, learned_scale, InDouble>, Kind<full, no_scale, InDouble>,
                             Kind<low_rank<3>, learned_scale, InDouble>, Kind<low_rank<3>, no_scale, InDouble>,
                             Kind<full, learned_scale, InFloat>, Kind<full, no_scale, InFloat>,
                             Kind<low_rank<3>, learned_scale, InFloat>, Kind<low_rank<3>, no_scale, InFloat>>;

/// Both sides of a law are sums of some twenty products of numbers around one, in another order: a few units in the
/// last place of the largest.
template <class T>
constexpr double rounding = sizeof(T) == 8 ? 1e-14 : 2e-6;

template <class T>
std::vector<T> random_values(Index n, std::uint64_t seed) {
  radapt::Random random(seed);
  std::vector<T> values(n);
  for (T& x : values) { x = static_cast<T>(random.normal()); }
  return values;
}

template <class K>
radapt::Weights<typename K::layer, typename K::T> random_adapter(std::uint64_t seed) {
  radapt::Weights<typename K::layer, typename K::T> weights;
  radapt::Random random(seed);
  radapt::each(
      [&](auto& leaf) {
        std::generate_n(leaf.data, leaf.size(), [&] { return static_cast<typename K::T>(0.5 * random.normal()); });
      },
      weights.tree());
  return weights;
}

/// h(x) under a phase.
template <class K, class W>
std::vector<typename K::T> run_adapter(const W& weights, const std::vector<typename K::T>& x,
                                       const radapt::Phase& phase) {
  using T = typename K::T;
  using Plan = radapt::Plan<typename K::layer, X, T, radapt::tune::nothing, false>;
  radapt::Context<typename K::backend> c;
  c.sequences = {.count = count, .uniform_length = length};
  c.phase = phase;
  c.arena.reserve(0, Plan::forward_scratch(c.sequences.extent()));
  std::vector<T> h(x.size());
  radapt::Unsaved none;
  K::layer::template forward<T, X>(c, weights.tree(), radapt::View<const T, X>{x.data(), rows},
                                   radapt::View<T, X>{h.data(), rows}, none);
  return h;
}
radapt::Phase evaluation(double alpha) {
  radapt::Phase phase;
  phase.adapter_alpha = alpha;
  return phase;
}
radapt::Phase training(double drop, DropGranularity granularity, const std::uint8_t* const* masks) {
  radapt::Phase phase;
  phase.training = true;
  phase.adapter_drop = drop;
  phase.granularity = granularity;
  phase.given_masks = masks;
  return phase;
}

/// A linear layer in front of an adapter: out_proj is square, c_proj four times as wide.
template <class T>
struct Host {
  Index in;
  std::vector<T> weight, bias;
  explicit Host(Index width_in)
      : in(width_in), weight(random_values<T>(width * in, 1)), bias(random_values<T>(width, 2)) {}

  template <class K, class W>
  Host folded(double alpha, const W& adapter) const {
    Host out = *this;
    K::layer::fold(alpha, adapter.tree(), radapt::Matrix<T>(out.weight.data(), width, in),
                   radapt::Vector<T>(out.bias.data(), width));
    return out;
  }
  template <class Backend>
  std::vector<T> operator()(const std::vector<T>& x) const {
    radapt::Context<Backend> c;
    std::vector<T> y(rows * width);
    radapt::run(c, radapt::op::linear_forward<T>{.y = {y.data(), rows, width},
                                                 .x = {x.data(), rows, in},
                                                 .weight = {weight.data(), width, in},
                                                 .bias = {bias.data(), width}});
    return y;
  }
};

/// Calls f(mask, probability) for every mask of n entries when each is dropped with probability p.
template <class F>
void for_each_mask(Index n, double p, F&& f) {
  for (std::uint32_t bits = 0; bits < (1u << n); ++bits) {
    std::vector<std::uint8_t> mask(n);
    double probability = 1;
    for (Index i = 0; i < n; ++i) {
      mask[i] = static_cast<std::uint8_t>((bits >> i) & 1u);
      probability *= mask[i] != 0 ? 1 - p : p;
    }
    f(mask, probability);
  }
}

// Rank 0 and a rank of at least the width are full; anything between is low.
template <class Rank>
using at_width = typename radapt::RAdapter<Rank>::template at<Site, width>;
static_assert(std::is_same_v<at_width<low_rank<width>>, at_width<full>>);
static_assert(std::is_same_v<at_width<low_rank<width + 1>>, at_width<full>>);
static_assert(std::is_same_v<at_width<low_rank<0>>, at_width<full>>);
static_assert(!std::is_same_v<at_width<low_rank<width - 1>>, at_width<full>>);
static_assert(radapt::count<at_width<low_rank<width - 1>>>() == 2 * width * (width - 1) + 1);

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("an adapter starts as the identity, bit for bit", K, starts_as_identity) {
  radapt::Weights<typename K::layer, typename K::T> weights;
  radapt::Random random(3);
  K::layer::initialise(weights.tree(), random);
  const auto x = random_values<typename K::T>(rows * width, 4);
  CHECK(run_adapter<K>(weights, x, evaluation(1.0)) == x);
  CHECK(run_adapter<K>(weights, x, training(0.2, DropGranularity::per_sample, nullptr)) == x);
  CHECK(run_adapter<K>(random_adapter<K>(5), x, evaluation(1.0)) != x);
}
TEST_CASE_TEMPLATE_APPLY(starts_as_identity, EveryKind);

TEST_CASE_TEMPLATE_DEFINE("merged evaluation is unmerged evaluation at every alpha", K, merged_is_unmerged) {
  using T = typename K::T;
  const auto adapter = random_adapter<K>(6);
  for (const Index in : {width, 4 * width}) {
    const Host<T> host(in);
    const auto x = random_values<T>(rows * in, 7);
    const auto y = host.template operator()<typename K::backend>(x);
    for (const double alpha : {0.0, 0.3, 1.0, 1.5, -0.5}) {
      CAPTURE(in);
      CAPTURE(alpha);
      const auto merged = host.template folded<K>(alpha, adapter).template operator()<typename K::backend>(x);
      CHECK(normalised_error(merged, run_adapter<K>(adapter, y, evaluation(alpha))) < rounding<T>);
    }
  }
}
TEST_CASE_TEMPLATE_APPLY(merged_is_unmerged, EveryKind);

TEST_CASE_TEMPLATE_DEFINE("merging at alpha is weight interpolation between not merging and merging", K,
                          merge_is_linear) {
  using T = typename K::T;
  const auto adapter = random_adapter<K>(8);
  const Host<T> host(4 * width), whole = host.template folded<K>(1.0, adapter);
  const auto mixed = [](double alpha, const std::vector<T>& original, const std::vector<T>& merged) {
    std::vector<double> out;
    for (Index i = 0; i < original.size(); ++i) {
      out.push_back((1 - alpha) * static_cast<double>(original[i]) + alpha * static_cast<double>(merged[i]));
    }
    return out;
  };
  for (const double alpha : {0.0, 0.25, 0.8, 1.0, 2.0}) {
    CAPTURE(alpha);
    const auto merged = host.template folded<K>(alpha, adapter);
    CHECK(normalised_error(merged.weight, mixed(alpha, host.weight, whole.weight)) < rounding<T>);
    CHECK(normalised_error(merged.bias, mixed(alpha, host.bias, whole.bias)) < rounding<T>);
  }
  // At alpha 0 nothing is computed: what an adapter that diverged would make of the weights, and the sign of a zero.
  auto broken = random_adapter<K>(8);
  radapt::each([](auto& leaf) { leaf.data[0] = std::numeric_limits<T>::infinity(); }, broken.tree());
  Host<T> zeros = host;
  zeros.weight[1] = zeros.bias[1] = T{-0.0};
  const auto untouched = zeros.template folded<K>(0.0, broken);
  CHECK(untouched.weight == zeros.weight);
  CHECK(untouched.bias == zeros.bias);
  CHECK(std::signbit(untouched.weight[1]));
  CHECK(std::signbit(untouched.bias[1]));
}
TEST_CASE_TEMPLATE_APPLY(merge_is_linear, EveryKind);

TEST_CASE_TEMPLATE_DEFINE("the expectation over all masks is the adapter that is not dropped", K, expectation) {
  using T = typename K::T;
  const auto adapter = random_adapter<K>(9);
  const auto x = random_values<T>(rows * width, 10);
  const auto undropped = run_adapter<K>(adapter, x, evaluation(1.0));
  struct Mechanism {
    DropGranularity granularity;
    Index entries;
  };
  const Mechanism mechanisms[] = {{DropGranularity::per_sample, count},
                                  {DropGranularity::per_token_position, length},
                                  {DropGranularity::per_batch, 1}};
  for (const Mechanism& mechanism : mechanisms) {
    const DropGranularity granularity = mechanism.granularity;
    const Index entries = mechanism.entries;
    for (const double p : {0.2, 0.5}) {
      CAPTURE(entries);
      CAPTURE(p);
      std::vector<double> mean(x.size());
      bool dropped_rows_stay = true;
      for_each_mask(entries, p, [&](const std::vector<std::uint8_t>& mask, double probability) {
        const std::uint8_t* const sites[] = {mask.data()};
        const auto h = run_adapter<K>(adapter, x, training(p, granularity, sites));
        for (Index i = 0; i < h.size(); ++i) {
          mean[i] += probability * static_cast<double>(h[i]);
          const Index row = i / width;
          const Index entry = granularity == DropGranularity::per_sample           ? row / length
                              : granularity == DropGranularity::per_token_position ? row % length
                                                                                   : 0;
          dropped_rows_stay = dropped_rows_stay && (mask[entry] != 0 || h[i] == x[i]);
        }
      });
      CHECK(normalised_error(mean, undropped) < rounding<T>);
      CHECK(dropped_rows_stay);  // bit for bit
    }
  }
}
TEST_CASE_TEMPLATE_APPLY(expectation, EveryKind);

TEST_CASE_TEMPLATE("a full adapter F = U D is the low-rank adapter", S, InDouble, InFloat) {
  using T = typename S::T;
  using F = Kind<full, learned_scale, S>;
  using L = Kind<low_rank<3>, learned_scale, S>;
  const auto thin = random_adapter<L>(11);
  auto whole = random_adapter<F>(12);
  *whole.tree().s.data = *thin.tree().s.data;
  for (Index i = 0; i < width; ++i) {
    for (Index j = 0; j < width; ++j) {
      double sum = 0;
      for (Index r = 0; r < 3; ++r) {
        sum +=
            static_cast<double>(thin.tree().U.data[i * 3 + r]) * static_cast<double>(thin.tree().D.data[r * width + j]);
      }
      whole.tree().F.data[i * width + j] = static_cast<T>(sum);
    }
  }
  const auto x = random_values<T>(rows * width, 13);
  CHECK(normalised_error(run_adapter<F>(whole, x, evaluation(0.7)), run_adapter<L>(thin, x, evaluation(0.7))) <
        rounding<T>);
  const Host<T> host(width);
  const auto a = host.template folded<F>(0.7, whole), b = host.template folded<L>(0.7, thin);
  CHECK(normalised_error(a.weight, b.weight) < rounding<T>);
  CHECK(normalised_error(a.bias, b.bias) < rounding<T>);
  const auto p = F::layer::product(whole.tree()), q = L::layer::product(thin.tree());
  CHECK(normalised_error(p.data(), q.data(), static_cast<std::size_t>(p.size())) < rounding<T>);
}

TEST_CASE_TEMPLATE("without a scale the adapter is the one whose scale is one", Rank, full, low_rank<3>) {
  using Plain = Kind<Rank, no_scale, InDouble>;
  using Scaled = Kind<Rank, learned_scale, InDouble>;
  const auto plain = random_adapter<Plain>(14);
  radapt::Weights<typename Scaled::layer, double> scaled;
  radapt::each_named(
      [&](const std::string& name, auto& to) {
        *to.data = 1.0;
        radapt::each_named(
            [&](const std::string& other, const auto& from) {
              if (name == other) { std::copy(from.data, from.data + from.size(), to.data); }
            },
            "", plain.tree());
      },
      "", scaled.tree());
  const auto x = random_values<double>(rows * width, 15);
  CHECK(run_adapter<Plain>(plain, x, evaluation(0.6)) == run_adapter<Scaled>(scaled, x, evaluation(0.6)));
  CHECK(Plain::layer::product(plain.tree()) == Scaled::layer::product(scaled.tree()));
}

TEST_CASE("masks are drawn with the probability of dropping, anew for every sample, site, step and seed") {
  radapt::Phase phase;
  phase.adapter_drop = 0.2;
  constexpr Index draws = 100000;
  const auto kept = [&](const radapt::Phase& p, std::uint32_t site) {
    std::vector<bool> mask(draws);
    for (Index i = 0; i < draws; ++i) { mask[i] = p.draws_of(site).keeps(i); }
    return mask;
  };
  // A fair draw of independent entries is within four standard deviations of its mean: of 0.8, and of the 0.68 with
  // which two independent masks agree.
  const auto share = [](auto&& holds) {
    Index n = 0;
    for (Index i = 0; i < draws; ++i) { n += holds(i) ? 1u : 0u; }
    return static_cast<double>(n) / static_cast<double>(draws);
  };
  const auto within = [](double got, double expected) {
    return std::abs(got - expected) < 4 * std::sqrt(expected * (1 - expected) / static_cast<double>(draws));
  };
  const auto first = kept(phase, 0);
  CHECK(within(share([&](Index i) { return first[i]; }), 0.8));
  CHECK(kept(phase, 0) == first);
  const auto independent = [&](const std::vector<bool>& other) {
    return within(share([&](Index i) { return first[i] == other[i]; }), 0.8 * 0.8 + 0.2 * 0.2);
  };
  CHECK(independent(kept(phase, 1)));
  radapt::Phase step = phase, seed = phase, high = phase;
  step.step = 1;
  seed.seed = 1;
  high.seed = std::uint64_t{1} << 32;
  CHECK(independent(kept(step, 0)));
  CHECK(independent(kept(seed, 0)));
  CHECK(independent(kept(high, 0)));
  phase.adapter_drop = 0.0;
  const auto all = kept(phase, 0);
  CHECK(std::all_of(all.begin(), all.end(), [](bool k) { return k; }));
}
