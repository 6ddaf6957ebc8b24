#pragma once
/// Cases of op/elementwise.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/elementwise.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct AddSize {
  Index rows, width;
  std::string title() const { return extents(rows, width); }
};

struct Add {
  template <class T>
  using operation = op::add<T>;
  using Size = AddSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  /// On the CPU backend's block of 16384 and behind it.
  static std::vector<Size> tested() { return {{1, 1}, {1, 7}, {1, 16384}, {3, 16667}, {0, 5}}; }
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel& m) { return Size{timed_batch * m.tokens, m.width}; });
  }
  static Work work(const Size& s) {
    return {.flops = number(s.rows * s.width), .elements = 3 * number(s.rows * s.width)};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.updated(s.rows * s.width), s.rows, s.width}, {m.input(s.rows * s.width), s.rows, s.width}};
  }
};

/// Where y lies: on its own, or in the memory of x or of z.
enum class Place { own, of_x, of_z };

struct StreamSize {
  Mask mask;
  Index width;
  Place place = Place::own;

  Index rows() const { return mask.batch.rows(); }
  std::string title() const {
    const char* const places[] = {"", ", in place of x", ", in place of z"};
    return "width " + std::to_string(width) + places[static_cast<int>(place)] + ", " + mask.title();
  }
};
inline std::vector<StreamSize> streams() {
  std::vector<StreamSize> all;
  const Index widths[] = {1, 11, 300};
  for (const Mask& mask : masks()) {
    for (const Index width : widths) { all.push_back({mask, width}); }
  }
  all.push_back({{.batch = uniform(0, 3)}, 4});
  return all;
}
inline std::vector<Timed<StreamSize>> timed_streams() {
  return for_timed_models<StreamSize>([](const TimedModel& m) {
    return StreamSize{{.batch = uniform(timed_batch, m.tokens)}, m.width};
  });
}

struct ScaledAdd {
  template <class T>
  using operation = op::scaled_add<T>;
  using Size = StreamSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (int place = 0; place < 3; ++place) {
      for (Size s : streams()) {
        s.place = static_cast<Place>(place);
        all.push_back(std::move(s));
      }
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() { return timed_streams(); }
  static Work work(const Size& s) {
    const double n = number(s.rows() * s.width);
    return {.flops = 2 * n, .elements = 3 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index n = s.rows() * s.width;
    operation<T> o{};
    o.y = {s.place == Place::own ? m.output(n) : m.updated(n), s.rows(), s.width};
    o.x = {s.place == Place::of_x ? o.y.data : m.input(n), s.rows(), s.width};
    o.z = {s.place == Place::of_z ? o.y.data : m.input(n), s.rows(), s.width};
    o.factor = 0.6;
    o.scale = s.place == Place::of_x ? nullptr : m.parameter(1);
    o.kept = m.kept(s.mask);
    return o;
  }
};

struct ScaledAddBackwardScale {
  template <class T>
  using operation = op::scaled_add_backward_scale<T>;
  using Size = StreamSize;
  /// Products of floats are summed in double: what is left is the rounding of the result, and nothing cancels.
  static constexpr Tolerance tolerance{1e-6, 1e-13,
                                       "sums in double of terms that do not cancel: the rounding of the result to "
                                       "float, or up to 540000 roundings of 1.1e-16 that add up like a random walk"};
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return streams(); }
  static std::vector<Timed<Size>> timed() { return timed_streams(); }
  static Work work(const Size& s) {
    const double n = number(s.rows() * s.width);
    return {.flops = 2 * n, .elements = 2 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index n = s.rows() * s.width;
    return {m.updated_parameter(1, 0, 1),
            {m.input(n, 0, 1), s.rows(), s.width},
            {m.input(n, 0, 1), s.rows(), s.width},
            0.5,
            m.kept(s.mask)};
  }
  /// Of scaled_add, by the scale: with b = z and a the gradient of the result.
  static void differentiate(Differentiation& d, const Size& s) {
    const Index n = s.rows() * s.width;
    const auto& scale = d.variable(1, Gradient::added);
    const auto& y = d.result(n);
    const radapt::Matrix<const double> z{d.constant(n), s.rows(), s.width};
    d.forward = launched(op::scaled_add<double>{.y = {y.y, s.rows(), s.width},
                                                .x = {d.constant(n), s.rows(), s.width},
                                                .z = z,
                                                .factor = 0.5,
                                                .scale = scale.x,
                                                .kept = s.mask.view()});
    d.backward = launched(operation<double>{scale.dx, {y.dy, s.rows(), s.width}, z, 0.5, s.mask.view()});
  }
};

}  // namespace radapt_test::cases
