#pragma once
/// The gradient checker for layers: `check_layer` compares every gradient that a layer computes with central
/// differences, in double on the reference backend, and holds the layer to its plan. For your own layers, too.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/backend/reference/all.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/layer/embedding.hpp"
#include "radapt/test/layer_check.hpp"

namespace radapt::test {

namespace detail {

template <class X>
struct input_element {
  using type = double;
};
template <>
struct input_element<TokenRow> {
  using type = std::int32_t;
};

/// Layer L on input X. HasDx: the input has a gradient.
template <class L, class X, bool HasDx>
class LayerCheck : LayerCheckBase {
 public:
  using In = typename input_element<X>::type;
  using Out = typename L::template output<X>;

  explicit LayerCheck(const CheckOptions& options) : LayerCheckBase(L::name, options), weights_(options.classes) {
    std::vector<ParameterLeaf> leaves;
    each_named(
        [&]<class S>(const std::string& name, Parameter<double, S>& p) {
          // Sums over a row of a matrix stay near one, so that no activation or softmax is driven to its flat end.
          const double deviation = S::rank < 2 ? 0.5 : 1 / std::sqrt(static_cast<double>(S::matrix_columns(p.leading)));
          leaves.push_back({name, p.data, p.size(), deviation});
        },
        "", weights_.tree());
    draw_parameters(std::move(leaves), weights_.buffer().data(), weights_.buffer().size());
  }

  template <class... Policies>
  Report run() {
    if (options_.sequences > 0) {
      check_batch<Policies...>("uniform batch", {.count = options_.sequences, .uniform_length = options_.length});
    }
    if (!options_.packed.empty()) {
      std::vector<Index> offsets{0};
      for (const Index n : options_.packed) { offsets.push_back(offsets.back() + n); }
      check_batch<Policies...>("packed batch", {.count = options_.packed.size(),
                                                .offsets = offsets.data(),
                                                .pooled = options_.pooled.empty() ? nullptr : options_.pooled.data()});
    }
    return report_;
  }

 private:
  template <class... Policies>
  void check_batch(const std::string& title, const Sequences& sequences) {
    const Extent e = sequences.extent();
    CheckBatch batch =
        make_batch(sequences, X::rows(e) * width<X>(), !std::is_same_v<In, double>, Out::rows(e) * width<Out>());
    attempt(title, [&] { check_inference(batch); });
    if constexpr (HasDx) { check_policy<tune::nothing, true>(batch, title + ", tune::nothing, dx"); }
    check_both_ways<tune::everything>(batch, title + ", tune::everything");
    Index number = 0;
    (check_both_ways<Policies>(batch, title + ", policy " + std::to_string(++number) + " of the call"), ...);
  }

  void check_inference(CheckBatch& batch) {
    using InferencePlan = Plan<L, X, double, tune::nothing, false>;
    const PassPlan plan{0, InferencePlan::forward_scratch(batch.sequences.extent())};
    Context<reference> c;
    PoisonedArena arena(c.arena, plan.kept, plan.scratch);
    const auto forward = [&] {
      arena.poison();
      Unsaved none;
      run_forward(c, batch, none);
    };
    forward();
    check_pass("forward, inference", batch, c.arena, arena, plan);
    take_derivatives(batch, forward, HasDx);
  }

  template <class Tune>
  void check_both_ways(CheckBatch& batch, const std::string& where) {
    if constexpr (trains_any<L, Tune>) {
      check_policy<Tune, false>(batch, where + ", no dx");
      if constexpr (HasDx) { check_policy<Tune, true>(batch, where + ", dx"); }
    }
  }
  template <class Tune, bool Dx>
  void check_policy(CheckBatch& batch, const std::string& where) {
    attempt(where, [&] { check_training<Tune, Dx>(batch); });
  }

  /// Forward and backward as in a training step.
  template <class Tune, bool Dx>
  void check_training(CheckBatch& batch) {
    using TrainingPlan = Plan<L, X, double, Tune, Dx>;
    const Extent e = batch.sequences.extent();
    const PassPlan plan{TrainingPlan::kept(e), TrainingPlan::forward_scratch(e)};
    Context<reference> c;
    PoisonedArena arena(c.arena, plan.kept, plan.scratch);
    typename TrainingPlan::Saved saved;
    run_forward(c, batch, saved);
    check_pass("forward, training", batch, c.arena, arena, plan);
    check_same_output(batch);

    Gradients<L, Tune, double> g;
    Guarded<double> dw(bind<double>(g, nullptr, options_.classes));
    draw(dw.data(), dw.size(), 1.0);
    bind(g, dw.data(), options_.classes);
    const std::vector<double> noise(dw.begin(), dw.end());
    Guarded<double> dx(Dx ? X::rows(e) * width<X>() : 0, NAN);

    // A context of its own: its peaks are those of backward, and nothing more can be added to what forward kept.
    const PassPlan back_plan{TrainingPlan::backward_kept(e), TrainingPlan::backward_scratch(e)};
    Context<reference> back;
    PoisonedArena back_arena(back.arena, back_plan.kept, back_plan.scratch);
    back.sequences = batch.sequences;
    back.phase = c.phase;
    const std::vector<double> y(batch.y.begin(), batch.y.end()), dy(batch.dy.begin(), batch.dy.end());
    const View<const double, Out> y_view = output(batch, batch.y), dy_view = output(batch, batch.dy);
    const Values<L, double>& p = weights_.tree();
    L::template backward<double, X>(back, p, g, when<TrainingPlan::reads_x, Dropped>(input(batch)),
                                    when<TrainingPlan::reads_y, Dropped>(y_view), saved, dy_view,
                                    when<Dx, Discard>(View<double, X>{dx.data(), X::rows(e), width<X>()}));
    check_pass("backward", batch, back.arena, back_arena, back_plan);
    expect(std::equal(y.begin(), y.end(), batch.y.begin()) && std::equal(dy.begin(), dy.end(), batch.dy.begin()),
           "backward must not write to y or dy");
    std::vector<GradientLeaf> gradients;
    each(
        [&]<class G>(const G& leaf) {
          if constexpr (wanted<G>) {
            gradients.push_back({leaf.data, leaf.size()});
          } else {
            gradients.push_back({nullptr, 0});
          }
        },
        g);
    compare_gradients(batch, gradients, dw, noise);
    if constexpr (Dx) { compare_input_gradient(batch, dx); }
  }

  template <class Saved>
  void run_forward(Context<reference>& c, CheckBatch& batch, Saved& saved) const {
    c.sequences = batch.sequences;
    c.phase = options_.phase;
    std::fill(batch.y.begin(), batch.y.end(), NAN);
    const Values<L, double>& p = weights_.tree();
    L::template forward<double, X>(c, p, input(batch), output(batch, batch.y), saved);
  }
  View<const In, X> input(CheckBatch& batch) const {
    return {batch.input_data<In>(), X::rows(batch.sequences.extent()), width<X>()};
  }
  View<double, Out> output(const CheckBatch& batch, Guarded<double>& memory) const {
    return {memory.data(), Out::rows(batch.sequences.extent()), width<Out>()};
  }
  template <class Row>
  Index width() const {
    return Row::width == dynamic ? options_.classes : Row::width;
  }
  /// `value`, or an Absent where there is none.
  template <bool Present, class Absent, class V>
  static auto when([[maybe_unused]] V value) {
    if constexpr (Present) {
      return value;
    } else {
      return Absent{};
    }
  }

  Weights<L, double> weights_;
};

}  // namespace detail

/// Checks layer L on rows X. For a uniform and a packed batch, and under several tuning policies (nothing but the
/// input's gradient, everything with and without it, and each of `Policies`), forward and backward run on drawn values:
///
/// - every gradient of a weight, and that of the input, is compared with central differences, along a random direction
///   and along single elements;
/// - weight gradients begin as noise (they must be added to), the input gradient begins as NaN (it must be assigned),
///   and all memory of the arena is NaN (what is read must have been written);
/// - inputs, outputs of the pass before and parameters keep every bit, so frozen parameters do;
/// - nothing beside the buffers is written;
/// - the bytes of the plan are the peaks of the arena: for inference, for training, and for backward;
/// - inference and training give the same output.
///
///     const auto report = radapt::test::check_layer<Scale<8>, radapt::Tokens<8>>();
///     if (!report) { std::puts(report.text().c_str()); }
///
/// Throws `error` for options that cannot be run. What the layer does wrong is in the report.
template <class L, class X, class... Policies>
Report check_layer(const CheckOptions& options = {}) {
  static_assert(std::is_same_v<typename detail::input_element<X>::type, double>,
                "radapt: token ids have no gradient; to fix: use check_first_layer.");
  return detail::LayerCheck<L, X, true>(options).template run<Policies...>();
}

/// The same for a layer whose input is data without a gradient: pixels, or token ids (TokenRow, with
/// CheckOptions::vocabulary).
template <class L, class X, class... Policies>
Report check_first_layer(const CheckOptions& options = {}) {
  if (!std::is_same_v<typename detail::input_element<X>::type, double> && options.vocabulary == 0) {
    fail({.what = "check_first_layer",
          .expected = "CheckOptions::vocabulary of at least 1 for a layer on token ids",
          .got = "0",
          .hint = ""});
  }
  return detail::LayerCheck<L, X, false>(options).template run<Policies...>();
}

}  // namespace radapt::test
