#pragma once
/// Cases of op/linear.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/linear.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct LinearSize {
  Index rows, in, out;
  bool bias = true;    ///< forward
  double factor = 1;   ///< backward to the weight
  bool scale = false;  ///< likewise
  Mask mask{};

  std::string title() const {
    return extents(rows, in) + " to " + std::to_string(out) + (bias ? ", bias" : "") + ", factor " +
           std::to_string(factor) + (scale ? " and scale" : "") + ", " + mask.title();
  }
  Work work() const {
    return {.flops = 2 * number(rows) * number(in) * number(out),
            .elements = number(rows * (in + out)) + number(in * out)};
  }
};

/// One element, odd ones, tails behind every block size, and no rows at all.
inline std::vector<LinearSize> products() {
  return {{1, 1, 1}, {1, 7, 5}, {5, 3, 9}, {17, 33, 13}, {130, 65, 71}, {64, 128, 32}, {0, 3, 2}};
}
inline std::vector<LinearSize> masked_products() {
  std::vector<LinearSize> all;
  for (Mask& mask : masks()) {
    const Index rows = mask.batch.rows();
    all.push_back({.rows = rows, .in = 9, .out = 13, .factor = -0.5, .scale = true, .mask = std::move(mask)});
  }
  return all;
}
/// The same sizes once as they are and once changed.
template <class Change>
std::vector<LinearSize> both_ways(const std::vector<LinearSize>& sizes, Change&& change) {
  std::vector<LinearSize> all = sizes;
  for (LinearSize size : sizes) {
    change(size);
    all.push_back(std::move(size));
  }
  return all;
}
inline std::vector<LinearSize> with_masks(std::vector<LinearSize> sizes) {
  for (LinearSize& size : masked_products()) { sizes.push_back(std::move(size)); }
  return sizes;
}
/// The widest product of a block: c_fc on the tokens of a batch of images. Of B/16 the others, too.
inline std::vector<Timed<LinearSize>> timed_products() {
  auto all = for_timed_models<LinearSize>([](const TimedModel& m) {
    return LinearSize{timed_batch * m.tokens, m.width, m.hidden};
  });
  const TimedModel& m = timed_models[1];
  const Index rows = timed_batch * m.tokens;
  all.push_back({m.at_batch() + " c_proj", {rows, m.hidden, m.width}});
  all.push_back({m.at_batch() + " in_proj", {rows, m.width, 3 * m.width}});
  all.push_back({m.at_batch() + " out_proj", {rows, m.width, m.width}});
  return all;
}

struct LinearForward {
  template <class T>
  using operation = op::linear_forward<T>;
  using Size = LinearSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::may_differ;
  static std::vector<Size> tested() {
    return both_ways(with_masks(products()), [](Size& s) { s.bias = false; });
  }
  static std::vector<Timed<Size>> timed() { return timed_products(); }
  static Work work(const Size& s) { return s.work(); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    const bool all = s.mask.keeps_all();
    o.y = {all ? m.output(s.rows * s.out) : m.updated(s.rows * s.out), s.rows, s.out};
    o.x = {m.input(s.rows * s.in), s.rows, s.in};
    o.weight = {m.parameter(s.out * s.in), s.out, s.in};
    if (s.bias) { o.bias = {m.parameter(s.out), s.out}; }
    o.kept = m.kept(s.mask);
    return o;
  }
};

/// The product and the activation behind it. Sums are of up to 128 terms, so that all parts of the activation are met.
struct LinearActivationForward {
  template <class T>
  using operation = op::linear_activation_forward<T>;
  struct Size {
    LinearSize product;
    radapt::Activation kind;
    bool keeps = false;  ///< what is between them
    std::string title() const {
      return product.title() + ", activation " + std::to_string(static_cast<int>(kind)) + (keeps ? ", kept" : "");
    }
  };
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::may_differ;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (const LinearSize& s : both_ways(products(), [](LinearSize& s) { s.bias = false; })) {
      for (const auto kind : {radapt::Activation::quick_gelu, radapt::Activation::gelu, radapt::Activation::gelu_tanh,
                              radapt::Activation::relu}) {
        for (const bool keeps : {false, true}) { all.push_back({s, kind, keeps}); }
      }
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() {
    std::vector<Timed<Size>> all;
    for (const auto& [name, size] : timed_products()) { all.push_back({name, {size, radapt::Activation::quick_gelu}}); }
    return all;
  }
  static Work work(const Size& s) { return s.product.work(); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const auto o = LinearForward::build(m, s.product);
    operation<T> both{.y = o.y, .x = o.x, .weight = o.weight, .bias = o.bias, .kind = s.kind};
    if (s.keeps) { both.h = {m.output(o.y.size()), o.y.rows, o.y.columns}; }
    return both;
  }
};

/// The product and the sum of the stream behind it.
struct LinearResidualForward {
  template <class T>
  using operation = op::linear_residual_forward<T>;
  using Size = LinearSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::may_differ;
  static std::vector<Size> tested() {
    return both_ways(products(), [](Size& s) { s.bias = false; });
  }
  static std::vector<Timed<Size>> timed() { return timed_products(); }
  static Work work(const Size& s) {
    Work all = s.work();
    all.elements += number(s.rows * s.out);
    return all;
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const auto o = LinearForward::build(m, s);
    return {
        .y = o.y, .x = o.x, .residual = {m.input(s.rows * s.out), s.rows, s.out}, .weight = o.weight, .bias = o.bias};
  }
};

struct LinearBackwardInput {
  template <class T>
  using operation = op::linear_backward_input<T>;
  using Size = LinearSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::may_differ;
  static std::vector<Size> tested() { return with_masks(products()); }
  static std::vector<Timed<Size>> timed() { return timed_products(); }
  static Work work(const Size& s) { return s.work(); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    const bool all = s.mask.keeps_all();
    o.dx = {all ? m.output(s.rows * s.in) : m.updated(s.rows * s.in), s.rows, s.in};
    o.dy = {m.input(s.rows * s.out), s.rows, s.out};
    o.weight = {m.parameter(s.out * s.in), s.out, s.in};
    o.kept = m.kept(s.mask);
    return o;
  }
  /// Of linear_forward, by x.
  static void differentiate(Differentiation& d, const Size& s) {
    const bool all = s.mask.keeps_all();
    const auto& x = d.variable(s.rows * s.in, all ? Gradient::assigned : Gradient::of_some_rows);
    const auto& y = d.result(s.rows * s.out);
    const op::KeptRows kept = s.mask.view();
    const radapt::Matrix<const double> weight{d.constant(s.out * s.in), s.out, s.in};
    const op::linear_forward<double> forward{
        .y = {y.y, s.rows, s.out}, .x = {x.x, s.rows, s.in}, .weight = weight, .kept = kept};
    const operation<double> backward{
        .dx = {x.dx, s.rows, s.in}, .dy = {y.dy, s.rows, s.out}, .weight = weight, .kept = kept};
    d.forward = launched(forward);
    d.backward = launched(backward);
  }
};

struct LinearBackwardWeight {
  template <class T>
  using operation = op::linear_backward_weight<T>;
  using Size = LinearSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::may_differ;
  static std::vector<Size> tested() {
    const auto scaled = [](Size& s) {
      s.factor = 0.75;
      s.scale = true;
    };
    return with_masks(both_ways(products(), scaled));
  }
  static std::vector<Timed<Size>> timed() { return timed_products(); }
  static Work work(const Size& s) { return s.work(); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.dw = {m.updated_parameter(s.out * s.in), s.out, s.in};
    o.dy = {m.input(s.rows * s.out), s.rows, s.out};
    o.x = {m.input(s.rows * s.in), s.rows, s.in};
    o.factor = s.factor;
    o.scale = s.scale ? m.parameter(1) : nullptr;
    o.kept = m.kept(s.mask);
    return o;
  }
  /// Of x + factor scale (x W^T), as adapters apply it, by W.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& w = d.variable(s.out * s.in, Gradient::added);
    const auto& y = d.result(s.rows * s.out);
    const op::KeptRows kept = s.mask.view();
    const radapt::Matrix<const double> x{d.constant(s.rows * s.in), s.rows, s.in};
    const double* const scale = s.scale ? d.constant(1) : nullptr;
    const op::linear_forward<double> forward{
        .y = {y.y, s.rows, s.out}, .x = x, .weight = {w.x, s.out, s.in}, .kept = kept};
    const operation<double> backward{.dw = {w.dx, s.out, s.in},
                                     .dy = {y.dy, s.rows, s.out},
                                     .x = x,
                                     .factor = s.factor,
                                     .scale = scale,
                                     .kept = kept};
    const double coefficient = s.factor * (scale == nullptr ? 1 : *scale);
    d.forward = [=, product = launched(forward)] {
      product();
      op::for_each_kept_run(kept, s.rows, [&](Index begin, Index end) {
        for (Index i = begin * s.out; i < end * s.out; ++i) { forward.y.data[i] *= coefficient; }
      });
    };
    d.backward = launched(backward);
  }
};

struct LinearBackwardBias {
  template <class T>
  using operation = op::linear_backward_bias<T>;
  using Size = LinearSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> sizes = with_masks(products());
    sizes.push_back({700, 1, 300});  // many blocks of rows and two of columns
    return sizes;
  }
  static std::vector<Timed<Size>> timed() { return timed_products(); }
  static Work work(const Size& s) {
    return {.flops = number(s.rows * s.out), .elements = number(s.rows * s.out + s.out)};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.updated_parameter(s.out), s.out}, {m.input(s.rows * s.out), s.rows, s.out}, m.kept(s.mask)};
  }
  /// Of linear_forward, by the bias.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& b = d.variable(s.out, Gradient::added);
    const auto& y = d.result(s.rows * s.out);
    const op::linear_forward<double> forward{.y = {y.y, s.rows, s.out},
                                             .x = {d.constant(s.rows * s.in), s.rows, s.in},
                                             .weight = {d.constant(s.out * s.in), s.out, s.in},
                                             .bias = {b.x, s.out},
                                             .kept = s.mask.view()};
    const operation<double> backward{{b.dx, s.out}, {y.dy, s.rows, s.out}, s.mask.view()};
    d.forward = launched(forward);
    d.backward = launched(backward);
  }
};

}  // namespace radapt_test::cases
