/// Laws of training that hold for every loss and backend: equal runs, split batches, clamping, decay, a step that
/// fails.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/train/recipes.hpp"
#include "radapt/train/trainer.hpp"
#include "support/tolerance.hpp"

using radapt::Index;

namespace {

struct Tiny : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{16, 2, 1, 32}, text{16, 2, 1, 64};
};
constexpr Index batch = 5, classes = 3;

// The laws of the trainer hold for every tuning policy, so the policies are small: what is last in each tower and the
// scale, which holds one tensor that decays and one that does not.
using Pairs =
    radapt::Recipe<radapt::Clip<Tiny>, radapt::tune::only<radapt::role::projection, radapt::role::logit_scale>,
                   radapt::ensemble::During<radapt::Accumulate>, radapt::ensemble::After<>, radapt::loss::Contrastive>;
using Labelled = radapt::Recipe<radapt::Clip<Tiny>, radapt::tune::only<radapt::role::head>, radapt::ensemble::During<>,
                                radapt::ensemble::After<>, radapt::loss::CrossEntropy>;
using Adapters = radapt::recipe::r_adapter<Tiny, radapt::low_rank<2>>;

template <class Recipe, class T>
radapt::Weights<typename Recipe::trained, T> first_weights() {
  radapt::Weights<typename Recipe::trained, T> weights(classes);
  radapt::Random random(8);
  radapt::each(
      [&](auto& leaf) {
        std::generate_n(leaf.data, leaf.size(), [&] { return static_cast<T>(0.3 * random.normal()); });
      },
      weights.tree());
  return weights;
}

radapt::TrainOptions options() {
  radapt::TrainOptions o;
  o.size.batch = batch;
  o.schedule = {.base = 1e-2, .warmup = 2, .total = 8, .minimum = 0};
  o.optimizer.weight_decay = 0.1;
  o.average.momentum = 0.9;
  o.seed = 3;
  return o;
}

/// Step `i` of a run: what depends on i alone.
template <class T>
struct Data {
  std::vector<T> pixels = std::vector<T>(batch * radapt::Clip<Tiny>::PixelRow::width);
  radapt::Captions captions = radapt::Captions::of<radapt::Clip<Tiny>>();
  std::vector<std::int32_t> labels{0, 2, 1, 0, 1};
  explicit Data(std::uint64_t i) {
    radapt::Random random(11, i);
    for (T& x : pixels) { x = static_cast<T>(random.normal()); }
    for (Index b = 0; b < batch; ++b) {
      std::vector<std::int64_t> ids{14};
      for (Index t = 0; t <= b % 3; ++t) { ids.push_back(static_cast<std::int64_t>(random.below(14))); }
      ids.push_back(15);
      captions.add(ids);
    }
  }
  template <class Trainer>
  typename Trainer::Batch batch_of() const {
    if constexpr (std::is_same_v<typename Trainer::recipe::loss::needs, radapt::needs_head>) {
      return {.pixels = pixels, .labels = labels};
    } else {
      return {.pixels = pixels, .captions = &captions, .groups = labels};
    }
  }
};

template <class Trainer>
void train(Trainer& trainer, std::uint64_t steps) {
  using T = typename Trainer::Base::element;
  for (std::uint64_t i = 0; i < steps; ++i) {
    const Data<T> data(trainer.steps());
    trainer.step(data.template batch_of<Trainer>());
  }
}

/// Everything that a step changes.
template <class Trainer>
auto state(Trainer& trainer) {
  using T = typename Trainer::Base::element;
  std::vector<std::vector<T>> all;
  for (auto* b : {&trainer.state().parameter_buffer(), &trainer.state().first_moment(),
                  &trainer.state().second_moment(), &trainer.average_buffer()}) {
    all.emplace_back(b->begin(), b->end());
  }
  return all;
}

template <class R, class B, class T>
struct Run {
  using Recipe = R;
  using Element = T;
  using Trainer = radapt::Trainer<R, B, T>;
};
using PairsInDouble = Run<Pairs, radapt::reference, double>;
using LabelledInDouble = Run<Labelled, radapt::reference, double>;
using AdaptersInFloat = Run<Adapters, radapt::onednn, float>;

/// The value of one trained tensor's first element.
template <class Trainer>
auto& element(Trainer& trainer, radapt::Buffer<typename Trainer::Base::element>& buffer, const std::string& name) {
  return buffer[trainer.state().slot(name).offset];
}

constexpr double ln_100 = 4.605170185988092;

/// A trainer of pairs that starts at that logit_scale.
struct ScaleRun {
  radapt::Weights<Pairs::trained, double> weights = first_weights<Pairs, double>();
  radapt::Trainer<Pairs, radapt::reference, double> trainer;
  static auto with(radapt::Weights<Pairs::trained, double> w, double value) {
    *w.tree().logit_scale.data = value;
    return w;
  }
  static auto settings(double rate, bool clamp) {
    auto o = options();
    o.schedule = {.base = rate, .warmup = 0, .total = 1, .minimum = 0};
    o.clamp_logit_scale = clamp;
    return o;
  }
  ScaleRun(double start, double rate, bool clamp)
      : weights(with(first_weights<Pairs, double>(), start)), trainer(weights, settings(rate, clamp)) {}
  double scale() { return element(trainer, trainer.state().parameter_buffer(), "logit_scale"); }
  double average() { return element(trainer, trainer.average_buffer(), "logit_scale"); }
};

}  // namespace

TEST_CASE_TEMPLATE("equal runs give equal bits, whatever the number of threads", R, PairsInDouble, AdaptersInFloat) {
  using Trainer = typename R::Trainer;
  const auto weights = first_weights<typename R::Recipe, typename R::Element>();
  const auto result = [&](int threads) {
#ifdef _OPENMP
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
#endif
    Trainer trainer(weights, options());
    train(trainer, 4);
#ifdef _OPENMP
    omp_set_num_threads(before);
#endif
    (void)threads;
    return state(trainer);
  };
  const auto first = result(1);
  CHECK(result(1) == first);
  CHECK(result(3) == first);
}

TEST_CASE_TEMPLATE("micro-batches give the loss and the gradient of the whole batch, logit_scale's too", R,
                   PairsInDouble, LabelledInDouble) {
  using Trainer = typename R::Trainer;
  const auto weights = first_weights<typename R::Recipe, double>();
  Trainer whole(weights, options());
  const Data<double> data(0);
  const auto expected = whole.step(data.template batch_of<Trainer>());
  for (const Index micro : {Index{1}, Index{2}, Index{4}}) {
    CAPTURE(micro);
    auto split = options();
    split.size.micro_batch = micro;
    Trainer parts(weights, split);
    const auto got = parts.step(data.template batch_of<Trainer>());
    // Sums over the batch in another order, in double.
    CHECK(std::abs(got.loss - expected.loss) < 1e-13 * expected.loss);
    for (const auto& slot : whole.state().slots()) {
      CAPTURE(slot.name);
      CHECK(radapt_test::normalised_error(parts.state().gradient_buffer().data() + slot.offset,
                                          whole.state().gradient_buffer().data() + slot.offset, slot.size) < 1e-11);
    }
  }
}

TEST_CASE_TEMPLATE("the trainable state takes the bytes that were reported before it was made", R, PairsInDouble,
                   LabelledInDouble, AdaptersInFloat) {
  using Trainer = typename R::Trainer;
  using radapt::Average;
  const auto weights = first_weights<typename R::Recipe, typename R::Element>();
  const auto bytes = [&](const radapt::TrainOptions& o) {
    Trainer trainer(weights, o);
    Index n = 0;
    for (const auto& buffer : state(trainer)) { n += buffer.size() * sizeof(typename R::Element); }
    n += trainer.state().gradient_buffer().size() * sizeof(typename R::Element);
    if constexpr (Trainer::has_products) {
      if (trainer.products().has_value()) {
        for (const auto& [path, product] : trainer.products()->products()) { n += product.size() * sizeof(double); }
      }
    }
    return n;
  };
  auto none = options(), product = options();
  none.average.kind = Average::Kind::none;
  product.average.target = Average::Target::product;
  CHECK(Trainer::memory(weights, options()).trainable == bytes(options()));
  CHECK(Trainer::memory(weights, none).trainable == bytes(none));
  if constexpr (Trainer::has_products) { CHECK(Trainer::memory(weights, product).trainable == bytes(product)); }
}

TEST_CASE("a step that is not finite changes nothing, and the run goes on as if it had not been") {
  using Trainer = PairsInDouble::Trainer;
  const auto weights = first_weights<Pairs, double>();
  Trainer trainer(weights, options()), undisturbed(weights, options());
  train(trainer, 2);
  train(undisturbed, 2);
  const auto before = state(trainer);
  for (const double poison : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Data<double> bad(2);
    bad.pixels[5] = poison;
    CHECK_THROWS_WITH_AS(trainer.step(bad.batch_of<Trainer>()), doctest::Contains("not finite: the gradient of '"),
                         radapt::error);
    CHECK(state(trainer) == before);
    CHECK(trainer.steps() == 2);
  }
  train(trainer, 2);
  train(undisturbed, 2);
  CHECK(state(trainer) == state(undisturbed));
}

TEST_CASE("a trained logit_scale stays between 0 and ln 100, and so does its average") {
  // AdamW's first step is the rate in the direction of the gradient: far beyond the bounds from either side.
  for (const double start : {0.5, 4.5}) {
    CAPTURE(start);
    ScaleRun free(start, 10.0, false), clamped(start, 10.0, true);
    train(free.trainer, 1);
    train(clamped.trainer, 1);
    const double beyond = free.scale();
    REQUIRE((beyond < 0.0 || beyond > ln_100));
    CHECK(clamped.scale() == (beyond < 0.0 ? 0.0 : ln_100));
    CHECK(std::abs(free.average() - (0.9 * start + 0.1 * beyond)) < 1e-14);
    CHECK(std::abs(clamped.average() - (0.9 * start + 0.1 * clamped.scale())) < 1e-14);
  }
  ScaleRun above(4.7, 0.0, true), below(-0.3, 0.0, true), inside(2.0, 0.0, true);
  for (ScaleRun* run : {&above, &below, &inside}) { train(run->trainer, 1); }
  CHECK(above.scale() == ln_100);
  CHECK(below.scale() == 0.0);
  CHECK(inside.scale() == 2.0);
}

TEST_CASE("which tensors decay, by both rules") {
  using radapt::DecayRule;
  struct Row {
    const char* name;
    std::size_t rank;
    bool matrices_only;
  };
  // open_clip up to 3.3.0 (clip_compat.md 6.1): tensors of rank below 2 and names with bn, ln, bias or logit_scale do
  // not decay; the embeddings and projections do.
  const Row rows[] = {{"visual.conv1.weight", 4, true},
                      {"visual.class_embedding", 1, false},
                      {"visual.positional_embedding", 2, true},
                      {"visual.ln_pre.weight", 1, false},
                      {"visual.transformer.resblocks.0.ln_1.bias", 1, false},
                      {"visual.transformer.resblocks.0.attn.in_proj_weight", 2, true},
                      {"visual.transformer.resblocks.0.attn.in_proj_bias", 1, false},
                      {"visual.transformer.resblocks.0.attn.adapter.s", 0, false},
                      {"visual.transformer.resblocks.0.attn.adapter.F", 2, true},
                      {"transformer.resblocks.3.mlp.adapter.U", 2, true},
                      {"transformer.resblocks.3.mlp.c_fc.weight", 2, true},
                      {"visual.proj", 2, true},
                      {"text_projection", 2, true},
                      {"token_embedding.weight", 2, true},
                      {"logit_scale", 0, false},
                      {"head.weight", 2, true},
                      {"head.bias", 1, false},
                      {"some.bias", 2, false},
                      {"ln_final.matrix", 2, false}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(radapt::decays(DecayRule::matrices_only, row.name, row.rank) == row.matrices_only);
    CHECK(radapt::decays(DecayRule::everything, row.name, row.rank));
  }
}

TEST_CASE("the trainer decays by its rule, and only what the rule names") {
  using radapt::DecayRule;
  const auto weights = first_weights<Pairs, double>();
  for (const DecayRule rule : {DecayRule::matrices_only, DecayRule::everything}) {
    const auto settings = [&](double rate, double decay) {
      auto o = options();
      o.optimizer.rule = rule;
      o.optimizer.weight_decay = decay;
      o.clamp_logit_scale = false;
      o.schedule = {.base = rate, .warmup = 0, .total = 1, .minimum = 0};
      return o;
    };
    constexpr double rate = 1e-3, decay = 0.5;
    using Trainer = PairsInDouble::Trainer;
    Trainer still(weights, settings(0.0, decay)), without(weights, settings(rate, 0.0)),
        with(weights, settings(rate, decay));
    for (Trainer* trainer : {&still, &without, &with}) { train(*trainer, 1); }
    CHECK(still.state().slots().size() == 3);  // both projections and the scale
    for (const auto& slot : still.state().slots()) {
      CAPTURE(slot.name);
      // p (1 - rate decay) - step against p - step: the difference is rate decay p.
      const double share = radapt::decays(rule, slot.name, slot.rank) ? rate * decay : 0.0;
      bool holds = true;
      for (Index i = slot.offset; i < slot.offset + slot.size; ++i) {
        const double p = still.state().parameter_buffer()[i];
        const double difference = without.state().parameter_buffer()[i] - with.state().parameter_buffer()[i];
        holds = holds && std::abs(difference - share * p) <= 4e-16 * (1 + std::abs(p));  // two subtractions
      }
      CHECK(holds);
    }
    CHECK(still.state().decayed() == (rule == DecayRule::everything ? still.state().size() : 2 * 16 * 8));
  }
}
