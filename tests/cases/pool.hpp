#pragma once
/// Cases of op/pool.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/pool.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;
using radapt::Pooling;

struct PoolSize {
  Batch batch;
  Index width;
  Pooling pooling = Pooling::first;
  Index all_rows = 0;  ///< that single rows are pooled from; 0: those of the batch

  Index rows() const { return all_rows > 0 ? all_rows : batch.rows(); }
  std::string title() const {
    return batch.title() + ", width " + std::to_string(width) + (pooling == Pooling::first ? ", first" : ", last") +
           (all_rows > 0 ? ", single rows of " + std::to_string(all_rows) : "");
  }
};
inline std::vector<PoolSize> pools() {
  std::vector<PoolSize> all;
  Batch chosen = packed({3, 1, 7, 2, 5});
  chosen.pooled = {1, 0, 4, 1, 2};
  const Batch batches[] = {packed({3, 1, 7, 2, 5}), chosen, uniform(1, 1), uniform(40, 17), uniform(0, 3)};
  const Index widths[] = {1, 37, 512};
  for (const Batch& batch : batches) {
    for (const Index width : widths) {
      all.push_back({batch, width, Pooling::first});
      all.push_back({batch, width, Pooling::last});
    }
  }
  Batch single = uniform(4, 0);
  single.pooled = {0, 2, 3, 9};
  for (const Index width : widths) { all.push_back({single, width, Pooling::first, 11}); }
  return all;
}
inline std::vector<Timed<PoolSize>> timed_pools() {
  return for_timed_models<PoolSize>([](const TimedModel& m) {
    return PoolSize{uniform(timed_batch, m.tokens), m.width};
  });
}

struct PoolForward {
  template <class T>
  using operation = op::pool_forward<T>;
  using Size = PoolSize;
  static constexpr Tolerance tolerance = exact;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return pools(); }
  static std::vector<Timed<Size>> timed() { return timed_pools(); }
  static Work work(const Size& s) { return {.flops = 0, .elements = 2 * number(s.batch.count * s.width)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {{m.output(s.batch.count * s.width), s.batch.count, s.width},
            {m.input(s.rows() * s.width), s.rows(), s.width},
            s.pooling,
            m.sequences(s.batch)};
  }
};

struct PoolBackward {
  template <class T>
  using operation = op::pool_backward<T>;
  struct Size : PoolSize {
    bool adds = false;
    std::string title() const { return PoolSize::title() + (adds ? ", adds" : ""); }
  };
  static constexpr Tolerance tolerance = element_tolerance;  // of sums; without them values are copied
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (const PoolSize& s : pools()) {
      all.push_back({s, false});
      all.push_back({s, true});
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel& m) {
      return Size{{uniform(timed_batch, m.tokens), m.width}, false};
    });
  }
  static Work work(const Size& s) { return {.flops = 0, .elements = number((s.rows() + s.batch.count) * s.width)}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index n = s.rows() * s.width;
    return {{s.adds ? m.updated(n) : m.output(n), s.rows(), s.width},
            {m.input(s.batch.count * s.width), s.batch.count, s.width},
            s.pooling,
            m.sequences(s.batch),
            s.adds};
  }
  /// Of pool_forward, by x.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& x = d.variable(s.rows() * s.width, s.adds ? Gradient::added : Gradient::assigned);
    const auto& y = d.result(s.batch.count * s.width);
    d.forward = launched(
        op::pool_forward<double>{{y.y, s.batch.count, s.width}, {x.x, s.rows(), s.width}, s.pooling, s.batch.view()});
    d.backward = launched(operation<double>{
        {x.dx, s.rows(), s.width}, {y.dy, s.batch.count, s.width}, s.pooling, s.batch.view(), s.adds});
  }
};

}  // namespace radapt_test::cases
