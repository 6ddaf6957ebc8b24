/// CaRot in whole training steps: the gradient of all of it, its teacher, and terms that are switched off.
#include <algorithm>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/train/checkpoint.hpp"
#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"
#include "support/tolerance.hpp"
#include "train/term_runs.hpp"

using namespace radapt_test;
using radapt::loss::AverageSchedule;
using radapt::loss::ContrastiveDistillation;
using radapt::loss::CrossFNorm;
using radapt::loss::Orthogonality;
using radapt::loss::SelfDistillation;

namespace {

using CaRot = radapt::recipe::carot<Tiny>;
using Flyp = radapt::recipe::flyp<Tiny>;
/// Every kind of term at once, with both teachers.
using Everything =
    radapt::Recipe<TinyClip, radapt::tune::everything, radapt::ensemble::During<>, radapt::ensemble::After<>,
                   radapt::loss::With<radapt::loss::Contrastive, radapt::loss::TowardBase,
                                      radapt::loss::SpuriousAlignment, SelfDistillation, Orthogonality>>;

/// A trainer whose parameters, teacher and frozen weights are three different models.
template <class Recipe>
struct Disturbed {
  radapt::Weights<typename Recipe::trained, double> base = first_weights<typename Recipe::trained>();
  TrainerOf<Recipe> trainer;
  explicit Disturbed(Index micro = 0, const typename Recipe::loss& loss = {})
      : trainer(base, options(micro, 0.0), loss) {
    disturb(trainer);
    add_noise(trainer.teacher_buffer(), 22);
  }
};
typename CaRot::loss carot_loss(double distillation, double orthogonality, AverageSchedule average = {}) {
  CaRot::loss loss;
  loss.term<SelfDistillation>().strength = distillation;
  loss.term<SelfDistillation>().average = average;
  loss.term<Orthogonality>().strength = orthogonality;
  return loss;
}
bool same_bits(const radapt::Buffer<double>& a, const radapt::Buffer<double>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}
std::vector<double> values(const radapt::Buffer<double>& b) { return {b.begin(), b.end()}; }

}  // namespace

TEST_CASE("the published defaults") {
  const CaRot::loss loss;
  CHECK(loss.term<Orthogonality>().strength == 0.2);
  CHECK(loss.term<SelfDistillation>().strength == 1.5);
  const AverageSchedule average = loss.term<SelfDistillation>().average;
  CHECK(average.every == 500);
  // 0.05 at the start, 0.9 from a fifth of the run on, a line between.
  CHECK(average.momentum_at(0, 10000) == doctest::Approx(0.05).epsilon(1e-15));
  CHECK(average.momentum_at(500, 10000) == doctest::Approx(0.05 + 0.85 / 4).epsilon(1e-15));
  CHECK(average.momentum_at(2000, 10000) == 0.9);
  CHECK(average.momentum_at(9999, 10000) == 0.9);
  CHECK(average.momentum_at(0, 0) == 0.9);  // a run of no known length
}

TEST_CASE("the gradient of CaRot's whole objective is that of central differences, tensor by tensor") {
  Disturbed<CaRot> run;
  check_slopes(run.trainer, Data(1));
}

TEST_CASE("the gradient of all terms and both teachers at once, too") {
  Disturbed<Everything> run;
  check_slope(run.trainer, Data(2));
}

TEST_CASE("CaRot does not see how a batch is split, and takes what was planned") {
  check_micro_batches<CaRot>(Data(1));
  check_micro_batches<Everything>(Data(2));
  for (const Index micro : {Index{0}, Index{4}}) {
    check_memory<CaRot>(1, micro);
    check_memory<Everything>(2, micro);
  }
  // The teacher is one more buffer in the layout of the trained tensors.
  const auto base = first_weights<TinyClip>();
  const Index with = TrainerOf<CaRot>::memory(base, options()).trainable;
  CHECK(4 * with == 5 * TrainerOf<Flyp>::memory(base, options()).trainable);
}

TEST_CASE("where a penalty's workspace is larger than the passes' scratch memory, the plan says so") {
  using ProjectionAlone =
      radapt::Recipe<TinyClip, radapt::tune::only<radapt::role::projection>, radapt::ensemble::During<>,
                     radapt::ensemble::After<>, radapt::loss::With<radapt::loss::Contrastive, Orthogonality>>;
  struct LargeWorkspace : Orthogonality {
    static constexpr Index scratch_elements(Index, Index) { return 1 << 20; }
  };
  using Large =
      radapt::Recipe<TinyClip, radapt::tune::only<radapt::role::projection>, radapt::ensemble::During<>,
                     radapt::ensemble::After<>, radapt::loss::With<radapt::loss::Contrastive, LargeWorkspace>>;
  check_memory<ProjectionAlone>(1, 0);
  check_memory<Large>(1, 0);
  const auto base = first_weights<TinyClip>();
  CHECK(TrainerOf<Large>::memory(base, options()).scratch == (Index{8} << 20));
}

TEST_CASE("the loss is FLYP's, the norm of W^T W - 1, and both cross entropies with the teacher") {
  Disturbed<CaRot> run;
  Disturbed<Flyp> plain;
  const Data data(1);
  const auto report = objective_at(run.trainer, data);
  REQUIRE(report.terms.size() == 2);
  CHECK(report.terms[0].name == "orthogonality");
  CHECK(report.terms[1].name == "contrastive_distillation");
  const double base = objective_at(plain.trainer, data).loss;
  CHECK(report.loss == doctest::Approx(base + report.terms[0].value + report.terms[1].value).epsilon(1e-14));

  const auto student = run.trainer.weights();
  double squares = 0;
  const auto& slot = run.trainer.state().slot("visual.proj");
  const double* p = run.trainer.state().parameter_buffer().data() + slot.offset;
  const Index rows = slot.size / Tiny::embed;
  for (Index a = 0; a < Tiny::embed; ++a) {
    for (Index b = 0; b < Tiny::embed; ++b) {
      double g = a == b ? -1.0 : 0.0;
      for (Index i = 0; i < rows; ++i) { g += p[i * Tiny::embed + a] * p[i * Tiny::embed + b]; }
      squares += g * g;
    }
  }
  CHECK(report.terms[0].value == doctest::Approx(0.2 * std::sqrt(squares)).epsilon(1e-13));

  // The features of student and teacher from sessions of their own.
  const auto log_softmax = [&](const radapt::Weights<TinyClip, double>& weights) {
    radapt::Session<TinyClip, radapt::reference, double> session(weights);
    std::vector<double> u(batch * Tiny::embed), t(batch * Tiny::embed);
    session.encode_images(data.pixels, u);
    session.encode_texts(data.captions, t);
    session.normalize(u);
    session.normalize(t);
    std::vector<double> both(2 * batch * batch);
    for (Index direction = 0; direction < 2; ++direction) {
      for (Index i = 0; i < batch; ++i) {
        double sum = 0;
        for (Index j = 0; j < batch; ++j) {
          double z = 0;
          for (Index e = 0; e < Tiny::embed; ++e) {
            z += direction == 0 ? u[i * Tiny::embed + e] * t[j * Tiny::embed + e]
                                : t[i * Tiny::embed + e] * u[j * Tiny::embed + e];
          }
          both[(direction * batch + i) * batch + j] = session.scale() * z;
          sum += std::exp(session.scale() * z);
        }
        for (Index j = 0; j < batch; ++j) { both[(direction * batch + i) * batch + j] -= std::log(sum); }
      }
    }
    return both;
  };
  const auto log_p = log_softmax(student);
  const auto log_t = log_softmax(run.trainer.state().assemble(run.trainer.teacher_buffer()));
  double cross_entropy = 0;
  for (Index k = 0; k < log_p.size(); ++k) {
    cross_entropy -= std::exp(log_t[k]) * log_p[k] / static_cast<double>(batch);
  }
  CHECK(report.terms[1].value == doctest::Approx(1.5 * cross_entropy).epsilon(1e-12));
}

TEST_CASE("cross_fnorm is the norm of visual.proj text_projection^T, not squared") {
  using CrossCaRot = radapt::recipe::carot<Tiny, CrossFNorm>;
  CHECK(CrossCaRot::loss().term<CrossFNorm>().strength == 0.05);  // the released code's example
  Disturbed<CrossCaRot> run;
  Disturbed<CaRot> plain;
  const Data data(1);
  const auto report = objective_at(run.trainer, data);
  REQUIRE(report.terms.size() == 3);
  CHECK(report.terms[2].name == "cross_fnorm");
  const auto tensor = [&](const char* name) {
    const auto& slot = run.trainer.state().slot(name);
    return std::span<const double>(run.trainer.state().parameter_buffer().data() + slot.offset, slot.size);
  };
  const auto v = tensor("visual.proj"), w = tensor("text_projection");
  double squares = 0;
  for (Index i = 0; i < v.size() / Tiny::embed; ++i) {
    for (Index j = 0; j < w.size() / Tiny::embed; ++j) {
      double product = 0;
      for (Index e = 0; e < Tiny::embed; ++e) { product += v[i * Tiny::embed + e] * w[j * Tiny::embed + e]; }
      squares += product * product;
    }
  }
  CHECK(report.terms[2].value == doctest::Approx(0.05 * std::sqrt(squares)).epsilon(1e-13));
  CHECK(report.loss == doctest::Approx(objective_at(plain.trainer, data).loss + report.terms[2].value).epsilon(1e-14));
  check_slopes(run.trainer, data);
  check_memory<CrossCaRot>(1, 0);
  check_memory<CrossCaRot>(1, 4);
}

TEST_CASE("cross_fnorm moves one projection where the other is frozen, and neither where their product is zero") {
  using ImageProjection =
      radapt::Recipe<TinyClip, radapt::tune::only<radapt::role::tower::image>, radapt::ensemble::During<>,
                     radapt::ensemble::After<>, radapt::loss::With<radapt::loss::Contrastive, CrossFNorm>>;
  Disturbed<ImageProjection> run;
  check_slopes(run.trainer, Data(1));

  // Only the first columns of one and the last columns of the other: the product is zero, and its norm has no gradient.
  using Both = radapt::Recipe<TinyClip, radapt::tune::everything, radapt::ensemble::During<>, radapt::ensemble::After<>,
                              radapt::loss::With<radapt::loss::Contrastive, CrossFNorm>>;
  auto base = first_weights<TinyClip>();
  Index emptied = 0;
  for (const auto& tensor : base.tensors()) {
    const bool image = tensor.name() == "visual.proj", text = tensor.name() == "text_projection";
    if (!image && !text) { continue; }
    ++emptied;
    for (Index i = 0; i < tensor.size(); ++i) {
      if ((i % Tiny::embed < Tiny::embed / 2) == image) { tensor.data[i] = 0; }
    }
  }
  REQUIRE(emptied == 2);
  TrainerOf<Both> with(base, options(0, 0.0));
  TrainerOf<Flyp> without(base, options(0, 0.0));
  const Data data(1);
  CHECK(objective_at(with, data).terms[0].value == 0.0);
  objective_at(without, data);
  CHECK(gradient_of(with) == gradient_of(without));
}

TEST_CASE("cross_fnorm needs both projections") {
  using HeadAlone =
      radapt::Recipe<radapt::Classifier<TinyClip>, radapt::tune::everything, radapt::ensemble::During<>,
                     radapt::ensemble::After<>, radapt::loss::With<radapt::loss::CrossEntropy, CrossFNorm>>;
  const auto base = first_weights<radapt::Classifier<TinyClip>>();
  CHECK(fails_with("none of the name 'text_projection'", [&] { TrainerOf<HeadAlone> trainer(base, options()); }));
}

TEST_CASE("a teacher that is the student pulls nowhere") {
  const Data data(1);
  const auto base = first_weights<TinyClip>();
  TrainerOf<CaRot> with(base, options(0, 0.0), carot_loss(1.5, 0.0));
  TrainerOf<Flyp> without(base, options(0, 0.0));
  objective_at(with, data);
  objective_at(without, data);
  double worst = 0, largest = 0;
  for (Index i = 0; i < with.state().size(); ++i) {
    worst = std::max(worst, std::abs(with.state().gradient_buffer()[i] - without.state().gradient_buffer()[i]));
    largest = std::max(largest, std::abs(without.state().gradient_buffer()[i]));
  }
  CHECK(worst < 1e-13 * largest);  // two soft-maxes of logits that differ by rounding
}

TEST_CASE("terms of strength zero leave the loss and every gradient as they are, to the bit") {
  Disturbed<CaRot> off(0, carot_loss(0.0, 0.0));
  Disturbed<Flyp> plain;
  const Data data(1);
  const auto report = objective_at(off.trainer, data);
  CHECK(report.loss == objective_at(plain.trainer, data).loss);
  CHECK(gradient_of(off.trainer) == gradient_of(plain.trainer));
  for (const auto& term : report.terms) { CHECK(term.value == 0.0); }

  using Held = radapt::recipe::l2_sp<Tiny>;
  Held::loss none;
  none.term<radapt::loss::TowardBase>().strength = 0;
  Disturbed<Held> free(0, none);
  Disturbed<radapt::recipe::full_fine_tuning<Tiny>> full;
  CHECK(objective_at(free.trainer, data).loss == objective_at(full.trainer, data).loss);
  CHECK(gradient_of(free.trainer) == gradient_of(full.trainer));
}

TEST_CASE("the first step runs without a teacher") {
  const Data data(1);
  const auto base = first_weights<TinyClip>();
  TrainerOf<CaRot> with(base, options(), carot_loss(1.5, 0.0));
  TrainerOf<Flyp> without(base, options());
  const auto pairs = data.batch_of<TrainerOf<CaRot>>();
  CHECK(with.step(pairs).loss == without.step(pairs).loss);
  const auto second = with.step(pairs);
  CHECK(second.terms[1].value > 0.0);
  CHECK(second.loss > without.step(pairs).loss);
}

TEST_CASE("the teacher follows on its schedule, and stands still between") {
  const auto base = first_weights<TinyClip>();
  const AverageSchedule average{.every = 2, .first = 0.1, .last = 0.8, .rising = 0.5};
  TrainerOf<CaRot> trainer(base, options(0, 1e-2), carot_loss(1.5, 0.2, average));
  std::vector<double> expected = values(trainer.state().parameter_buffer());
  CHECK(values(trainer.teacher_buffer()) == expected);
  for (std::uint64_t step = 1; step <= 14; ++step) {
    CAPTURE(step);
    trainer.step(Data(1, false, step).batch_of<TrainerOf<CaRot>>());
    if (step % 2 == 0) {
      const double m = step >= 10 ? 0.8 : 0.1 + 0.07 * static_cast<double>(step);  // half of 20 steps
      for (Index i = 0; i < expected.size(); ++i) {
        expected[i] = m * expected[i] + (1 - m) * trainer.state().parameter_buffer()[i];
      }
    }
    double worst = 0;
    for (Index i = 0; i < expected.size(); ++i) {
      worst = std::max(worst, std::abs(trainer.teacher_buffer()[i] - expected[i]));
    }
    CHECK(worst < 1e-14);  // numbers of order 1, averaged in another order
  }
  CHECK_FALSE(same_bits(trainer.teacher_buffer(), trainer.state().parameter_buffer()));
  // The student is what is deployed.
  const auto deployed = trainer.averaged();
  const auto student = trainer.weights();
  CHECK(same_bits(deployed.buffer(), student.buffer()));
}

TEST_CASE("neither the base nor the teacher gets a gradient") {
  Disturbed<CaRot> run;
  const auto before = values(run.base.buffer());
  const auto teacher = values(run.trainer.teacher_buffer());
  for (std::uint64_t i = 0; i < 3; ++i) { run.trainer.step(Data(1, false, i).batch_of<TrainerOf<CaRot>>()); }
  CHECK(values(run.base.buffer()) == before);
  CHECK(values(run.trainer.teacher_buffer()) == teacher);
}

TEST_CASE("a resumed run goes on with its teacher, bit for bit") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.safetensors";
  const auto base = first_weights<TinyClip>();
  const auto loss = carot_loss(1.5, 0.2, {.every = 2});
  const auto train = [](auto& trainer, int steps) {
    for (int i = 0; i < steps; ++i) {
      trainer.step(Data(1, false, trainer.steps()).template batch_of<TrainerOf<CaRot>>());
    }
  };
  TrainerOf<CaRot> whole(base, options(), loss), first(base, options(), loss), second(base, options(), loss);
  train(whole, 5);
  train(first, 3);
  radapt::save_checkpoint(path, first);
  radapt::resume(path, second);
  train(second, 2);
  CHECK(same_bits(whole.state().parameter_buffer(), second.state().parameter_buffer()));
  CHECK(same_bits(whole.teacher_buffer(), second.teacher_buffer()));
}

TEST_CASE("CaRot in f32 on oneDNN takes the steps that it takes in double on the reference") {
  const auto base = first_weights<TinyClip>();
  radapt::Weights<TinyClip, float> narrow;
  narrow.copy_from(base);
  const auto loss = carot_loss(1.5, 0.2, {.every = 1});
  TrainerOf<CaRot> wide(base, options(), loss);
  radapt::Trainer<CaRot, radapt::onednn> trainer(narrow, options(), loss);
  for (std::uint64_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    const Data data(1, false, i);
    const std::vector<float> pixels(data.pixels.begin(), data.pixels.end());
    const auto expected = wide.step(data.batch_of<TrainerOf<CaRot>>());
    const auto got = trainer.step({.pixels = pixels, .captions = &data.captions, .groups = data.groups});
    CHECK(got.loss == doctest::Approx(expected.loss).epsilon(bounds<float>::training_loss));
    CHECK(got.grad_norm == doctest::Approx(expected.grad_norm).epsilon(bounds<float>::grad_norm));
    for (Index k = 0; k < expected.terms.size(); ++k) {
      CHECK(got.terms[k].value == doctest::Approx(expected.terms[k].value).epsilon(bounds<float>::training_loss));
    }
  }
}

TEST_CASE("a frozen teacher for the same term, without an average") {
  using FromFrozen =
      radapt::Recipe<TinyClip, radapt::tune::everything, radapt::ensemble::During<>, radapt::ensemble::After<>,
                     radapt::loss::With<radapt::loss::Contrastive, ContrastiveDistillation>>;
  Disturbed<FromFrozen> run;
  CHECK(run.trainer.teacher_buffer().size() == 0);
  check_slope(run.trainer, Data(1));
}

TEST_CASE("with adapters, only they are in the teacher") {
  using Adapted = radapt::Recipe<radapt::Clip<Tiny, radapt::RAdapter<>>, radapt::tune::only<radapt::role::adapter>,
                                 radapt::ensemble::During<radapt::AdapterDrop, radapt::Accumulate>,
                                 radapt::ensemble::After<radapt::Rescale>,
                                 radapt::loss::With<radapt::loss::MpmNce, SelfDistillation>>;
  radapt::Weights<Adapted::trained, double> base;
  radapt::copy_by_name(base, first_weights<TinyClip>());
  radapt::Random random(1);
  Adapted::trained::initialise(base.tree(), random);
  Adapted::loss loss;
  loss.term<SelfDistillation>().average.every = 1;
  TrainerOf<Adapted> trainer(base, options(), loss);
  CHECK(trainer.teacher_buffer().size() == trainer.state().size());
  double first = 0, last = 0;
  for (int i = 0; i < 12; ++i) {
    last = trainer.step(Data(1).batch_of<TrainerOf<Adapted>>()).loss;
    first = i == 1 ? last : first;  // the first step has no teacher
  }
  CHECK(last < first);
}

TEST_CASE("terms that reach nothing and schedules that move nothing are refused") {
  const auto base = first_weights<TinyClip>();
  CHECK(fails_with("loss term orthogonality", [&] {
    using Scale =
        radapt::Recipe<TinyClip, radapt::tune::only<radapt::role::logit_scale>, radapt::ensemble::During<>,
                       radapt::ensemble::After<>, radapt::loss::With<radapt::loss::Contrastive, Orthogonality>>;
    TrainerOf<Scale>(base, options());
  }));
  for (const AverageSchedule wrong : {AverageSchedule{.every = 0}, AverageSchedule{.first = -0.1},
                                      AverageSchedule{.last = 1.1}, AverageSchedule{.rising = NAN}}) {
    CHECK(fails_with("loss term contrastive_distillation: average",
                     [&] { TrainerOf<CaRot>(base, options(), carot_loss(1.5, 0.2, wrong)); }));
  }
}
