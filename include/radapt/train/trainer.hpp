#pragma once
/// The training loop's inner step: gradients, clipping, AdamW, moving average. Owns all memory of a run.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "radapt/core/resident.hpp"
#include "radapt/ensemble/product_average.hpp"
#include "radapt/op/update.hpp"
#include "radapt/train/average_teacher.hpp"
#include "radapt/train/label_objective.hpp"
#include "radapt/train/pair_objective.hpp"
#include "radapt/train/penalties.hpp"
#include "radapt/train/recipe.hpp"
#include "radapt/train/run_facts.hpp"
#include "radapt/train/train_options.hpp"

namespace radapt {

/// What a term added to the loss of a step.
struct TermValue {
  std::string_view name;
  double value = 0.0;
};

/// What a step did.
struct StepReport {
  std::uint64_t step = 0;  ///< counted from 0
  double loss = 0.0;       ///< with its terms
  double lr = 0.0;
  double grad_norm = 0.0;          ///< before clipping
  std::vector<TermValue> terms{};  ///< in the order of loss::With; empty for a loss without terms
};

/// Bytes of a run, printable before it.
struct MemoryReport {
  Index base = 0;         ///< weights that the run begins with: read, and never written
  Index trainable = 0;    ///< parameters, gradients, two moments, the average and the teacher of FromAverage
  Index activations = 0;  ///< kept for backward
  Index scratch = 0;      ///< of intermediate results
  Index shared = 0;       ///< of the two, which take turns in it
  Index features = 0;
  Index total() const { return base + trainable + activations + scratch - shared + features; }
};

/// One line per part, in MiB.
inline std::string describe(const MemoryReport& m) {
  const auto line = [](const std::string& what, Index bytes) {
    const Index tenths = (bytes * 10 + (Index{1} << 19)) >> 20;
    return what + std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " MiB\n";
  };
  return line("base weights        ", m.base) + line("trainable state     ", m.trainable) +
         line("kept activations    ", m.activations) + line("scratch             ", m.scratch - m.shared) +
         line("features and logits ", m.features) + line("total               ", m.total());
}

namespace detail {
template <class R, class T, class Backend, class Needs = typename R::loss::needs>
struct objective_of {
  using type = PairObjective<typename R::trained, typename R::tune, typename R::loss, T, Backend>;
};
template <class R, class T, class Backend>
struct objective_of<R, T, Backend, needs_head> {
  using type = LabelObjective<typename R::trained, typename R::tune, typename R::loss, T, Backend>;
};
}  // namespace detail

namespace detail {
template <bool Exists, class Model, class T>
struct lazy_products {
  using type = ProductAverage<Model, T>;
};
template <class Model, class T>
struct lazy_products<false, Model, T> {
  using type = char;
};
}  // namespace detail

namespace detail {
/// Weights that are not of the trained model.
template <class Base, class Other>
const Base& weights_to_train(const Other& other) {
  constexpr bool these_are_weights_of_the_trained_model = std::is_convertible_v<const Other&, Base>;
  static_assert(these_are_weights_of_the_trained_model,
                "radapt: these are not weights of the model that this recipe trains; to fix: add what it has besides, "
                "with_adapters<Policy>(weights) for adapters or zero_shot_classifier(weights, head) for a head, and "
                "use one architecture and one element type.");
  return reinterpret_cast<const Base&>(other);  // not reached
}
}  // namespace detail

/// Trains recipe R on a backend in element type T. The base weights are read where they lie and never written; only
/// trainable tensors are copied. A step is a pure function of the state, the batch and (seed, step): equal runs give
/// equal bits.
template <class R, class Backend, class T = float>
class Trainer {
 public:
  using recipe = R;
  using Model = typename R::trained;
  using Base = ConstWeights<Model, T>;
  using Objective = typename detail::objective_of<R, T, Backend>::type;
  using Batch = typename Objective::Batch;
  using State = Trainable<Model, typename R::tune, T>;
  using Terms = loss::term_needs<typename R::loss>;
  static constexpr bool accumulates = R::during::template has<Accumulate>;
  /// Whether the average of products exists: for adapters that merge, in a model with both towers.
  static constexpr bool has_products =
      accumulates && R::after::template has<Rescale> && std::is_same_v<Model, typename R::model>;

  /// Takes all memory. `base` are Weights, which must outlive the trainer, weights given away, which it keeps, or those
  /// of a mapped file: with_adapters<Policy>(load_mapped<Clip<Arch>>(path)).
  Trainer(const Base& base, TrainOptions options, typename R::loss loss = {})
      : base_(base),
        options_(detail::checked(options, has_products, accumulates)),
        state_(resident<Backend>(base), options.optimizer.rule, memory_of<Backend>()),
        squares_(1, input_memory_of<Backend>()),
        clip_(1, device_memory_of<Backend>()),
        objective_(loss, options.size, base.classes()) {
    if constexpr (Terms::count > 0) { detail::check_terms(objective_.loss(), state_); }
    const MemoryNeed need = memory_need(options_.size, base, loss);
    context_.arena.reserve(need.kept, need.scratch, device_memory_of<Backend>(), need.shared);
    if (packs_weights<Backend>()) { promise_constant(context_.device, state_.base()); }
    if (averages() && options_.average.target == Average::Target::factors) {
      average_ = Buffer<T>(state_.size(), memory_of<Backend>());
      std::copy(state_.parameter_buffer().begin(), state_.parameter_buffer().end(), average_.begin());
    }
    if constexpr (Terms::average_teacher) { teacher_.begin(state_, memory_of<Backend>()); }
    if constexpr (has_products) {
      if (averages() && options_.average.target == Average::Target::product) {
        check_all_are_adapters();
        products_.emplace(state_.values());
      }
    }
  }

  /// Weights of anything else: a sentence that says what to add.
  template <class Other>
  requires(!std::is_convertible_v<Other, Base>) Trainer(Other&& other, TrainOptions options, typename R::loss loss = {})
      : Trainer(detail::weights_to_train<Base>(other), options, loss) {}

  /// Bytes of a run with these options, without running or allocating it.
  static MemoryReport memory(const Base& base, const TrainOptions& options, const typename R::loss& loss = {}) {
    const MemoryNeed need = memory_need(options.size, base, loss);
    const Index buffer = State::elements(base.classes()) * sizeof(T);
    const Index teacher = Terms::average_teacher ? buffer : 0;
    Index average = accumulates && options.average.kind != Average::Kind::none ? buffer : 0;
    if constexpr (has_products) {
      if (average > 0 && options.average.target == Average::Target::product) {
        average = ProductAverage<Model, T>::bytes();
      }
    }
    return {.base = base.bytes(),
            .trainable = 4 * buffer + average + teacher,
            .activations = need.kept,
            .scratch = need.scratch,
            .shared = need.shared,
            .features = need.features};
  }

  /// One optimiser step. When the loss or a gradient is not finite it throws, names the tensor, and leaves the
  /// parameters, moments and average as they were. Where launches return at once it waits for them once, at its end,
  /// and once more where it moves the teacher of loss::FromAverage.
  StepReport step(const Batch& batch) {
    if (averages() && options_.average.kind == Average::Kind::beta && step_ >= options_.schedule.total) {
      fail({.what = "training step " + std::to_string(step_),
            .expected = "at most " + std::to_string(options_.schedule.total) + " steps, which the Beta average weighs",
            .got = "one more",
            .hint = "Set schedule.total to the steps of the run"});
    }
    StepReport report{.step = step_, .lr = options_.schedule(step_)};
    context_.arena.release({});  // what a step left behind that ended with an error
    Phase& phase = context_.phase;
    phase = Phase{};
    phase.training = true;
    if constexpr (R::during::template has<AdapterDrop>) {
      phase.adapter_drop = options_.adapter_drop;
      phase.granularity = options_.granularity;
    }
    phase.dropout = options_.dropout;
    phase.seed = options_.seed;
    phase.step = step_;
    phase.given_masks = given_masks_;

    if (unfinished_) { finish(context_); }  // what was launched in front of an error may still write
    unfinished_ = true;
    find_gradients(batch);
    const double momentum = averages() ? momentum_.at(options_.average, step_ + 1, options_.schedule.total) : 0.0;
    update(0, state_.decayed(), options_.optimizer.weight_decay, report.lr, momentum);
    update(state_.decayed(), state_.size(), 0.0, report.lr, momentum);
    finish(context_);  // the host reads what was measured, and below what was updated
    unfinished_ = false;
    report.loss = objective_.value();
    if constexpr (Terms::count > 0) { report.terms = term_values(); }
    report.grad_norm = std::sqrt(squares_[0]);
    if (!std::isfinite(report.loss) || !std::isfinite(report.grad_norm)) { not_finite(report); }

    clamp_logit_scale(momentum);
    if constexpr (Terms::average_teacher) { move_teacher(); }
    if constexpr (has_products) {
      if (products_.has_value()) { products_->update(state_.values(), momentum); }
    }
    ++step_;
    return report;
  }

  /// Number of steps done.
  std::uint64_t steps() const { return step_; }
  const TrainOptions& options() const { return options_; }
  State& state() { return state_; }
  Objective& objective() { return objective_; }
  Context<Backend>& context() { return context_; }
  /// The weights that the run began with.
  const Base& base() const { return base_; }
  /// What tells them from others, found once: used by checkpoints.
  const std::string& base_digest() {
    if (base_digest_.empty()) { base_digest_ = detail::digest(base_); }
    return base_digest_;
  }

  /// The model as trained so far.
  Weights<Model, T> weights() { return state_.assemble(state_.parameter_buffer()); }
  /// The model with the moving averages in the places of the trained tensors; as trained where the recipe has none.
  /// Error: a run that averages products, which deploy() merges.
  Weights<Model, T> averaged() {
    if constexpr (has_products) {
      if (products_.has_value()) {
        fail({.what = "the averaged model of a run",
              .expected = "a run that averages factors",
              .got = "an average of products, which is no weights of the model",
              .hint = "deploy() merges it; or leave TrainOptions::average.target at Average::Target::factors"});
      }
    }
    return state_.assemble(average_.size() > 0 ? average_ : state_.parameter_buffer());
  }

  bool averages() const { return accumulates && options_.average.kind != Average::Kind::none; }
  /// The average of products, when that is what the run follows.
  auto& products() { return products_; }
  Buffer<T>& average_buffer() { return average_; }
  /// The average that a term with FromAverage learns from; empty where the loss has none.
  Buffer<T>& teacher_buffer() { return teacher_.buffer(); }
  /// Continues from a saved state: used by checkpoints.
  void set_steps(std::uint64_t steps) { step_ = steps; }
  /// Masks of the next steps, by site in forward order (image tower first), in place of drawn ones; null draws again.
  void use_masks(const std::uint8_t* const* masks) { given_masks_ = masks; }

 private:
  /// An average of products holds what adapters do, and nothing else that is trained.
  void check_all_are_adapters() const {
    const std::vector<TensorFacts> plain = describe<Clip<typename Model::arch>>();
    const TensorNames names(plain);
    for (const auto& slot : state_.slots()) {
      if (!names.has(slot.name)) { continue; }
      fail({.what = "training option average.target",
            .expected = "factors, since '" + slot.name + "' is trained beside the adapters",
            .got = "product",
            .hint = "An average of products holds adapters alone. Average factors, or train adapters only"});
    }
  }
  /// Penalties on parameters are taken when the passes are done, and share their scratch memory.
  static MemoryNeed memory_need(const BatchSize& size, const Base& base, const typename R::loss& loss) {
    MemoryNeed need = Objective::memory(size, base.classes());
    if constexpr (Terms::count > 0) {
      need.scratch = std::max(need.scratch, detail::penalty_scratch<T>(loss, base.tensors()));
    }
    return need;
  }
  static Vector<T> flat(Buffer<T>& b, Index begin, Index end) {
    return b.size() == 0 ? Vector<T>{} : Vector<T>{b.data() + begin, end - begin};
  }

  /// Launches what finds the loss, the gradients and what clips them.
  void find_gradients(const Batch& batch) {
    const auto step = [&](const auto&... average) {
      objective_.read_parameters(state_.values(), state_.base_values(), average...);
      squares_[0] = 0.0;
      begin_step(context_);
      run(context_, op::clear<T>{.x = flat(state_.gradient_buffer(), 0, state_.size())});
      objective_.step(context_, state_.values(), state_.gradients(), batch, state_.base_values(),
                      {.step = step_, .total = options_.schedule.total}, average...);
    };
    if constexpr (Terms::average_teacher) {
      step(&teacher_.values());
    } else {
      step();
    }
    if constexpr (Terms::count > 0) { add_penalties(); }
    run(context_,
        op::sum_of_squares<T>{.x = flat(state_.gradient_buffer(), 0, state_.size()), .result = squares_.data()});
    run(context_, op::clip_factor<T>{.squares = squares_.data(),
                                     .losses = objective_.losses(),
                                     .most = options_.clip_norm,
                                     .factor = clip_.data()});
  }

  /// Launches the terms on parameters; the objective has launched the others.
  void add_penalties() {
    const auto frozen = state_.base().tensors();
    Index position = 0;
    objective_.loss().each_term([&]<class Term>(const Term& term) {
      if constexpr (loss::parameter_term<Term>) {
        detail::add_penalty<T>(context_, term, state_, frozen, &objective_.term_values()[position]);
      }
      ++position;
    });
  }
  /// What every term added to the loss.
  std::vector<TermValue> term_values() {
    std::vector<TermValue> all;
    objective_.loss().each_term([&]<class Term>(const Term&) {
      all.push_back({Term::name, objective_.term_values()[all.size()]});
    });
    return all;
  }
  void move_teacher() {
    objective_.loss().each_term([&]<class Term>(const Term& term) {
      if constexpr (loss::follows_average<Term>) {
        if (!term.average.moves_after(step_ + 1)) { return; }
        teacher_.follow(context_, term.average, state_.parameter_buffer(), step_ + 1, options_.schedule.total);
        finish(context_);
      }
    });
  }

  void update(Index begin, Index end, double decay, double lr, double momentum) {
    if (begin == end) { return; }
    run(context_, op::adamw<T>{.parameters = flat(state_.parameter_buffer(), begin, end),
                               .first_moment = flat(state_.first_moment(), begin, end),
                               .second_moment = flat(state_.second_moment(), begin, end),
                               .gradients = flat(state_.gradient_buffer(), begin, end),
                               .average = flat(average_, begin, end),
                               .clip = clip_.data(),
                               .lr = lr,
                               .beta1 = options_.optimizer.beta1,
                               .beta2 = options_.optimizer.beta2,
                               .eps = options_.optimizer.eps,
                               .weight_decay = decay,
                               .average_momentum = momentum,
                               .step = step_ + 1});
  }

  /// The average has taken in the value before the clamp; it gets the clamped one instead.
  void clamp_logit_scale(double momentum) {
    if constexpr (requires { state_.gradients().logit_scale; }) {
      if constexpr (wanted<decltype(state_.gradients().logit_scale)>) {
        if (options_.clamp_logit_scale) {
          T& value = *state_.values().logit_scale.data;
          const T clamped = std::clamp(value, T{0}, static_cast<T>(4.605170185988092));
          if (clamped != value && average_.size() > 0) {
            average_[state_.slot("logit_scale").offset] += static_cast<T>(1.0 - momentum) * (clamped - value);
          }
          value = clamped;
        }
      }
    }
  }

  [[noreturn]] void not_finite(const StepReport& report) {
    std::string where = "the loss; every gradient is finite";
    for (const auto& slot : state_.slots()) {
      const T* g = state_.gradient_buffer().data() + slot.offset;
      if (!std::all_of(g, g + slot.size, [](T x) { return std::isfinite(x); })) {
        where = "the gradient of '" + slot.name + "'";
        break;
      }
    }
    fail({.what = "training step " + std::to_string(report.step),
          .expected = "a finite loss and finite gradients",
          .got = "loss " + std::to_string(report.loss) + "; not finite: " + where,
          .hint =
              "Parameters are as after the step before. Lower the learning rate, lengthen the warm-up, and check the "
              "batch for non-finite pixels; f16 checkpoints must be trained in f32"});
  }

  Base base_;
  std::string base_digest_;
  TrainOptions options_;
  Context<Backend> context_;
  State state_;
  Buffer<double> squares_;  ///< the sum over the gradients: a kernel writes it, the host reads it
  Buffer<T> clip_;          ///< what gradients are multiplied with
  Objective objective_;
  Buffer<T> average_;
  AverageTeacher<Model, T> teacher_;
  std::optional<typename detail::lazy_products<has_products, Model, T>::type> products_;
  AscendingMomentum momentum_;
  std::uint64_t step_ = 0;
  bool unfinished_ = false;  ///< a step began that has not ended
  const std::uint8_t* const* given_masks_ = nullptr;
};

}  // namespace radapt
