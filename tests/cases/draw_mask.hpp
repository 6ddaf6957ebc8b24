#pragma once
/// Case of op/draw_mask.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/draw_mask.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;

struct DrawMaskSize {
  Index entries, first;
  double probability;
  bool given = false;

  std::string title() const {
    return std::to_string(entries) + " entries from " + std::to_string(first) + ", p " + std::to_string(probability) +
           (given ? ", given" : "");
  }
};

struct DrawMask {
  template <class T>
  using operation = op::draw_mask<T>;
  using Size = DrawMaskSize;
  static constexpr Tolerance tolerance{0, 0, "an entry is 0 or 1"};
  static constexpr Threads threads = Threads::same_bits;
  /// Nothing and almost everything dropped; the second half of a batch; no entries.
  static std::vector<Size> tested() {
    return {{1, 0, 0.5}, {513, 0, 0.2}, {256, 257, 0.2}, {77, 0, 0.0}, {300, 0, 0.99}, {0, 4, 0.2}, {77, 5, 0.2, true}};
  }
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel&) { return Size{timed_batch, 0, 0.2}; });
  }
  /// Ten rounds of Philox for an entry are some 100 operations on integers; none is counted.
  static Work work(const Size& s) { return {.flops = number(s.entries), .elements = number(s.entries) / 4}; }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    return {.mask = m.template updated<std::uint8_t>(s.entries, 2, 9),
            .entries = s.entries,
            .first = s.first,
            .draws = {.probability = s.probability, .seed = 5, .step = 2, .site = 3},
            .given = s.given ? m.template input<std::uint8_t>(s.entries, 0, 3) : nullptr};
  }
};

}  // namespace radapt_test::cases
