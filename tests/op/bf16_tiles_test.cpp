/// Products on tiles at extents where they are cut: into groups of columns, pieces of a sum, blocks of rows, and tasks.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "op/threads.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#include "radapt/core/random.hpp"

#ifdef RADAPT_HAS_AVX512

namespace {

using namespace radapt;
namespace on_tiles = radapt::detail::bf16_tiles;

bool can_run() {
  if (!on_tiles::available()) { MESSAGE("not run: this processor does not multiply bf16"); }
  return on_tiles::available();
}

/// Numbers that bf16 holds, from -2 to 2, with a few zeros.
template <class T>
std::vector<T> numbers(Index n, std::uint64_t seed) {
  std::vector<T> all(n);
  for (Index i = 0; i < n; ++i) {
    const auto word = philox({static_cast<std::uint32_t>(i), 0, 0, 0}, {static_cast<std::uint32_t>(seed), 0})[0];
    all[i] = T(static_cast<float>(static_cast<int>(word % 257) - 128) / 64.0F);
  }
  return all;
}

struct Problem {
  Index rows, inner, columns;
  bool turned_left, turned_right;
  std::string title() const {
    return std::to_string(rows) + " x " + std::to_string(inner) + " x " + std::to_string(columns) +
           (turned_left ? ", left turned" : "") + (turned_right ? ", right turned" : "");
  }
};

/// What is in front of, between and behind the rows of y: nothing may be written there.
constexpr float untouched = 12345.0F;
constexpr Index margin = 3;

/// y of a product whose rows lie `margin` numbers apart, in memory that holds `begin` before.
template <class Y, class X>
std::vector<Y> product(const Problem& p, on_tiles::Result<Y> result, Y begin) {
  const auto x = numbers<X>(p.rows * p.inner, 1);
  const auto w = numbers<float>(p.inner * p.columns, 2);
  on_tiles::Blocking cut{p.inner, p.columns};
  cut.band_bytes = Index{1} << 20;  // so that extents of a test have several bands on tile registers, too
  Buffer<bf16> tiles(cut.elements());
  on_tiles::take_right_factor(tiles.data(), cut, w.data(), p.turned_right ? p.inner : p.columns, p.turned_right);
  const on_tiles::LeftFactor<X> left{x.data(), p.rows, p.inner, p.turned_left ? p.rows : p.inner, p.turned_left};
  Buffer<char> room(on_tiles::product_room(left, cut) * detail::cpu::thread_count());
  std::vector<Y> y((p.rows + 1) * (p.columns + margin), Y(untouched));
  for (Index r = 0; r < p.rows; ++r) { std::fill_n(y.data() + margin + r * (p.columns + margin), p.columns, begin); }
  result.y = y.data() + margin;
  result.stride = p.columns + margin;
  on_tiles::multiply(result, left, tiles.data(), cut, room.data());
  return y;
}

/// The largest difference from what `expect` makes of the exact sums, relative to 1 + |expected|; -1 when something
/// beside y was written.
template <class Y>
double worst_error(const Problem& p, const std::vector<Y>& y, const std::function<double(double, Index)>& expect) {
  const auto x = numbers<float>(p.rows * p.inner, 1), w = numbers<float>(p.inner * p.columns, 2);
  double worst = 0;
  for (Index r = 0; r <= p.rows; ++r) {
    for (Index c = 0; c < margin; ++c) {
      if (static_cast<float>(y[r * (p.columns + margin) + c]) != static_cast<float>(Y(untouched))) { return -1; }
    }
  }
  for (Index r = 0; r < p.rows; ++r) {
    for (Index c = 0; c < p.columns; ++c) {
      double sum = 0;
      for (Index k = 0; k < p.inner; ++k) {
        sum += static_cast<double>(p.turned_left ? x[k * p.rows + r] : x[r * p.inner + k]) *
               static_cast<double>(p.turned_right ? w[c * p.inner + k] : w[k * p.columns + c]);
      }
      const double expected = expect(sum, c);
      const double got = static_cast<double>(static_cast<float>(y[margin + r * (p.columns + margin) + c]));
      worst = std::max(worst, std::abs(got - expected) / (1 + std::abs(expected)));
    }
  }
  return worst;
}

/// Two bands of rows with two groups of columns; two bands of several spans and pieces of a sum.
std::vector<Problem> problems_of_bands() { return {{1030, 1024, 300, false, false}, {1060, 1056, 33, false, false}}; }

/// One of everything else that is cut, and one more. Rows of the first are 4 KB apart.
std::vector<Problem> problems() {
  std::vector<Problem> all{{65, 2048, 40, false, false}, {180, 1056, 33, false, false}};
  for (const auto& [rows, inner, columns] : {std::array<Index, 3>{1, 1, 1},
                                             {12, 40, 33},
                                             {16, 32, 32},
                                             {17, 33, 33},
                                             {23, 65, 31},
                                             {33, 257, 31},
                                             {40, 600, 1050},
                                             {33, 3100, 31},
                                             {40, 1060, 570}}) {
    for (const bool left : {false, true}) {
      for (const bool right : {false, true}) { all.push_back({rows, inner, columns, left, right}); }
    }
  }
  return all;
}

// Sums of at most 3,100 products of numbers with 8 bits below 4: float holds them to 2e-7 of the sum of magnitudes,
// 3,100, and errors of that size do not add up in one direction. Relative to 1 + |sum|.
constexpr double sum_error = 2e-5;
constexpr double bf16_error = 0x1p-8;

}  // namespace

TEST_CASE("bf16 products on tiles are the exact sums, whatever is cut and however many threads there are") {
  if (!can_run()) { return; }
  std::vector<Problem> all = problems();
  for (const Problem& p : problems_of_bands()) { all.push_back(p); }
  for (const Problem& p : all) {
    INFO(p.title());
    std::vector<float> alone;
    for (const int threads : {1, 2, 5}) {
      radapt_test::use_threads(threads);
      const auto y = product<float, bf16>(p, {}, 0.0F);
      if (threads == 1) {
        alone = y;
        const double worst = worst_error(p, y, [](double sum, Index) { return sum; });
        CHECK(worst >= 0);
        CHECK(worst <= sum_error);
      }
      CHECK(y == alone);
    }
    radapt_test::use_threads(1);
    CHECK(product<float, float>(p, {}, 0.0F) == alone);  // floats that bf16 holds
  }
}

TEST_CASE("Rows of a left factor are read in place where their lines have room beside each other in a first cache") {
  using on_tiles::rows_share_cache;
  struct Case {
    Index rows, stride;
    long bytes, ways;
    bool share;
  };
  for (const Case& c :
       {Case{11, 8192, 32 << 10, 8, false},  // one set of eight ways
        Case{11, 4096, 32 << 10, 8, false}, Case{11, 12288, 32 << 10, 8, false}, Case{8, 4096, 32 << 10, 8, true},
        Case{11, 2048, 32 << 10, 8, true},  // two sets, six in one
        Case{11, 1536, 32 << 10, 8, true},  // eight sets
        Case{11, 6144, 32 << 10, 8, true}, Case{11, 4096 + 64, 32 << 10, 8, true}, Case{11, 8192, 48 << 10, 12, true},
        Case{13, 8192, 48 << 10, 12, false}, Case{11, 8192, 0, 0, true},  // nothing is known of the cache
        Case{11, 8192, -1, -1, true}}) {
    INFO(c.rows, " rows, ", c.stride, " bytes apart, ", c.bytes, " bytes, ", c.ways, " ways");
    CHECK(rows_share_cache(c.rows, c.stride, c.bytes, c.ways) == c.share);
  }
}

TEST_CASE("bf16 products on tiles add to what there is, times a factor") {
  if (!can_run()) { return; }
  for (const Problem& p : problems()) {
    INFO(p.title());
    const auto y = product<float, bf16>(p, {.y = nullptr, .stride = 0, .add = true, .factor = -0.5F}, 3.0F);
    const double worst = worst_error(p, y, [](double sum, Index) { return 3 - 0.5 * sum; });
    CHECK(worst >= 0);
    CHECK(worst <= sum_error);
  }
}

TEST_CASE("bf16 products on tiles end with a bias and an activation, each rounded once") {
  if (!can_run()) { return; }
  const auto of = [](Activation kind, double x) {
    switch (kind) {
      case Activation::quick_gelu:
        return x / (1 + std::exp(-1.702 * x));
      case Activation::gelu:
        return x / 2 * std::erfc(-x / std::sqrt(2.0));
      case Activation::gelu_tanh:
        return x / 2 * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
      case Activation::relu:
        return std::max(0.0, x);
    }
    return x;
  };
  for (const Activation kind : {Activation::quick_gelu, Activation::gelu, Activation::gelu_tanh, Activation::relu}) {
    for (const Problem& p : problems()) {
      INFO(p.title());
      const auto bias = numbers<float>(p.columns, 3);
      const auto expect = [&](double sum, Index c) { return of(kind, sum + static_cast<double>(bias[c])); };
      const auto y = product<bf16, bf16>(p, {.y = nullptr, .stride = 0, .bias = bias.data(), .activation = kind}, {});
      const double worst = worst_error(p, y, expect);
      CHECK(worst >= 0);
      CHECK(worst <= 2 * bf16_error + sum_error);  // of the sum, at slopes up to 1.13, and of the result
      const auto wide =
          product<float, bf16>(p, {.y = nullptr, .stride = 0, .bias = bias.data(), .activation = kind}, {});
      CHECK(worst_error(p, wide, expect) <= sum_error);  // exponentials and erf: 3e-7 |x|
    }
  }
}

TEST_CASE("what is between a bf16 product and its activation is rounded, whether it is kept or not") {
  if (!can_run()) { return; }
  constexpr Activation kind = Activation::quick_gelu;
  for (const Problem& p : problems()) {
    INFO(p.title());
    const auto bias = numbers<float>(p.columns, 3);
    const on_tiles::Result<bf16> plain{.y = nullptr, .stride = 0, .bias = bias.data()};
    const auto h = product<bf16, bf16>(p, plain, {});
    std::vector<bf16> kept(h.size(), bf16(untouched)), y(h.size());
    auto with_activation = plain, keeping = plain;
    with_activation.activation = keeping.activation = kind;
    keeping.h = kept.data() + margin;
    const auto alone = product<bf16, bf16>(p, with_activation, {}), both = product<bf16, bf16>(p, keeping, {});
    const auto same = [](const std::vector<bf16>& a, const std::vector<bf16>& b) {
      return std::equal(a.begin(), a.end(), b.begin(), [](bf16 one, bf16 other) { return one.bits == other.bits; });
    };
    y = h;  // what lies between rows of a result is the same in all of them
    for (Index r = 0; r < p.rows; ++r) {
      const Index first = margin + r * (p.columns + margin);
      detail::avx512::activate(kind, y.data() + first, h.data() + first, p.columns);
    }
    CHECK(same(kept, h));
    CHECK(same(both, alone));
    CHECK(same(both, y));
  }
}

TEST_CASE("what is not a number in a bf16 product stays in its row") {
  if (!can_run()) { return; }
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    onednn_bf16 device;
    const Index rows = 35, inner = 40, columns = 20;
    std::vector<bf16> x(rows * inner, bf16(1.0F)), y(rows * columns);
    const std::vector<float> w(inner * columns, 0.5F);
    x[33 * inner + 39] = bf16(odd);
    const on_tiles::Result<bf16> result{.y = y.data(), .stride = columns, .activation = Activation::quick_gelu};
    device.products().multiply(result, x.data(), rows, inner, columns, w.data(), false, device.constant());
    for (Index r = 0; r < rows; ++r) {
      for (Index c = 0; c < columns; ++c) {
        const float got = y[r * columns + c];
        if (r != 33) { CHECK(got == 20.0F); }
        if (r == 33) { CHECK((std::isnan(odd) ? std::isnan(got) : std::isinf(got))); }
      }
    }
  }
}

#else

TEST_CASE("bf16 products on tiles") { MESSAGE("not run: this compiler or processor family has no AVX-512"); }

#endif
