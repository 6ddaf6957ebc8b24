#pragma once
/// Cases of op/convert.hpp. Numbers that bf16 holds are copied; rounding itself is tested with the element.
#include "cases/case.hpp"
#include "radapt/backend/reference/convert.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct ConvertSize {
  Index rows, width;
  std::string title() const { return extents(rows, width); }
};
/// Features, with a tail and behind a block of 16384, and no rows.
inline std::vector<ConvertSize> converted() { return {{1, 1}, {3, 7}, {33, 512}, {0, 5}}; }
inline std::vector<Timed<ConvertSize>> timed_conversions() {
  return for_timed_models<ConvertSize>([](const TimedModel& m) { return ConvertSize{timed_batch, m.text_width}; });
}

struct Widen {
  template <class T>
  using operation = op::widen<T>;
  using Size = ConvertSize;
  static constexpr Tolerance tolerance = exact;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return converted(); }
  static std::vector<Timed<Size>> timed() { return timed_conversions(); }
  static Work work(const Size& s) { return {.flops = 0, .elements = 2 * number(s.rows * s.width)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.template output<radapt::parameter_t<T>>(s.rows * s.width), s.rows, s.width},
            {m.input(s.rows * s.width), s.rows, s.width}};
  }
};

struct Narrow {
  template <class T>
  using operation = op::narrow<T>;
  using Size = ConvertSize;
  static constexpr Tolerance tolerance = exact;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return converted(); }
  static std::vector<Timed<Size>> timed() { return timed_conversions(); }
  static Work work(const Size& s) { return Widen::work(s); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.output(s.rows * s.width), s.rows, s.width}, {m.parameter(s.rows * s.width), s.rows, s.width}};
  }
};

}  // namespace radapt_test::cases
