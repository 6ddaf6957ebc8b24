/// The backend whose products are of bf16 factors: what is rounded, what is not, and the f32 backend where a processor
/// cannot multiply bf16.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "cases/linear.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/bf16.hpp"
#include "radapt/core/element.hpp"

namespace {

using namespace radapt;
using radapt_test::cases::LinearSize;

/// Rows, in and out of products with tails, and the masks of the other backends' tests.
std::vector<LinearSize> sizes() {
  std::vector<LinearSize> all = radapt_test::cases::masked_products();
  for (const LinearSize& s : {LinearSize{1, 1, 1}, LinearSize{5, 3, 9}, LinearSize{130, 65, 71}, LinearSize{0, 3, 2}}) {
    all.push_back(s);
  }
  return all;
}

template <class T>
std::vector<T> widened(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}

/// One product in all three directions, with the same numbers in any element type.
struct Problem {
  LinearSize size;
  std::vector<float> x, dy, weight, bias, dw;

  Problem(LinearSize s, bool factors_are_bf16) : size(std::move(s)) {
    Random random(11);
    const auto draw = [&](Index n, bool to_bf16) {
      std::vector<float> out(n);
      for (float& v : out) {
        v = static_cast<float>(random.uniform(-1, 1));
        if (to_bf16) { v = bf16(v); }
      }
      return out;
    };
    x = draw(size.rows * size.in, factors_are_bf16);
    dy = draw(size.rows * size.out, factors_are_bf16);
    weight = draw(size.out * size.in, factors_are_bf16);
    bias = draw(size.out, false);
    dw = draw(size.out * size.in, false);
  }

  template <class T>
  struct Results {
    std::vector<T> y, dx, dw;
  };
  /// With `constant` the weights are promised to stay, which the backend may not know.
  template <class T, class Backend>
  Results<T> on(Backend& device, bool constant = false) const {
    const auto X = widened<T>(x), DY = widened<T>(dy), W = widened<T>(weight), B = widened<T>(bias);
    Results<T> r{std::vector<T>(dy.size(), T(0.5)), std::vector<T>(x.size(), T(0.5)), widened<T>(dw)};
    if constexpr (requires { device.promise_constant(W.data(), W.size()); }) {
      if (constant) { device.promise_constant(W.data(), W.size()); }
    }
    const Matrix<const T> mx{X.data(), size.rows, size.in}, mdy{DY.data(), size.rows, size.out},
        mw{W.data(), size.out, size.in};
    const op::KeptRows kept = size.mask.view();
    launch(device, op::linear_forward<T>{{r.y.data(), size.rows, size.out}, mx, mw, {B.data(), size.out}, kept});
    launch(device, op::linear_backward_input<T>{{r.dx.data(), size.rows, size.in}, mdy, mw, kept});
    launch(device, op::linear_backward_weight<T>{
                       .dw = {r.dw.data(), size.out, size.in}, .dy = mdy, .x = mx, .factor = -0.5, .kept = kept});
    return r;
  }
};

template <class A, class B>
double worst_error(const Problem::Results<A>& r, const Problem::Results<B>& expected) {
  double worst = 0;
  const auto compare = [&](const auto& x, const auto& e) {
    if (x.empty()) { return; }
    const double error = radapt_test::normalised_error(x, e);
    worst = error > worst || std::isnan(error) ? error : worst;
  };
  compare(r.y, expected.y);
  compare(r.dx, expected.dx);
  compare(r.dw, expected.dw);
  return worst;
}

bool can_run() {
  if (!onednn_bf16::multiplies_bf16()) { MESSAGE("not run: this processor does not multiply bf16"); }
  return onednn_bf16::multiplies_bf16();
}

}  // namespace

TEST_CASE("products of factors that are bf16 are those of the reference, summed and left in float") {
  if (!can_run()) { return; }
  for (const LinearSize& size : sizes()) {
    INFO(size.title());
    const Problem problem(size, true);
    reference exact;
    const auto expected = problem.on<double>(exact);
    for (const bool constant : {false, true}) {
      onednn_bf16 device;
      const auto got = problem.on<float>(device, constant);
      CHECK(worst_error(got, expected) <= radapt_test::sum_tolerance.f32);
    }
  }
}

TEST_CASE("other factors are rounded to bf16") {
  if (!can_run()) { return; }
  const Problem problem({130, 65, 71}, false);
  reference exact;
  onednn_bf16 device;
  const double error = worst_error(problem.on<float>(device), problem.on<double>(exact));
  // Both factors are off by 2^-9 at most, in random directions: less than 2^-8 of the largest sum. Far more than f32.
  CHECK(error <= 0x1p-8);
  CHECK(error >= 1e-4);
}

TEST_CASE("packed weights give the bits of rounded ones, and equal calls equal bits") {
  const Problem problem({130, 65, 71}, false);
  onednn_bf16 device, again, packing;
  const auto first = problem.on<float>(device), second = problem.on<float>(again);
  CHECK(first.y == second.y);
  CHECK(first.dx == second.dx);
  CHECK(first.dw == second.dw);
  // Sums over 65 and 71 numbers may be taken in another order.
  CHECK(worst_error(problem.on<float>(packing, true), first) <= radapt_test::sum_tolerance.f32);
}

TEST_CASE("without bf16 in the processor the products are those of the f32 backend") {
  if (onednn_bf16::multiplies_bf16()) {
    MESSAGE("not run: this processor multiplies bf16");
    return;
  }
  const Problem problem({130, 65, 71}, false);
  onednn_bf16 device;
  onednn plain;
  CHECK(problem.on<float>(device).y == problem.on<float>(plain).y);
}
