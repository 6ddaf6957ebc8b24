#pragma once
/// Cases of op/update.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/update.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct UpdateSize {
  Index n;
  std::uint64_t step = 1;
  bool average = false, clip = false;

  std::string title() const {
    return std::to_string(n) + " elements, step " + std::to_string(step) + (average ? ", with average" : "") +
           (clip ? ", clipped" : "");
  }
};
/// On the CPU backend's pieces of 1024 and blocks of 16384, and behind them.
inline std::vector<UpdateSize> flat_buffers() { return {{1}, {5}, {1024}, {1027}, {16385}, {100003}, {0}}; }
/// Parameters of an R-Adapter.
inline std::vector<Timed<UpdateSize>> timed_parameters() {
  return for_timed_models<UpdateSize>([](const TimedModel& m) { return UpdateSize{m.trained(), 10, true}; });
}

struct Adamw {
  template <class T>
  using operation = op::adamw<T>;
  using Size = UpdateSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (const Size& s : flat_buffers()) {
      for (const bool average : {false, true}) {
        all.push_back({s.n, 1, average});
        all.push_back({s.n, 40, average, true});
      }
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() { return timed_parameters(); }
  static Work work(const Size& s) { return {.flops = 16 * number(s.n), .elements = (s.average ? 9 : 7) * number(s.n)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.parameters = {m.updated(s.n), s.n};
    o.first_moment = {m.updated(s.n), s.n};
    o.second_moment = {m.updated(s.n, 0.01, 1), s.n};
    o.gradients = {m.input(s.n), s.n};
    if (s.average) { o.average = {m.updated(s.n), s.n}; }
    if (s.clip) { o.clip = m.input(1, 0.2, 0.3); }
    o.gradient_scale = 0.7;
    o.lr = 1e-2;
    o.weight_decay = 0.1;
    o.average_momentum = 0.9;
    o.step = s.step;
    return o;
  }
};

struct DistancePenalty {
  template <class T>
  using operation = op::distance_penalty<T>;
  using Size = UpdateSize;
  static constexpr Tolerance tolerance{
      1e-6, 1e-12, "a handful of roundings of 6e-8; in double, up to 100003 roundings of 1.1e-16 that add up"};
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return flat_buffers(); }
  static std::vector<Timed<Size>> timed() { return timed_parameters(); }
  static Work work(const Size& s) { return {.flops = 5 * number(s.n), .elements = 4 * number(s.n)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.gradients = {m.updated(s.n), s.n};
    o.parameters = {m.input(s.n), s.n};
    o.anchor = {m.input(s.n), s.n};
    o.strength = 0.3;
    o.loss = m.template updated<double>(1, 1, 2);
    return o;
  }
  /// Of the loss, by the parameters.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& parameters = d.variable(s.n, Gradient::added);
    operation<double> o{};
    o.gradients = {d.intermediate(s.n), s.n};
    o.parameters = {parameters.x, s.n};
    o.anchor = {d.constant(s.n), s.n};
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

struct SumOfSquares {
  template <class T>
  using operation = op::sum_of_squares<T>;
  using Size = UpdateSize;
  static constexpr Tolerance tolerance{1e-12, 1e-12,
                                       "squares of floats are exact in double, and so are their sums but for some "
                                       "1e-13"};
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return flat_buffers(); }
  static std::vector<Timed<Size>> timed() { return timed_parameters(); }
  static Work work(const Size& s) { return {.flops = 2 * number(s.n), .elements = number(s.n)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.input(s.n), s.n}, m.template updated<double>(1, 3, 4)};
  }
};

/// What is not finite has a test of its own: NaN is no error that could be compared.
struct ClipFactor {
  template <class T>
  using operation = op::clip_factor<T>;
  struct Size {
    double squares, most;
    Index losses = 1;

    std::string title() const {
      return "squares " + std::to_string(squares) + ", at most " + std::to_string(most) + ", " +
             std::to_string(losses) + " losses";
    }
  };
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    return {{4.0, 1.0}, {0.25, 1.0, 3}, {4.0, 0.0}, {0.0, 1.0}, {0.0, 0.0, 0}, {1e-14, 1e-7, 70}};
  }
  static std::vector<Timed<Size>> timed() { return {{"one step", {4.0, 1.0}}}; }
  static Work work(const Size&) { return {.flops = 4, .elements = 3}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.squares = m.template given<double>({s.squares});
    o.losses = {m.template input<double>(s.losses), s.losses};
    o.most = s.most;
    o.factor = m.output(1);
    return o;
  }
};

struct Clear {
  template <class T>
  using operation = op::clear<T>;
  using Size = UpdateSize;
  static constexpr Tolerance tolerance = exact;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return flat_buffers(); }
  static std::vector<Timed<Size>> timed() { return timed_parameters(); }
  static Work work(const Size& s) { return {.flops = 0, .elements = number(s.n)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.output(s.n), s.n}};
  }
};

}  // namespace radapt_test::cases
