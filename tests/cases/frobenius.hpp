#pragma once
/// Case of op/frobenius.hpp.
#include <algorithm>

#include "cases/case.hpp"
#include "radapt/backend/reference/frobenius.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct FrobeniusSize {
  Index rows, columns;
  std::string title() const { return extents(rows, columns); }
};

struct FrobeniusPenalty {
  template <class T>
  using operation = op::frobenius_penalty<T>;
  using Size = FrobeniusSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  /// On the CPU backend's blocks of 16384, and behind them; no columns are a matrix that is zero.
  static std::vector<Size> tested() { return {{1, 1}, {3, 7}, {128, 128}, {130, 127}, {257, 301}, {4, 0}}; }
  /// The product of both projections.
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel& m) { return Size{m.width, m.text_width}; });
  }
  static Work work(const Size& s) {
    const double n = number(s.rows) * number(s.columns);
    return {.flops = 3 * n, .elements = 3 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.x = {m.updated(s.rows * s.columns), s.rows, s.columns};
    o.strength = 0.3;
    o.loss = m.template updated<double>(1, 1, 2);
    return o;
  }
  static std::vector<Size> differentiated() { return {{1, 1}, {3, 7}, {17, 5}}; }
  /// Of the loss, by x, in whose place the gradient is written.
  static void differentiate(Differentiation& d, const Size& s) {
    const Index n = s.rows * s.columns;
    const auto& x = d.variable(n, Gradient::assigned);
    operation<double> o{.x = {d.intermediate(n), s.rows, s.columns}, .strength = 0.3, .loss = d.loss()};
    const auto on_copy = [&](const operation<double>& call) {
      return [call, from = x.x] {
        std::copy(from, from + call.x.size(), call.x.data);
        *call.loss = 0;
        launched(call)();
      };
    };
    d.forward = on_copy(o);
    o.x.data = x.dx;
    d.backward = on_copy(o);
  }
};

}  // namespace radapt_test::cases
