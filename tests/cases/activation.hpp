#pragma once
/// Cases of op/activation.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/activation.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;
using radapt::Activation;

inline constexpr Tolerance activation_tolerance{
    3e-6, 1e-14,
    "in float, oneDNN's erf and tanh are polynomials with an error of about 1e-6 relative to the largest result; in "
    "double, a few dozen roundings"};

struct ActivationSize {
  Index rows, width;
  Activation kind = Activation::quick_gelu;
  double range = 3;  ///< 40 reaches both ends, where the slope is 0 or 1
  bool in_place = false;

  Index elements() const { return rows * width; }
  /// A single negative element would be judged relative to a result near zero.
  double low() const { return elements() == 1 ? 0.5 : -range; }
  std::string title() const {
    const char* const names[] = {"quick_gelu", "gelu", "gelu_tanh", "relu"};
    return extents(rows, width) + " " + names[static_cast<int>(kind)] + " up to " + std::to_string(range) +
           (in_place ? ", in place" : "");
  }
};

/// Below oneDNN's smallest block, exactly on it, blocks with and without a tail, several sizes of blocks.
inline std::vector<ActivationSize> activations() {
  std::vector<ActivationSize> all;
  for (int kind = 0; kind < 4; ++kind) {
    for (const Index n :
         {Index{0}, Index{1}, Index{5}, Index{255}, Index{256}, Index{257}, Index{1536}, Index{70001}}) {
      for (const double range : {3.0, 40.0}) {
        for (const bool in_place : {false, true}) {
          all.push_back({1, n, static_cast<Activation>(kind), range, in_place});
        }
      }
    }
  }
  return all;
}
inline std::vector<Timed<ActivationSize>> timed_activations() {
  return for_timed_models<ActivationSize>([](const TimedModel& m) {
    return ActivationSize{timed_batch * m.tokens, m.hidden};
  });
}

struct ActivationForward {
  template <class T>
  using operation = op::activation_forward<T>;
  using Size = ActivationSize;
  static constexpr Tolerance tolerance = activation_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return activations(); }
  static std::vector<Timed<Size>> timed() { return timed_activations(); }
  static Work work(const Size& s) { return {.flops = 5 * number(s.elements()), .elements = 2 * number(s.elements())}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    T* const y = s.in_place ? m.updated(s.elements(), s.low(), s.range) : m.output(s.elements());
    const T* const x = s.in_place ? y : m.input(s.elements(), s.low(), s.range);
    return {{y, s.rows, s.width}, {x, s.rows, s.width}, s.kind};
  }
};

struct ActivationBackward {
  template <class T>
  using operation = op::activation_backward<T>;
  using Size = ActivationSize;
  static constexpr Tolerance tolerance = activation_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return activations(); }
  static std::vector<Timed<Size>> timed() { return timed_activations(); }
  static Work work(const Size& s) { return {.flops = 9 * number(s.elements()), .elements = 3 * number(s.elements())}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    T* const dx = s.in_place ? m.updated(s.elements()) : m.output(s.elements());
    const T* const dy = s.in_place ? dx : m.input(s.elements());
    return {{dx, s.rows, s.width},
            {dy, s.rows, s.width},
            {m.input(s.elements(), s.low(), s.range), s.rows, s.width},
            s.kind};
  }
  /// In place, dx is dy: the agreement test holds that against the same result in its own memory.
  static std::vector<Size> differentiated() {
    std::vector<Size> sizes;
    for (const Size& s : tested()) {
      if (!s.in_place) { sizes.push_back(s); }
    }
    return sizes;
  }
  /// Of activation_forward, by x.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& x = d.variable(s.elements(), Gradient::assigned, s.low(), s.range);
    const auto& y = d.result(s.elements());
    for (Index i = 0; s.kind == Activation::relu && i < x.size; ++i) {
      x.x[i] += x.x[i] < 0 ? -0.1 : 0.1;  // differences must not step over its kink
    }
    const radapt::Matrix<const double> in{x.x, s.rows, s.width};
    d.forward = launched(op::activation_forward<double>{{y.y, s.rows, s.width}, in, s.kind});
    d.backward = launched(operation<double>{{x.dx, s.rows, s.width}, {y.dy, s.rows, s.width}, in, s.kind});
  }
};

}  // namespace radapt_test::cases
