#pragma once
/// Products whose factors are bf16, or are rounded to it, in all three directions of a linear layer, on any backend.
#include <cmath>
#include <vector>

#include "cases/linear.hpp"
#include "radapt/core/element.hpp"

namespace radapt_test::bf16_products {

using namespace radapt;
using radapt_test::cases::LinearSize;

/// Rows, in and out of products with tails, and the masks of the other backends' tests.
inline std::vector<LinearSize> sizes() {
  std::vector<LinearSize> all = radapt_test::cases::masked_products();
  for (const LinearSize& s : {LinearSize{1, 1, 1}, LinearSize{5, 3, 9}, LinearSize{130, 65, 71}, LinearSize{0, 3, 2}}) {
    all.push_back(s);
  }
  return all;
}

template <class T>
std::vector<T> converted(const std::vector<float>& x) {
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
    std::vector<T> y, dx;
    std::vector<parameter_t<T>> dw;
  };
  /// With `constant` the weights are promised to stay, which the backend may not know.
  template <class T, class Backend>
  Results<T> on(Backend& device, bool constant = false) const {
    using P = parameter_t<T>;
    const auto X = converted<T>(x), DY = converted<T>(dy);
    const auto W = converted<P>(weight), B = converted<P>(bias);
    Results<T> r{std::vector<T>(dy.size(), T(0.5)), std::vector<T>(x.size(), T(0.5)), converted<P>(dw)};
    if constexpr (requires { device.promise_constant(W.data(), W.size()); }) {
      if (constant) { device.promise_constant(W.data(), W.size()); }
    }
    const Matrix<const T> mx{X.data(), size.rows, size.in}, mdy{DY.data(), size.rows, size.out};
    const Matrix<const P> mw{W.data(), size.out, size.in};
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

}  // namespace radapt_test::bf16_products
