#pragma once
/// Cases of op/norm.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/norm.hpp"
#include "radapt/op/norm.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;
using radapt::statistic_t;

struct NormSize {
  Index rows, width;
  bool statistics = true;  ///< forward: whether somebody reads them
  bool zero = false;       ///< every element is zero, and eps large enough to show in a float

  std::string title() const {
    return extents(rows, width) + (statistics ? ", statistics" : "") + (zero ? ", all zero" : "");
  }
  /// `per_element` operations on each element, `streams` elements read or written for each.
  Work work(double per_element, double streams) const {
    return {.flops = per_element * number(rows * width), .elements = streams * number(rows * width)};
  }
};
/// A row of one element has variance zero.
inline std::vector<NormSize> matrices() { return {{1, 1}, {1, 5}, {3, 7}, {65, 33}, {130, 768}, {700, 64}, {0, 4}}; }
inline std::vector<NormSize> matrices_with_and_without_statistics() {
  std::vector<NormSize> all = matrices();
  for (const NormSize& s : matrices()) { all.push_back({s.rows, s.width, false}); }
  return all;
}
inline std::vector<Timed<NormSize>> timed_tokens() {
  return for_timed_models<NormSize>([](const TimedModel& m) { return NormSize{timed_batch * m.tokens, m.width}; });
}
/// Features are normalised in the joint space.
inline std::vector<Timed<NormSize>> timed_features() {
  return for_timed_models<NormSize>([](const TimedModel& m) { return NormSize{timed_batch, m.text_width}; });
}

struct LayerNormForward {
  template <class T>
  using operation = op::layer_norm_forward<T>;
  using Size = NormSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return matrices_with_and_without_statistics(); }
  static std::vector<Timed<Size>> timed() { return timed_tokens(); }
  static Work work(const Size& s) { return s.work(8, 2); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    using S = statistic_t<T>;
    operation<T> o{};
    o.y = {m.output(s.rows * s.width), s.rows, s.width};
    o.x = {m.input(s.rows * s.width, 1, 3), s.rows, s.width};
    o.weight = {m.parameter(s.width), s.width};
    o.bias = {m.parameter(s.width), s.width};
    if (s.statistics) {
      o.mean = {m.template output<S>(s.rows), s.rows};
      o.rstd = {m.template output<S>(s.rows), s.rows};
    }
    return o;
  }
};

/// layer_norm_forward of d's own variables, with the statistics that backward reads.
struct NormInDouble {
  op::layer_norm_forward<double> forward;
  NormInDouble(Differentiation& d, const NormSize& s, double* y, double* x, double* weight, double* bias)
      : forward{.y = {y, s.rows, s.width},
                .x = {x, s.rows, s.width},
                .weight = {weight, s.width},
                .bias = {bias, s.width},
                .mean = {d.intermediate(s.rows), s.rows},
                .rstd = {d.intermediate(s.rows), s.rows}} {}
};

struct LayerNormBackwardInput {
  template <class T>
  using operation = op::layer_norm_backward_input<T>;
  using Size = NormSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return matrices(); }
  static std::vector<Timed<Size>> timed() { return timed_tokens(); }
  static Work work(const Size& s) { return s.work(12, 3); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    using S = statistic_t<T>;
    return {{m.output(s.rows * s.width), s.rows, s.width}, {m.input(s.rows * s.width), s.rows, s.width},
            {m.input(s.rows * s.width), s.rows, s.width},  {m.parameter(s.width), s.width},
            {m.template input<S>(s.rows), s.rows},         {m.template input<S>(s.rows, 1, 2), s.rows}};
  }
  /// Of layer_norm_forward, by x.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& x = d.variable(s.rows * s.width, Gradient::assigned, 1, 3);
    const auto& y = d.result(s.rows * s.width);
    const auto forward = NormInDouble(d, s, y.y, x.x, d.constant(s.width), d.constant(s.width)).forward;
    d.forward = launched(forward);
    d.backward = launched(operation<double>{
        {x.dx, s.rows, s.width}, {y.dy, s.rows, s.width}, forward.x, forward.weight, forward.mean, forward.rstd});
  }
};

struct LayerNormBackwardWeight {
  template <class T>
  using operation = op::layer_norm_backward_weight<T>;
  using Size = NormSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return matrices(); }
  static std::vector<Timed<Size>> timed() { return timed_tokens(); }
  static Work work(const Size& s) { return s.work(5, 2); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    using S = statistic_t<T>;
    return {{m.updated_parameter(s.width), s.width},
            {m.updated_parameter(s.width), s.width},
            {m.input(s.rows * s.width), s.rows, s.width},
            {m.input(s.rows * s.width), s.rows, s.width},
            {m.template input<S>(s.rows), s.rows},
            {m.template input<S>(s.rows, 1, 2), s.rows}};
  }
  /// Of layer_norm_forward, by weight and bias.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& weight = d.variable(s.width, Gradient::added);
    const auto& bias = d.variable(s.width, Gradient::added);
    const auto& y = d.result(s.rows * s.width);
    const auto forward = NormInDouble(d, s, y.y, d.constant(s.rows * s.width, 1, 3), weight.x, bias.x).forward;
    d.forward = launched(forward);
    d.backward = launched(operation<double>{
        {weight.dx, s.width}, {bias.dx, s.width}, {y.dy, s.rows, s.width}, forward.x, forward.mean, forward.rstd});
  }
};

struct L2NormalizeForward {
  template <class T>
  using operation = op::l2_normalize_forward<T>;
  using Size = NormSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> sizes = matrices_with_and_without_statistics();
    sizes.push_back({.rows = 1, .width = 5, .zero = true});  // divided by eps, not by zero
    return sizes;
  }
  static std::vector<Timed<Size>> timed() { return timed_features(); }
  static Work work(const Size& s) { return s.work(3, 2); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.y = {m.output(s.rows * s.width), s.rows, s.width};
    o.x = {s.zero ? m.input(s.rows * s.width, 0, 0) : m.input(s.rows * s.width), s.rows, s.width};
    if (s.statistics) { o.norm = {m.template output<statistic_t<T>>(s.rows), s.rows}; }
    if (s.zero) { o.eps = 1e-6; }
    return o;
  }
};

struct L2NormalizeBackward {
  template <class T>
  using operation = op::l2_normalize_backward<T>;
  using Size = NormSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> sizes = matrices();
    sizes.push_back({.rows = 3, .width = 5, .zero = true});  // shorter than eps: divided by a constant
    return sizes;
  }
  static double eps(const Size& s) { return s.zero ? 2.0 : 1e-12; }
  static std::vector<Timed<Size>> timed() { return timed_features(); }
  static Work work(const Size& s) { return s.work(5, 3); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.output(s.rows * s.width), s.rows, s.width},
            {m.input(s.rows * s.width), s.rows, s.width},
            {m.input(s.rows * s.width), s.rows, s.width},
            {m.template input<statistic_t<T>>(s.rows, 1, 2), s.rows},
            eps(s)};
  }
  /// Of l2_normalize_forward, by x.
  static void differentiate(Differentiation& d, const Size& s) {
    const double longest = s.zero ? 0.5 : 1.0;  // five elements of at most a half are shorter than eps
    const auto& x = d.variable(s.rows * s.width, Gradient::assigned, -longest, longest);
    const auto& y = d.result(s.rows * s.width);
    double* const norm = d.intermediate(s.rows);
    d.forward = launched(op::l2_normalize_forward<double>{
        .y = {y.y, s.rows, s.width}, .x = {x.x, s.rows, s.width}, .norm = {norm, s.rows}, .eps = eps(s)});
    d.backward = launched(operation<double>{{x.dx, s.rows, s.width},
                                            {y.dy, s.rows, s.width},
                                            {y.y, s.rows, s.width},
                                            {norm, s.rows},
                                            eps(s)});
  }
};

}  // namespace radapt_test::cases
