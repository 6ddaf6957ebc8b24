#pragma once
/// Cases of op/loss.hpp. A loss and its gradient are one operation.
#include <algorithm>

#include "cases/case.hpp"
#include "radapt/backend/reference/loss.hpp"

namespace radapt_test::cases {

namespace op = radapt::op;
using radapt::statistic_t;

struct ContrastiveSize {
  Index batch, width = 33;
  bool supervised = false;  ///< several pairs share a label, and targets are smoothed (MPM-NCE)
  double margin = 0, scale = 100;
  bool learned_scale = false;  ///< the scale is exp of a parameter
  bool dfeatures = true, dlog_scale = false;

  std::string title() const {
    return extents(batch, width) + (supervised ? ", supervised" : "") + ", margin " + std::to_string(margin) +
           ", scale " + std::to_string(scale) + (learned_scale ? " learned" : "") + (dfeatures ? ", dfeatures" : "") +
           (dlog_scale ? ", dlog_scale" : "");
  }
  std::vector<std::int32_t> labels() const {
    std::vector<std::int32_t> all(batch);
    for (Index i = 0; i < batch; ++i) { all[i] = static_cast<std::int32_t>(supervised ? i % 3 : i); }
    return all;
  }
  /// Targets of a match and of a mismatch for every row: rows sum to one.
  struct Targets {
    std::vector<double> positive, negative;
  };
  Targets targets() const {
    constexpr double eps = 0.1;
    Targets t{std::vector<double>(batch, 1.0), std::vector<double>(batch, 0.0)};
    const std::vector<std::int32_t> all = labels();
    for (Index i = 0; supervised && batch > 3 && i < batch; ++i) {
      const auto same = static_cast<double>(std::count(all.begin(), all.end(), all[i]));
      t.positive[i] = (1 - eps) / same;
      t.negative[i] = eps / (number(batch) - same);
    }
    return t;
  }
};

struct ContrastiveLoss {
  template <class T>
  using operation = op::contrastive_loss<T>;
  using Size = ContrastiveSize;
  static constexpr Tolerance tolerance{
      5e-5, 1e-13,
      "logits near 100 carry a rounding of 4e-6 (7e-15), which the exponential turns into a relative error of the same "
      "size, and the sums over a row of the batch into up to ten times that"};
  static constexpr Threads threads = Threads::may_differ;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    const Index batches[] = {1, 2, 5, 67, 300};
    for (const Index batch : batches) {
      for (const bool supervised : {false, true}) {
        const Size plain{.batch = batch, .supervised = supervised};
        all.insert(all.end(), 4, plain);
        Size* const variant = &all[all.size() - 4];
        variant[1].margin = 0.15;
        variant[2].scale = 10;
        variant[2].learned_scale = variant[2].dlog_scale = true;
        variant[3].learned_scale = true;
        variant[3].dfeatures = false;
      }
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel& m) {
      return Size{.batch = 512, .width = m.text_width, .supervised = true, .margin = 0.05};
    });
  }
  /// A batch of 300 differs from one of 67 in the blocks of the CPU backend only.
  static std::vector<Size> differentiated() {
    std::vector<Size> all;
    for (const Size& s : tested()) {
      if (s.dfeatures && s.batch < 300) { all.push_back(s); }
    }
    return all;
  }
  /// The logits, and the gradients by both sets of features; two softmaxes on every logit.
  static Work work(const Size& s) {
    const double logits = number(s.batch * s.batch);
    return {.flops = 6 * logits * number(s.width) + 20 * logits,
            .elements = 4 * number(s.batch * s.width) + 6 * logits};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    using S = statistic_t<T>;
    const Size::Targets targets = s.targets();
    operation<T> o{};
    o.image = {m.input(s.batch * s.width, -0.3, 0.3), s.batch, s.width};
    o.text = {m.input(s.batch * s.width, -0.3, 0.3), s.batch, s.width};
    o.labels = m.whole(s.labels());
    o.positive = {m.template given<S>(targets.positive), s.batch};
    o.negative = {m.template given<S>(targets.negative), s.batch};
    o.margin = s.margin;
    o.scale = s.scale;
    if (s.learned_scale) { o.log_scale = m.input(1, 3, 4); }
    o.logits = {m.output(s.batch * s.batch), s.batch, s.batch};
    o.log_sums = {m.template output<S>(2 * s.batch), 2 * s.batch};
    o.loss = m.template output<double>(1);
    if (s.dfeatures) {
      o.dimage = {m.output(s.batch * s.width), s.batch, s.width};
      o.dtext = {m.output(s.batch * s.width), s.batch, s.width};
    }
    if (s.dlog_scale) { o.dlog_scale = m.updated(1, 5, 6); }
    return o;
  }
  /// Of the loss, by both sets of features and the logarithm of the scale.
  static void differentiate(Differentiation& d, const Size& s) {
    d.step = 1e-4;  // logits move by up to a hundred times as much
    const Index n = s.batch * s.width;
    const auto& image = d.variable(n, Gradient::assigned, -0.3, 0.3);
    const auto& text = d.variable(n, Gradient::assigned, -0.3, 0.3);
    const Size::Targets targets = s.targets();
    op::contrastive_loss<double> o{};
    o.image = {image.x, s.batch, s.width};
    o.text = {text.x, s.batch, s.width};
    o.labels = d.whole(s.labels());
    o.positive = {d.given(targets.positive), s.batch};
    o.negative = {d.given(targets.negative), s.batch};
    o.margin = s.margin;
    o.scale = s.scale;
    o.logits = {d.intermediate(s.batch * s.batch), s.batch, s.batch};
    o.log_sums = {d.intermediate(2 * s.batch), 2 * s.batch};
    o.loss = d.loss();
    const Differentiation::Variable* const log_scale =
        s.learned_scale ? &d.variable(1, Gradient::added, 3, 4) : nullptr;
    if (log_scale != nullptr) { o.log_scale = log_scale->x; }
    d.forward = launched(o);
    o.dimage = {image.dx, s.batch, s.width};
    o.dtext = {text.dx, s.batch, s.width};
    if (log_scale != nullptr) { o.dlog_scale = log_scale->dx; }
    d.backward = launched(o);
  }
};

/// What becomes of the gradient by the logits.
enum class LogitGradient { none, own, in_place };

struct CrossEntropySize {
  Index rows, classes;
  double smoothing = 0;
  LogitGradient gradient = LogitGradient::own;
  bool margins = false;

  std::string title() const {
    const char* const gradients[] = {"no gradient", "gradient", "gradient in place"};
    return extents(rows, classes) + ", smoothing " + std::to_string(smoothing) + ", " +
           gradients[static_cast<int>(gradient)] + (margins ? ", margins" : "");
  }
  std::vector<std::int32_t> labels() const {
    std::vector<std::int32_t> all(rows);
    for (Index i = 0; i < rows; ++i) { all[i] = static_cast<std::int32_t>((i * 7 + 1) % classes); }
    return all;
  }
};

struct CrossEntropy {
  template <class T>
  using operation = op::cross_entropy<T>;
  using Size = CrossEntropySize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  static std::vector<Size> tested() {
    std::vector<Size> all;
    const Size shapes[] = {{1, 1}, {1, 5}, {3, 7}, {65, 33}, {130, 768}, {700, 64}};
    for (Size s : shapes) {
      for (int variant = 0; variant < 12; ++variant) {
        s.smoothing = variant % 2 == 0 ? 0.0 : 0.1;
        s.gradient = static_cast<LogitGradient>(variant / 2 % 3);
        s.margins = variant >= 6;
        all.push_back(s);
      }
    }
    return all;
  }
  /// ImageNet's classes.
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel&) { return Size{timed_batch, 1000}; });
  }
  static std::vector<Size> differentiated() {
    std::vector<Size> all;
    for (const Size& s : tested()) {
      if (s.gradient == LogitGradient::own) { all.push_back(s); }
    }
    return all;
  }
  static Work work(const Size& s) {
    const double n = number(s.rows * s.classes);
    return {.flops = 6 * n, .elements = 2 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index n = s.rows * s.classes;
    operation<T> o{};
    T* const logits = s.gradient == LogitGradient::in_place ? m.updated(n, -9, 9) : m.input(n, -9, 9);
    o.logits = {logits, s.rows, s.classes};
    o.labels = m.whole(s.labels());
    o.smoothing = s.smoothing;
    o.loss = m.template output<double>(1);
    if (s.gradient == LogitGradient::own) { o.dlogits = {m.output(n), s.rows, s.classes}; }
    if (s.gradient == LogitGradient::in_place) { o.dlogits = {logits, s.rows, s.classes}; }
    o.gradient_scale = 0.25;
    if (s.margins) { o.margins = {m.input(s.classes * s.classes, -2, 0), s.classes, s.classes}; }
    return o;
  }
  /// Of the loss, by the logits; gradient_scale is its weight.
  static void differentiate(Differentiation& d, const Size& s) {
    const auto& logits = d.variable(s.rows * s.classes, Gradient::assigned, -9, 9);
    operation<double> o{};
    o.logits = {logits.x, s.rows, s.classes};
    o.labels = d.whole(s.labels());
    o.smoothing = s.smoothing;
    o.gradient_scale = 0.25;
    o.loss = d.loss(o.gradient_scale);
    if (s.margins) { o.margins = {d.constant(s.classes * s.classes, -2, 0), s.classes, s.classes}; }
    d.forward = launched(o);
    o.dlogits = {logits.dx, s.rows, s.classes};
    d.backward = launched(o);
  }
};

struct DistillationSize {
  Index rows, columns;
  bool masked = false, minus_entropy = true;

  std::string title() const {
    return extents(rows, columns) + (masked ? ", masked" : "") + (minus_entropy ? ", divergence" : ", cross entropy");
  }
  std::vector<std::int32_t> labels() const {
    std::vector<std::int32_t> all(masked ? std::max(rows, columns) : 0);
    for (Index i = 0; i < all.size(); ++i) { all[i] = static_cast<std::int32_t>(i % 3); }
    return all;
  }
};

struct Distillation {
  template <class T>
  using operation = op::distillation<T>;
  using Size = DistillationSize;
  static constexpr Tolerance tolerance = sum_tolerance;
  static constexpr Threads threads = Threads::same_bits;
  /// A single masked entry leaves nothing to compare: loss and gradient are zero.
  static std::vector<Size> tested() {
    std::vector<Size> all;
    const Size shapes[] = {{1, 1}, {1, 5}, {3, 7}, {65, 33}, {130, 768}, {64, 64}};
    for (Size s : shapes) {
      for (int variant = 0; variant < 4; ++variant) {
        s.masked = variant % 2 != 0;
        s.minus_entropy = variant < 2;
        all.push_back(s);
      }
    }
    return all;
  }
  static std::vector<Timed<Size>> timed() {
    return for_timed_models<Size>([](const TimedModel&) { return Size{512, 512, true}; });
  }
  static Work work(const Size& s) {
    const double n = number(s.rows * s.columns);
    return {.flops = 12 * n, .elements = 3 * n};
  }
  template <class T>
  static operation<T> build(Memory<T>& m, const Size& s) {
    const Index n = s.rows * s.columns;
    operation<T> o{};
    // Not so far apart that one entry has all probability with both: their difference would be nothing but rounding.
    o.student = {m.updated(n, -2, 2), s.rows, s.columns};
    o.teacher = {m.input(n, -2, 2), s.rows, s.columns};
    o.labels = m.whole(s.labels());
    o.weight = 0.75;
    o.minus_entropy = s.minus_entropy;
    o.loss = m.template updated<double>(1, 1, 2);
    return o;
  }
  /// Of the loss, by the student's logits, in whose place the gradient is put.
  static void differentiate(Differentiation& d, const Size& s) {
    const Index n = s.rows * s.columns;
    const auto& student = d.variable(n, Gradient::assigned, -2, 2);
    operation<double> o{};
    o.student = {d.intermediate(n), s.rows, s.columns};
    o.teacher = {d.constant(n, -2, 2), s.rows, s.columns};
    o.labels = s.masked ? d.whole(s.labels()) : nullptr;
    o.weight = 0.75;
    o.minus_entropy = s.minus_entropy;
    o.loss = d.loss();
    const auto on_copy = [&](const operation<double>& call) {
      return [call, x = student.x] {
        std::copy(x, x + call.student.size(), call.student.data);
        *call.loss = 0;
        launched(call)();
      };
    };
    d.forward = on_copy(o);
    o.student.data = student.dx;
    d.backward = on_copy(o);
  }
};

}  // namespace radapt_test::cases
