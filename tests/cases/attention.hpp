#pragma once
/// Cases of op/attention.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/attention.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;
using radapt::statistic_t;

struct AttentionSize {
  Batch batch;
  Index heads, head_width;
  bool causal = false;
  bool log_sums = true;  ///< forward: whether somebody reads them

  Index rows() const { return batch.rows(); }
  Index width() const { return heads * head_width; }
  std::string title() const {
    return batch.title() + ", " + std::to_string(heads) + " heads of " + std::to_string(head_width) +
           (causal ? ", causal" : "") + (log_sums ? ", log sums" : "");
  }
  /// `products` matrix products of one sequence's rows with themselves, for every head.
  Work work(double products, double streams) const {
    double pairs = 0;
    const radapt::Sequences s = batch.view();
    for (Index i = 0; i < s.count; ++i) { pairs += number(s.length(i)) * number(s.length(i)); }
    return {.flops = 2 * products * pairs * number(width()) * (causal ? 0.5 : 1),
            .elements = streams * number(rows() * width())};
  }
};

/// 129 next to 128: cut into two blocks of 65 and one of 128 by the CPU backend. 300 takes three blocks. The head
/// widths are those of the published CLIPs (64, 80, 88, 104 and 112), what lies between them, and the widest that the
/// GPU has kernels for. Heads of 5 beside each other in 20 columns: rows begin at packs of four, heads do not.
inline std::vector<AttentionSize> attentions() {
  std::vector<AttentionSize> all;
  const Batch batches[] = {
      packed({1}),    packed({3, 1, 7, 2, 5}), packed({129, 128, 2}), packed({300}), packed({0, 2, 0, 0, 3}),
      uniform(4, 50), uniform(2, 1),           uniform(0, 5)};
  struct Heads {
    Index count, width;
  };
  const Heads small[] = {{1, 1}, {3, 5}, {4, 5}, {2, 64}};
  const Index head_widths[] = {32, 40, 48, 56, 72, 80, 88, 96, 104, 112, 128};
  for (const bool causal : {false, true}) {
    for (const Batch& batch : batches) {
      for (const Heads& h : small) { all.push_back({batch, h.count, h.width, causal}); }
    }
    for (const Index width : head_widths) { all.push_back({packed({7, 1, 33}), 2, width, causal}); }
  }
  return all;
}
inline std::vector<Timed<AttentionSize>> timed_attentions() {
  std::vector<Timed<AttentionSize>> all;
  for (const TimedModel& m : timed_models) {
    all.push_back({m.at_batch(), {uniform(timed_batch, m.tokens), m.heads, m.width / m.heads}});
    all.push_back({m.at_batch() + " text",
                   {uniform(timed_batch, timed_context), m.text_heads, m.text_width / m.text_heads, true}});
  }
  return all;
}

struct AttentionForward {
  template <class T>
  using operation = op::attention_forward<T>;
  using Size = AttentionSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all = attentions();
    for (Size s : attentions()) {
      s.log_sums = false;
      all.push_back(std::move(s));
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() { return timed_attentions(); }
  static Work work(const Size& s) { return s.work(2, 4); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    operation<T> o{};
    o.y = {m.output(s.rows() * s.width()), s.rows(), s.width()};
    o.qkv = {m.input(s.rows() * 3 * s.width(), -3, 3), s.rows(), 3 * s.width()};
    if (s.log_sums) { o.log_sum_exp = {m.template output<statistic_t<T>>(s.rows() * s.heads), s.rows(), s.heads}; }
    o.heads = s.heads;
    o.causal = s.causal;
    o.sequences = m.sequences(s.batch);
    return o;
  }
};

struct AttentionBackward {
  template <class T>
  using operation = op::attention_backward<T>;
  using Size = AttentionSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() { return attentions(); }
  static std::vector<Timed<Size>> timed() { return timed_attentions(); }
  static Work work(const Size& s) { return s.work(5, 8); }
  /// The forward pass in double gives the y and the log sums that backward reads. A float's rounding of a log sum near
  /// 30 changes probabilities by 2e-6.
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    if (m.is_for_timing()) {
      // Scores have a variance of 9: their log sums are near 5 + ln 197.
      return {{m.output(s.rows() * 3 * s.width()), s.rows(), 3 * s.width()},
              {m.input(s.rows() * s.width()), s.rows(), s.width()},
              {m.input(s.rows() * s.width()), s.rows(), s.width()},
              {m.input(s.rows() * 3 * s.width(), -3, 3), s.rows(), 3 * s.width()},
              {m.template input<statistic_t<T>>(s.rows() * s.heads, 9, 10), s.rows(), s.heads},
              s.heads,
              s.causal,
              m.sequences(s.batch)};
    }
    Blocks scratch;
    Memory<double> of_forward(scratch);
    const auto forward = AttentionForward::build(of_forward, s);
    launched(forward)();
    const auto values = [](radapt::Matrix<const double> x) { return std::vector<double>(x.data, x.data + x.size()); };
    operation<T> o{};
    o.dqkv = {m.output(s.rows() * 3 * s.width()), s.rows(), 3 * s.width()};
    o.dy = {m.input(s.rows() * s.width()), s.rows(), s.width()};
    o.y = {m.given(values(forward.y)), s.rows(), s.width()};
    o.qkv = {m.given(values(forward.qkv)), s.rows(), 3 * s.width()};
    o.log_sum_exp = {m.template given<statistic_t<T>>(values(forward.log_sum_exp)), s.rows(), s.heads};
    o.heads = s.heads;
    o.causal = s.causal;
    o.sequences = m.sequences(s.batch);
    return o;
  }
  /// Long sequences differ in the blocks of the CPU backend only.
  static std::vector<Size> differentiated() {
    std::vector<Size> all;
    for (const Size& s : tested()) {
      if (s.batch.view().longest() <= 50) { all.push_back(s); }
    }
    return all;
  }
  /// Of attention_forward, by q, k and v.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& qkv = d.variable(s.rows() * 3 * s.width(), Gradient::assigned);
    const auto& y = d.result(s.rows() * s.width());
    const op::attention_forward<double> forward{.y = {y.y, s.rows(), s.width()},
                                                .qkv = {qkv.x, s.rows(), 3 * s.width()},
                                                .log_sum_exp = {d.intermediate(s.rows() * s.heads), s.rows(), s.heads},
                                                .heads = s.heads,
                                                .causal = s.causal,
                                                .sequences = s.batch.view()};
    d.forward = launched(forward);
    d.backward = launched(operation<double>{.dqkv = {qkv.dx, s.rows(), 3 * s.width()},
                                            .dy = {y.dy, s.rows(), s.width()},
                                            .y = forward.y,
                                            .qkv = forward.qkv,
                                            .log_sum_exp = forward.log_sum_exp,
                                            .heads = s.heads,
                                            .causal = s.causal,
                                            .sequences = forward.sequences});
  }
};

}  // namespace radapt_test::cases
