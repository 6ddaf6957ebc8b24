#pragma once
/// Case of op/orthogonality.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/orthogonality.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct OrthogonalitySize {
  Index rows, columns;
  std::string title() const { return extents(rows, columns); }
};

struct OrthogonalityPenalty {
  template <class T>
  using operation = op::orthogonality_penalty<T>;
  using Size = OrthogonalitySize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::may_differ;
  /// Fewer rows than columns, too: such a matrix is never orthonormal, but has a penalty.
  static std::vector<Size> tested() { return {{1, 1}, {5, 1}, {3, 7}, {33, 16}, {130, 65}}; }
  /// The projection of the image tower.
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel& m) { return Size{m.width, m.text_width}; });
  }
  static Work work(const Size& s) {
    const double columns = number(s.columns), n = number(s.rows) * columns;
    return {.flops = 4 * n * columns, .elements = 3 * n + 2 * columns * columns};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index n = s.rows * s.columns;
    operation<T> o{};
    o.gradients = {m.updated(n), s.rows, s.columns};
    o.parameters = {m.input(n), s.rows, s.columns};
    o.gram = {m.output(s.columns * s.columns), s.columns, s.columns};
    o.strength = 0.3;
    o.loss = m.template updated<double>(1, 1, 2);
    return o;
  }
  /// Of the loss, by the parameters.
  static void differentiate(Differentiation& d, const Size& s) {
    const Index n = s.rows * s.columns;
    const auto& parameters = d.variable(n, Gradient::added);
    operation<double> o{};
    o.gradients = {d.intermediate(n), s.rows, s.columns};
    o.parameters = {parameters.x, s.rows, s.columns};
    o.gram = {d.intermediate(s.columns * s.columns), s.columns, s.columns};
    o.strength = 0.3;
    o.loss = d.loss();
    d.forward = [o] {
      *o.loss = 0;
      launched(o)();
    };
    o.gradients.data = parameters.dx;
    d.backward = launched(o);
  }
};

}  // namespace radapt_test::cases
