/// Products of floats with constant weights at extents where they are cut: into blocks and bands of rows, panels of
/// columns, pieces of a sum, and tasks; with all that may follow a product.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "op/threads.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/core/random.hpp"
#include "support/allocations.hpp"

namespace radapt_test::float_panels {
namespace {

using namespace radapt;

/// Multiples of 1/64 from -2 to 2.
std::vector<float> numbers(Index n, std::uint32_t seed) {
  std::vector<float> all(n);
  for (Index i = 0; i < n; ++i) {
    const auto word = philox({static_cast<std::uint32_t>(i), 0, 0, 0}, {seed, 0})[0];
    all[i] = static_cast<float>(static_cast<int>(word % 257) - 128) / 64.0F;
  }
  return all;
}

struct Problem {
  Index rows, in, out;
  std::string title() const { return std::to_string(rows) + " x " + std::to_string(in) + " x " + std::to_string(out); }
};

/// Rows of every number that is multiplied at a time, with one more; more than one band; sums in two and four pieces;
/// columns of less than a panel, a panel, and more.
const std::vector<Problem>& problems() {
  static const std::vector<Problem> all{{1, 1, 1},      {2, 16, 32},   {3, 17, 31},    {5, 15, 33},  {7, 40, 16},
                                        {9, 33, 17},    {11, 70, 133}, {13, 64, 64},   {14, 48, 15}, {15, 70, 133},
                                        {20, 31, 47},   {27, 70, 40},  {28, 70, 40},   {29, 70, 40}, {50, 1025, 65},
                                        {63, 3100, 33}, {281, 70, 70}, {600, 1040, 40}};
  return all;
}

/// Numbers behind a result that nobody may write.
constexpr Index margin = 64;
constexpr float untouched = 12345.0F;

/// A result with room behind it, and what lies in the place of it before.
struct Guarded {
  explicit Guarded(Index n) : all(n + margin, untouched), size(n) { std::fill_n(all.data(), n, std::nanf("")); }
  float* data() { return all.data(); }
  bool rest_is_untouched() const {
    return std::all_of(all.begin() + static_cast<std::ptrdiff_t>(size), all.end(),
                       [](float v) { return v == untouched; });
  }
  std::vector<float> values() const { return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size)}; }
  std::vector<float> all;
  Index size;
};

struct Data {
  explicit Data(const Problem& p)
      : x(numbers(p.rows * p.in, 1)),
        w(numbers(p.in * p.out, 2)),
        bias(numbers(p.out, 3)),
        residual(numbers(p.rows * p.out, 4)) {}
  std::vector<float> x, w, bias, residual;
};

/// A layer's operations on a device that was promised that w stays.
class Layer {
 public:
  explicit Layer(const Problem& p) : p_(p), data_(p) { device_.promise_constant(data_.w.data(), data_.w.size()); }

  std::vector<float> forward(bool bias = true, const op::KeptRows& kept = {}) {
    return written([&](float* y) {
      launch(device_, op::linear_forward<float>{
                          .y = {y, p_.rows, p_.out}, .x = x(), .weight = w(), .bias = bias_if(bias), .kept = kept});
    });
  }
  std::vector<float> activated(Activation kind, float* h = nullptr) {
    return written([&](float* y) {
      launch(device_, op::linear_activation_forward<float>{.y = {y, p_.rows, p_.out},
                                                           .x = x(),
                                                           .weight = w(),
                                                           .bias = bias_if(true),
                                                           .kind = kind,
                                                           .h = {h, h == nullptr ? 0 : p_.rows, p_.out}});
    });
  }
  std::vector<float> on_residual(bool bias) {
    return written([&](float* y) {
      launch(device_, op::linear_residual_forward<float>{.y = {y, p_.rows, p_.out},
                                                         .x = x(),
                                                         .residual = {data_.residual.data(), p_.rows, p_.out},
                                                         .weight = w(),
                                                         .bias = bias_if(bias)});
    });
  }
  /// x W, with W (in, out) in the place of W^T.
  std::vector<float> backward() {
    return written([&](float* y) {
      launch(device_, op::linear_backward_input<float>{
                          .dx = {y, p_.rows, p_.out}, .dy = x(), .weight = {data_.w.data(), p_.in, p_.out}});
    });
  }
  const Data& data() const { return data_; }

 private:
  Matrix<const float> x() const { return {data_.x.data(), p_.rows, p_.in}; }
  Matrix<const float> w() const { return {data_.w.data(), p_.out, p_.in}; }
  Vector<const float> bias_if(bool bias) const {
    return bias ? Vector<const float>{data_.bias.data(), p_.out} : Vector<const float>{};
  }
  template <class F>
  std::vector<float> written(F&& run) {
    Guarded y(p_.rows * p_.out), again(p_.rows * p_.out);
    run(y.data());
    CHECK(y.rest_is_untouched());
    // The second time everything has its memory, and gives the same bits.
    CHECK(Allocations::of([&] { run(again.data()); }) == 0);
    CHECK(std::equal(y.all.begin(), y.all.end(), again.all.begin(),
                     [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
    return y.values();
  }

  Problem p_;
  Data data_;
  onednn device_;
};

/// x W^T, or x W with `W` (in, out), in double.
std::vector<double> exact(const Problem& p, const Data& data, bool turned = true) {
  std::vector<double> y(p.rows * p.out);
  for (Index r = 0; r < p.rows; ++r) {
    for (Index c = 0; c < p.out; ++c) {
      double sum = 0;
      for (Index k = 0; k < p.in; ++k) {
        sum += double{data.x[r * p.in + k]} * double{data.w[turned ? c * p.in + k : k * p.out + c]};
      }
      y[r * p.out + c] = sum;
    }
  }
  return y;
}

double worst_error(const std::vector<float>& y, const std::vector<double>& expected) {
  double worst = 0;
  for (Index i = 0; i < expected.size(); ++i) {
    const double error = std::abs(double{y[i]} - expected[i]) / (1 + std::abs(expected[i]));
    if (!(error <= worst)) { worst = error; }  // not a number counts
  }
  return worst;
}

// Products are multiples of 2^-12, and sums of them, with a bias and a residual, stay below 2^12: float holds every
// partial sum exactly, in whatever order. An activation takes e^x to 2.2e-7 and rounds three times.
constexpr double activation_bound = 1e-6;

}  // namespace
}  // namespace radapt_test::float_panels

using namespace radapt_test::float_panels;

TEST_CASE("constant weights are multiplied from panels where the processor has AVX-512") {
  onednn device;
  const std::vector<float> w(64 * 64);
  CHECK(detail::cpu::panels_of(device, w.data(), 64, 64, true).data == nullptr);
  device.promise_constant(w.data(), w.size());
  const bool made = detail::cpu::panels_of(device, w.data(), 64, 64, true).data != nullptr;
#ifdef RADAPT_HAS_AVX512
  CHECK(made == detail::avx512::available<float>());
#else
  CHECK_FALSE(made);
#endif
}

TEST_CASE("products with constant weights are exact where float is, alone and with what follows them") {
  for (const Problem& p : problems()) {
    CAPTURE(p.title());
    Layer layer(p);
    const auto sums = exact(p, layer.data());
    auto with_bias = sums, with_residual = sums, with_both = sums;
    for (Index i = 0; i < sums.size(); ++i) {
      with_bias[i] += double{layer.data().bias[i % p.out]};
      with_residual[i] += double{layer.data().residual[i]};
      with_both[i] = with_bias[i] + double{layer.data().residual[i]};
    }
    CHECK(worst_error(layer.forward(false), sums) == 0);
    CHECK(worst_error(layer.forward(), with_bias) == 0);
    CHECK(worst_error(layer.on_residual(false), with_residual) == 0);
    CHECK(worst_error(layer.on_residual(true), with_both) == 0);
    CHECK(worst_error(layer.backward(), exact(p, layer.data(), false)) == 0);
    auto active = with_bias;
    for (double& v : active) { v /= 1 + std::exp(-1.702 * v); }
    Guarded h(p.rows * p.out);
    CHECK(worst_error(layer.activated(Activation::quick_gelu, h.data()), active) < activation_bound);
    CHECK(worst_error(h.values(), with_bias) == 0);
    CHECK(h.rest_is_untouched());
    CHECK(worst_error(layer.activated(Activation::quick_gelu), active) < activation_bound);
  }
}

TEST_CASE("a row's product depends neither on threads nor on the other rows") {
  const Problem many{600, 1040, 70};
  const auto expected = Layer(many).forward();
  for (const int threads : {2, 3, 5}) {
    radapt_test::use_threads(threads);
    CHECK(Layer(many).forward() == expected);
  }
  radapt_test::use_threads(1);
#ifdef RADAPT_HAS_AVX512
  if (!detail::avx512::available<float>()) { return; }  // oneDNN's products make no such promise
  for (const Index rows : {Index{1}, Index{6}, Index{15}, Index{50}, Index{300}}) {
    const auto fewer = Layer({rows, many.in, many.out}).forward();
    CHECK(std::equal(fewer.begin(), fewer.end(), expected.begin()));
  }
#endif
}

TEST_CASE("rows that are not kept stay as they are beside constant weights") {
  const Problem p{70, 33, 40};
  Layer layer(p);
  std::vector<std::uint8_t> mask(p.rows);
  for (Index r = 0; r < p.rows; ++r) { mask[r] = r % 3 != 0; }
  const auto all = layer.forward();
  const auto some = layer.forward(true, {.mask = mask.data(), .sequences = {.count = p.rows, .uniform_length = 1}});
  for (Index r = 0; r < p.rows; ++r) {
    CAPTURE(r);
    for (Index c = 0; c < p.out; ++c) {
      const float y = some[r * p.out + c];
      CHECK((mask[r] == 0 ? std::isnan(y) : y == all[r * p.out + c]));
    }
  }
}

TEST_CASE("one memory may be the weight of layers of several extents") {
  onednn device;
  const std::vector<float> w = numbers(6 * 4, 1), x = numbers(6, 2);
  device.promise_constant(w.data(), w.size());
  const auto first_of = [&](Index in, Index out) {
    std::vector<float> y(out);
    launch(device,
           op::linear_forward<float>{.y = {y.data(), 1, out}, .x = {x.data(), 1, in}, .weight = {w.data(), out, in}});
    return y;
  };
  const auto whole = first_of(4, 6), upper = first_of(4, 2);
  CHECK(std::equal(upper.begin(), upper.end(), whole.begin()));
  CHECK(first_of(6, 4).size() == 4);
  double sum = 0;
  for (Index k = 0; k < 6; ++k) { sum += double{x[k]} * double{w[k]}; }
  CHECK(double{first_of(6, 4)[0]} == doctest::Approx(sum));
}
