#pragma once
/// Case of op/dropout.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/dropout.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct DropoutSize {
  Batch batch;
  Index width;
  double probability;

  std::string title() const {
    return "width " + std::to_string(width) + ", p " + std::to_string(probability) + ", " + batch.title();
  }
  op::ElementDraws draws() const {
    return {.probability = probability, .seed = 5, .step = 2, .site = 3, .first_sequence = 4};
  }
};

struct Dropout {
  template <class T>
  using operation = op::dropout<T>;
  using Size = DropoutSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  /// Lengths that four does not divide; nothing and almost everything dropped.
  static std::vector<Size> tested() {
    return {{uniform(1, 1), 1, 0.5},   {uniform(3, 5), 7, 0.1}, {packed({2, 5, 1}), 6, 0.4},
            {uniform(4, 50), 64, 0.9}, {uniform(3, 5), 7, 0.0}, {uniform(0, 3), 4, 0.1}};
  }
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel& m) { return Size{uniform(timed_batch, m.tokens), 64, 0.1}; });
  }
  /// Ten rounds of Philox for four elements are some 25 operations on integers an element; none is counted.
  static Work work(const Size& s) {
    const double n = number(s.batch.rows() * s.width);
    return {.flops = n, .elements = 2 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index n = s.batch.rows() * s.width;
    return {
        {m.output(n), s.batch.rows(), s.width}, {m.input(n), s.batch.rows(), s.width}, s.draws(), m.sequences(s.batch)};
  }
  /// Of itself: the gradient is dropped and rescaled like the input.
  static void differentiate(Differentiation& d, const Size& s) {
    const Index n = s.batch.rows() * s.width;
    const auto& x = d.variable(n, Gradient::assigned);
    const auto& y = d.result(n);
    d.forward = launched(
        operation<double>{{y.y, s.batch.rows(), s.width}, {x.x, s.batch.rows(), s.width}, s.draws(), s.batch.view()});
    d.backward = launched(
        operation<double>{{x.dx, s.batch.rows(), s.width}, {y.dy, s.batch.rows(), s.width}, s.draws(), s.batch.view()});
  }
};

}  // namespace radapt_test::cases
