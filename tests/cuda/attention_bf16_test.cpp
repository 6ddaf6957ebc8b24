/// Attention of the CUDA backend on bf16, whose products are of bf16 factors.
#include <doctest/doctest.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "cases/attention.hpp"
#include "cases/reference_kernels.hpp"
#include "radapt/backend/cuda/all.hpp"
#include "radapt/core/element.hpp"
#include "radapt/core/random.hpp"

namespace {

using namespace radapt;
using radapt_test::normalised_error;
using radapt_test::cases::AttentionSize;

/// Both passes over one problem, with the same numbers in any element type.
struct Problem {
  AttentionSize size;
  std::vector<float> qkv, dy;

  /// Numbers between -1 and 1.
  explicit Problem(AttentionSize s)
      : size(std::move(s)), qkv(size.rows() * 3 * size.width()), dy(size.rows() * size.width()) {
    Random random(5);
    for (float& x : qkv) { x = static_cast<float>(random.uniform(-1, 1)); }
    for (float& x : dy) { x = static_cast<float>(random.uniform(-1, 1)); }
  }
  /// Element `column` of third `third` of a row.
  float& at(Index row, Index third, Index column) {
    return qkv[row * 3 * size.width() + third * size.width() + column];
  }
  /// Of a third, f(row, column).
  template <class F>
  void set(Index third, F&& f) {
    for (Index row = 0; row < size.rows(); ++row) {
      for (Index column = 0; column < size.width(); ++column) { at(row, third, column) = f(row, column); }
    }
  }
  void round_factors() {
    for (float& x : qkv) { x = bf16(x); }
    for (float& x : dy) { x = bf16(x); }
  }

  template <class T>
  struct Results {
    std::vector<T> y, dqkv;
    std::vector<statistic_t<T>> log_sum_exp;
  };
  /// The backward pass reads what the reference in double says of the forward pass.
  template <class T, class Backend>
  Results<T> on(Backend& device) const {
    const Index rows = size.rows(), width = size.width();
    const std::vector<T> x(qkv.begin(), qkv.end()), gradient(dy.begin(), dy.end());
    Results<T> r{std::vector<T>(rows * width), std::vector<T>(rows * 3 * width),
                 std::vector<statistic_t<T>>(rows * size.heads)};
    const Sequences sequences = size.batch.view();
    launch(device, op::attention_forward<T>{{r.y.data(), rows, width},
                                            {x.data(), rows, 3 * width},
                                            {r.log_sum_exp.data(), rows, size.heads},
                                            size.heads,
                                            size.causal,
                                            sequences});
    std::vector<T> y = r.y;
    std::vector<statistic_t<T>> log_sum_exp = r.log_sum_exp;
    if constexpr (!std::is_same_v<T, double>) {
      reference exact;
      const auto expected = on<double>(exact);
      y = std::vector<T>(expected.y.begin(), expected.y.end());
      log_sum_exp.assign(expected.log_sum_exp.begin(), expected.log_sum_exp.end());
    }
    launch(device, op::attention_backward<T>{{r.dqkv.data(), rows, 3 * width},
                                             {gradient.data(), rows, width},
                                             {y.data(), rows, width},
                                             {x.data(), rows, 3 * width},
                                             {log_sum_exp.data(), rows, size.heads},
                                             size.heads,
                                             size.causal,
                                             sequences});
    return r;
  }
};

/// One of the three parts of (rows, 3 width): dq, dk or dv.
template <class T>
std::vector<T> third_of(const Problem& problem, const std::vector<T>& dqkv, Index third) {
  const Index rows = problem.size.rows(), width = problem.size.width();
  std::vector<T> out;
  for (Index row = 0; row < rows; ++row) {
    const auto begin = dqkv.begin() + static_cast<std::ptrdiff_t>((3 * row + third) * width);
    out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
  }
  return out;
}

/// The sizes of the other backends' test, with the log sums.
const std::vector<AttentionSize>& sizes() {
  static const std::vector<AttentionSize> all = radapt_test::cases::attentions();
  return all;
}
/// Every width that the kernels pad to and some between, sequences of powers of two.
std::vector<AttentionSize> small_sizes() {
  std::vector<AttentionSize> all;
  for (const Index width : std::initializer_list<Index>{1, 5, 32, 40, 64, 80, 96, 112, 128}) {
    all.push_back({radapt_test::packed({1, 2, 32, 16, 4, 8}), 2, width});
  }
  return all;
}

}  // namespace

TEST_CASE("cuda_bf16: attention is off by roundings of the factors to bf16") {
  cuda_bf16 device;
  reference exact;
  double worst = 0;
  for (const AttentionSize& size : sizes()) {
    INFO(size.title());
    const Problem problem(size);
    const auto r = problem.on<bf16>(device);
    const auto expected = problem.on<double>(exact);
    // u = 2^-9 is half a unit in the last of 8 bits. Log sums: a score's two factors are off by u each. y and dv: so is
    // a probability, by as much again for its score, and what it is multiplied by: 4 u, and twice that where the terms
    // of a mean cancel. dq and dk: p (dp - d) is off by 2 u of either term, is rounded, and is multiplied by what is
    // off by u: twice as much. What is stored is rounded once more, by 2 u of the largest at most.
    constexpr double u = 0x1p-9;
    CHECK(normalised_error(r.log_sum_exp, expected.log_sum_exp) <= 2 * u);
    CHECK(normalised_error(r.y, expected.y) <= 10 * u);
    for (const Index third : {Index{0}, Index{1}, Index{2}}) {
      const double error = normalised_error(third_of(problem, r.dqkv, third), third_of(problem, expected.dqkv, third));
      CHECK(error <= (third == 2 ? 10 : 18) * u);
    }
    if (size.rows() > 0) { worst = std::max(worst, normalised_error(r.y, expected.y)); }
    const auto again = problem.on<bf16>(device);
    CHECK(std::equal(again.y.begin(), again.y.end(), r.y.begin()));
    CHECK(std::equal(again.dqkv.begin(), again.dqkv.end(), r.dqkv.begin()));
    CHECK(again.log_sum_exp == r.log_sum_exp);
  }
  CHECK(worst >= 1e-4);  // far more than f32
}

TEST_CASE("cuda_bf16: scores of bf16 factors are summed in float, and so are exponentials") {
  cuda_bf16 device;
  reference exact;
  for (const AttentionSize& size : sizes()) {
    INFO(size.title());
    Problem problem(size);
    problem.round_factors();
    CHECK(normalised_error(problem.on<bf16>(device).log_sum_exp, problem.on<double>(exact).log_sum_exp) <=
          radapt_test::sum_tolerance.f32);
  }
}

TEST_CASE("cuda_bf16: attention is that of the reference where nothing is lost in bf16") {
  cuda_bf16 device;
  reference exact;
  for (const AttentionSize& size : small_sizes()) {
    // Without queries or without keys, scores are 0 and probabilities 1 / T, a power of two.
    for (const Index absent : std::initializer_list<Index>{0, 1}) {
      INFO(size.title() << (absent == 0 ? ", no queries" : ", no keys"));
      Problem problem(size);
      problem.set(absent, [](Index, Index) { return 0.0F; });
      problem.round_factors();
      // Values and gradients of y in {-1, 0, 1}, in four columns: <dy, v> is in -4 .. 4, its mean over at most 32 keys
      // a multiple of 1 / 32, and their difference at most 256 of these: 8 bits.
      const auto in_four_columns = [&](Index row, Index column) {
        const Index width = size.head_width, c = column % width;
        const bool used = c == 0 || c == width / 3 || c == width / 2 || c == width - 1;
        return used ? static_cast<float>((row * 7 + column * 5 + row * column) % 3) - 1.0F : 0.0F;
      };
      problem.set(2, in_four_columns);
      for (Index row = 0; row < size.rows(); ++row) {
        for (Index c = 0; c < size.width(); ++c) { problem.dy[row * size.width() + c] = in_four_columns(row + 1, c); }
      }
      const auto r = problem.on<bf16>(device);
      const auto expected = problem.on<double>(exact);
      // Means of values are stored as they are; the gradients of q and k have a factor 1 / sqrt(width).
      CHECK(normalised_error(r.y, expected.y) <= radapt_test::sum_tolerance.f32);
      CHECK(normalised_error(r.log_sum_exp, expected.log_sum_exp) <= radapt_test::sum_tolerance.f32);
      for (const Index third : {Index{0}, Index{1}, Index{2}}) {
        const double error =
            normalised_error(third_of(problem, r.dqkv, third), third_of(problem, expected.dqkv, third));
        CHECK(error <= (third == 2 ? radapt_test::sum_tolerance.f32 : radapt_test::sum_tolerance.of<bf16>()));
      }
    }
  }
}

TEST_CASE("cuda_bf16: a query that sees one key far above the others gets that key's value") {
  cuda_bf16 device;
  for (const bool causal : {false, true}) {
    for (const Index width : std::initializer_list<Index>{32, 64, 80, 128}) {
      INFO(width << (causal ? ", causal" : ""));
      constexpr Index length = 150;
      Problem problem(AttentionSize{radapt_test::uniform(1, length), 1, width, causal});
      // Key j is the number j in binary, as signs; query i is 256 times the key that it looks for. The score of any
      // other key is lower by 64 sqrt(width) or more: its exponential is 0.
      const auto sought = [&](Index i) { return causal ? i / 2 : (i * 37 + 11) % length; };
      const auto code = [](Index j, Index column) { return (j >> (column % 8)) % 2 == 0 ? 1.0F : -1.0F; };
      problem.set(0, [&](Index row, Index column) { return 256.0F * code(sought(row), column); });
      problem.set(1, [&](Index row, Index column) { return code(row, column); });
      problem.round_factors();
      const auto r = problem.on<bf16>(device);
      Index wrong = 0;
      for (Index row = 0; row < length; ++row) {
        for (Index column = 0; column < width; ++column) {
          if (static_cast<float>(r.y[row * width + column]) != problem.at(sought(row), 2, column)) { ++wrong; }
        }
      }
      CHECK(wrong == 0);
    }
  }
}
