#pragma once
/// Cases of op/columns.hpp.
#include "cases/case.hpp"
#include "cases/elementwise.hpp"
#include "radapt/backend/reference/columns.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

/// `width` columns from `first` on, of `all`.
struct ColumnsSize {
  Mask mask;
  Index all, first, width;

  Index rows() const { return mask.batch.rows(); }
  std::string title() const {
    return "columns " + std::to_string(first) + " to " + std::to_string(first + width) + " of " + std::to_string(all) +
           ", " + mask.title();
  }
};
inline std::vector<ColumnsSize> columns(bool masked) {
  std::vector<ColumnsSize> all;
  const Index cuts[][3] = {{1, 0, 1}, {7, 2, 3}, {300, 100, 100}, {300, 200, 100}};
  for (const Mask& mask : masks()) {
    if (!masked && !mask.keeps_all()) { continue; }
    for (const auto& cut : cuts) { all.push_back({mask, cut[0], cut[1], cut[2]}); }
  }
  all.push_back({{.batch = uniform(0, 3)}, 6, 2, 2});
  return all;
}
/// The values in a fused projection.
inline std::vector<Timed<ColumnsSize>> timed_columns() {
  return for_timed_models<ColumnsSize>([](const TimedModel& m) {
    return ColumnsSize{{.batch = uniform(timed_batch, m.tokens)}, 3 * m.width, 2 * m.width, m.width};
  });
}

struct TakeColumns {
  template <class T>
  using operation = op::take_columns<T>;
  using Size = ColumnsSize;
  static constexpr Tolerance tolerance = exact;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return columns(false); }
  static std::vector<Timed<Size>> timed() { return timed_columns(); }
  static Work work(const Size& s) { return {.flops = 0, .elements = 2 * number(s.rows() * s.width)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.output(s.rows() * s.width), s.rows(), s.width}, {m.input(s.rows() * s.all), s.rows(), s.all}, s.first};
  }
};

struct AddColumns {
  template <class T>
  using operation = op::add_columns<T>;
  using Size = ColumnsSize;
  static constexpr Tolerance tolerance = element_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return columns(true); }
  static std::vector<Timed<Size>> timed() { return timed_columns(); }
  static Work work(const Size& s) {
    const double n = number(s.rows() * s.width);
    return {.flops = 2 * n, .elements = 3 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.updated(s.rows() * s.all), s.rows(), s.all},
            {m.input(s.rows() * s.width), s.rows(), s.width},
            s.first,
            0.6,
            s.first == 0 ? nullptr : m.parameter(1),
            m.kept(s.mask)};
  }
};

}  // namespace radapt_test::cases
