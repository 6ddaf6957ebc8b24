#pragma once
/// Cases of op/pooled_attention.hpp.
#include "cases/case.hpp"
#include "radapt/backend/reference/pooled_attention.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;
using radapt::Pooling;
using radapt::statistic_t;

struct PooledAttentionSize {
  Batch batch;
  Index heads, head_width;
  bool causal = false;
  Pooling pooling = Pooling::first;
  bool bias = true;                 ///< forward
  bool probabilities = true;        ///< forward: whether somebody reads them
  bool dkey = true, dvalue = true;  ///< backward: what is wanted

  Index rows() const { return batch.rows(); }
  Index count() const { return batch.count; }
  Index width() const { return heads * head_width; }
  std::string title() const {
    return batch.title() + ", " + std::to_string(heads) + " heads of " + std::to_string(head_width) +
           (causal ? ", causal" : "") + (pooling == Pooling::first ? ", first" : ", last") + (bias ? ", bias" : "") +
           (probabilities ? ", probabilities" : "") + (dkey ? ", dkey" : "") + (dvalue ? ", dvalue" : "");
  }
  /// `weights` products of a row of each sequence with a weight, and `products` of each head with each token.
  Work work(double weights, double products) const {
    return {.flops = 2 * number(width()) * (weights * number(count() * width()) + products * number(heads * rows())),
            .elements = number(rows() * width())};
  }
};

/// 40 sequences are more than a block of the CPU backend takes at a time. Heads of 5 side by side in 15 columns.
inline std::vector<PooledAttentionSize> pooled_attentions() {
  std::vector<PooledAttentionSize> all;
  Batch chosen = packed({3, 1, 7, 2, 5});
  chosen.pooled = {1, 0, 4, 1, 2};
  const Batch batches[] = {packed({1}),      packed({3, 1, 7, 2, 5}), chosen,
                           packed({129, 2}), uniform(40, 3),          uniform(0, 5)};
  struct Heads {
    Index count, width;
  };
  const Heads heads[] = {{1, 1}, {3, 5}, {2, 64}};
  for (const bool causal : {false, true}) {
    for (const Batch& batch : batches) {
      for (const Heads& h : heads) {
        all.push_back({batch, h.count, h.width, causal, causal ? Pooling::last : Pooling::first});
      }
    }
  }
  all.push_back({packed({3, 1, 7}), 3, 5, true, Pooling::first});  // which sees itself alone
  all.push_back({uniform(3, 7), 2, 112});                          // of ViT-H and ViT-g
  return all;
}
inline std::vector<Timed<PooledAttentionSize>> timed_pooled_attentions() {
  std::vector<Timed<PooledAttentionSize>> all;
  for (const TimedModel& m : timed_models) {
    all.push_back({m.at_batch(), {uniform(timed_batch, m.tokens), m.heads, m.width / m.heads}});
    all.push_back({m.at_batch() + " text",
                   {uniform(timed_batch, 16), m.text_heads, m.text_width / m.text_heads, true, Pooling::last}});
  }
  return all;
}

struct PooledAttentionForward {
  template <class T>
  using operation = op::pooled_attention_forward<T>;
  using Size = PooledAttentionSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all = pooled_attentions();
    for (Size s : pooled_attentions()) {
      s.bias = s.probabilities = false;
      all.push_back(std::move(s));
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() { return timed_pooled_attentions(); }
  static Work work(const Size& s) { return s.work(2, 2); }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index width = s.width();
    operation<T> o{};
    o.y = {m.output(s.count() * width), s.count(), width};
    o.x = {m.input(s.rows() * width), s.rows(), width};
    o.q = {m.input(s.count() * width), s.count(), width};
    o.key = {m.parameter(width * width), width, width};
    o.value = {m.parameter(width * width), width, width};
    if (s.bias) { o.value_bias = {m.parameter(width), width}; }
    if (s.probabilities) {
      o.probabilities = {m.template output<statistic_t<T>>(s.rows() * s.heads), s.rows(), s.heads};
    }
    o.heads = s.heads;
    o.causal = s.causal;
    o.pooling = s.pooling;
    o.sequences = m.sequences(s.batch);
    return o;
  }
};

struct PooledAttentionBackward {
  template <class T>
  using operation = op::pooled_attention_backward<T>;
  using Size = PooledAttentionSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    for (Size s : pooled_attentions()) {
      all.push_back(s);
      s.dkey = s.dvalue = false;
      all.push_back(s);
    }
    Size s = pooled_attentions()[2];
    s.dkey = false;
    all.push_back(s);
    s.dkey = true;
    s.dvalue = false;
    all.push_back(s);
    return all;
  }
  static std::vector<Timed<Size>> timed() {
    auto all = timed_pooled_attentions();
    for (auto& each : all) { each.size.dkey = each.size.dvalue = false; }
    return all;
  }
  static Work work(const Size& s) { return s.work(3, 4); }
  /// The forward pass in double gives the probabilities that backward reads.
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index width = s.width();
    const auto matrix = [width](auto* data, Index rows) {
      return radapt::Matrix<std::remove_reference_t<decltype(*data)>>{data, rows, width};
    };
    const auto values = [](radapt::Matrix<const double> x) { return std::vector<double>(x.data, x.data + x.size()); };
    operation<T> o{};
    o.dx = matrix(m.output(s.rows() * width), s.rows());
    o.dq = matrix(m.output(s.count() * width), s.count());
    if (s.dkey) { o.dkey = matrix(m.updated_parameter(width * width), width); }
    if (s.dvalue) { o.dvalue = matrix(m.updated_parameter(width * width), width); }
    o.dy = {m.input(s.count() * width), s.count(), width};
    if (m.is_for_timing()) {
      o.x = {m.input(s.rows() * width), s.rows(), width};
      o.q = {m.input(s.count() * width), s.count(), width};
      o.key = {m.parameter(width * width), width, width};
      o.value = {m.parameter(width * width), width, width};
      o.probabilities = {m.template input<statistic_t<T>>(s.rows() * s.heads, 0, 0.01), s.rows(), s.heads};
    } else {
      Blocks scratch;
      Memory<double> of_forward(scratch);
      const auto forward = PooledAttentionForward::build(of_forward, s);
      launched(forward)();
      o.x = {m.given(values(forward.x)), s.rows(), width};
      o.q = {m.given(values(forward.q)), s.count(), width};
      o.key = {m.template given<radapt::parameter_t<T>>(values(forward.key)), width, width};
      o.value = {m.template given<radapt::parameter_t<T>>(values(forward.value)), width, width};
      o.probabilities = {m.template given<statistic_t<T>>(values(forward.probabilities)), s.rows(), s.heads};
    }
    o.heads = s.heads;
    o.sequences = m.sequences(s.batch);
    return o;
  }
  /// Long sequences differ in nothing.
  static std::vector<Size> differentiated() {
    std::vector<Size> all;
    for (const Size& s : pooled_attentions()) {
      if (s.batch.view().longest() <= 50) { all.push_back(s); }
    }
    return all;
  }
  /// Of pooled_attention_forward, by x, q and both weights.
  static void differentiate(Differentiation& d, const Size& s) {
    const Index width = s.width();
    const auto& x = d.variable(s.rows() * width, Gradient::assigned);
    const auto& q = d.variable(s.count() * width, Gradient::assigned);
    const auto& key = d.variable(width * width, Gradient::added);
    const auto& value = d.variable(width * width, Gradient::added);
    const auto& y = d.result(s.count() * width);
    const op::pooled_attention_forward<double> forward{
        .y = {y.y, s.count(), width},
        .x = {x.x, s.rows(), width},
        .q = {q.x, s.count(), width},
        .key = {key.x, width, width},
        .value = {value.x, width, width},
        .probabilities = {d.intermediate(s.rows() * s.heads), s.rows(), s.heads},
        .heads = s.heads,
        .causal = s.causal,
        .pooling = s.pooling,
        .sequences = s.batch.view()};
    d.forward = launched(forward);
    d.backward = launched(operation<double>{.dx = {x.dx, s.rows(), width},
                                            .dq = {q.dx, s.count(), width},
                                            .dkey = {key.dx, width, width},
                                            .dvalue = {value.dx, width, width},
                                            .dy = {y.dy, s.count(), width},
                                            .x = forward.x,
                                            .q = forward.q,
                                            .key = forward.key,
                                            .value = forward.value,
                                            .probabilities = forward.probabilities,
                                            .heads = s.heads,
                                            .sequences = forward.sequences});
  }
};

}  // namespace radapt_test::cases
