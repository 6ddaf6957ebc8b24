/// Mask-fill in whole training steps, and the images that it fills.
#include <algorithm>
#include <numeric>
#include <set>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/train/attention_relevance.hpp"
#include "radapt/train/fill_masked.hpp"
#include "support/error_text.hpp"
#include "support/tolerance.hpp"
#include "train/term_runs.hpp"

using namespace radapt_test;
using radapt::FillFrom;
using radapt::loss::MaskedDistillation;

namespace {

using MaskFill = radapt::recipe::mask_fill<Tiny>;
using NoFill = radapt::recipe::mask_fill<Tiny, radapt::loss::DroppedPatchDistillation>;
using Free = radapt::recipe::full_fine_tuning<Tiny>;
using Classifier = MaskFill::trained;
constexpr Index patches = 4, per_image = TinyClip::PixelRow::width;

MaskFill::loss with_strength(double strength) {
  MaskFill::loss loss;
  loss.term<MaskedDistillation>().strength = strength;
  return loss;
}
/// Projected features, not normalised, of a classifier's tower.
std::vector<double> features(const radapt::Weights<Classifier, double>& weights, const std::vector<double>& pixels) {
  radapt::Weights<TinyClip, double> clip;
  radapt::copy_by_name(clip, weights);
  radapt::Session<TinyClip, radapt::reference, double> session(clip);
  std::vector<double> u(batch * Tiny::embed);
  session.encode_images(pixels, u);
  return u;
}

}  // namespace

TEST_CASE("the gradient of Mask-fill's whole objective is that of central differences, tensor by tensor") {
  const auto base = first_weights<Classifier>();
  TrainerOf<MaskFill> trainer(base, options(0, 0.0));
  disturb(trainer);
  check_slopes(trainer, Data(0));
}

TEST_CASE("Mask-fill does not see how a batch is split, and takes what was planned") {
  check_micro_batches<MaskFill>(Data(0));
  const auto base = first_weights<Classifier>();
  for (const Index micro : {Index{0}, Index{4}}) {
    CAPTURE(micro);
    TrainerOf<MaskFill> trainer(base, options(micro));
    const auto plan = TrainerOf<MaskFill>::memory(base, options(micro));
    objective_at(trainer, Data(0));
    CHECK(trainer.context().arena.kept_peak() == plan.activations);
    CHECK(trainer.context().arena.scratch_peak() == plan.scratch);
  }
}

TEST_CASE("the loss is the cross entropy of clean images and 30 times the mean square of what filled ones moved") {
  const auto base = first_weights<Classifier>();
  TrainerOf<MaskFill> trainer(base, options(0, 0.0));
  TrainerOf<Free> free(base, options(0, 0.0));
  disturb(trainer);
  disturb(free);
  const Data data(0);
  const auto report = objective_at(trainer, data);
  const auto now = features(trainer.weights(), data.filled), then = features(base, data.filled);
  double mean = 0;
  for (Index i = 0; i < now.size(); ++i) { mean += (now[i] - then[i]) * (now[i] - then[i]) / (batch * Tiny::embed); }
  REQUIRE(report.terms.size() == 1);
  CHECK(report.terms[0].name == "masked_distillation");
  CHECK(report.terms[0].value == doctest::Approx(30 * mean).epsilon(1e-12));
  CHECK(report.loss == doctest::Approx(objective_at(free, data).loss + 30 * mean).epsilon(1e-14));
}

TEST_CASE("a term on filled images that is off, and one whose student is its teacher, change no bit") {
  const auto base = first_weights<Classifier>();
  const Data data(0);
  TrainerOf<MaskFill> off(base, options(0, 0.0), with_strength(0));
  TrainerOf<Free> free(base, options(0, 0.0)), at_base(base, options(0, 0.0));
  disturb(off);
  disturb(free);
  CHECK(objective_at(off, data).loss == objective_at(free, data).loss);
  CHECK(gradient_of(off) == gradient_of(free));
  TrainerOf<MaskFill> same(base, options(0, 0.0));
  const auto report = objective_at(same, data);
  CHECK(report.terms[0].value == 0.0);
  objective_at(at_base, data);
  CHECK(gradient_of(same) == gradient_of(at_base));
}

TEST_CASE("no fill: the gradient of the whole objective is that of central differences, tensor by tensor") {
  const auto base = first_weights<Classifier>();
  TrainerOf<NoFill> trainer(base, options(0, 0.0));
  disturb(trainer);
  check_slopes(trainer, Data(0));
}

TEST_CASE(
    "no fill does not see how a batch is split, and takes what was planned at most, with all patches exactly that") {
  check_micro_batches<NoFill>(Data(0));
  const auto base = first_weights<Classifier>();
  for (const Index micro : {Index{0}, Index{4}}) {
    for (const bool all : {true, false}) {
      CAPTURE(micro);
      CAPTURE(all);
      TrainerOf<NoFill> trainer(base, options(micro));
      const auto plan = TrainerOf<NoFill>::memory(base, options(micro));
      objective_at(trainer, Data(0, /*full_captions=*/all));  // then all patches are kept
      const Index scratch = trainer.context().arena.scratch_peak();
      CHECK((all ? scratch == plan.scratch : scratch <= plan.scratch));
      CHECK(trainer.context().arena.kept_peak() <= plan.activations);
    }
  }
  CHECK(TrainerOf<NoFill>::memory(base, options()).features > TrainerOf<MaskFill>::memory(base, options()).features);
}

TEST_CASE("no fill with all patches is the distillation on the images as they are, to the bit") {
  const auto base = first_weights<Classifier>();
  TrainerOf<NoFill> kept(base, options(0, 0.0));
  TrainerOf<MaskFill> filled(base, options(0, 0.0));
  disturb(kept);
  disturb(filled);
  Data data(0);
  data.filled = data.pixels;
  std::fill(data.kept.begin(), data.kept.end(), std::uint8_t{1});
  const auto report = objective_at(kept, data);
  CHECK(report.terms[0].name == "dropped_patch_distillation");
  CHECK(report.loss == objective_at(filled, data).loss);
  CHECK(gradient_of(kept) == gradient_of(filled));
}

TEST_CASE("a patch that is left out has no part in the term: not its pixels, and not its position") {
  const auto base = first_weights<Classifier>();
  TrainerOf<NoFill> trainer(base, options(0, 0.0));
  disturb(trainer);
  Data data(0);
  for (Index i = 0; i < batch; ++i) {  // the second of four patches in no image, the fourth in every second one
    for (Index p = 0; p < patches; ++p) { data.kept[i * patches + p] = p == 0 || p == 2 || (p == 3 && i % 2 == 0); }
  }
  const double before = objective_at(trainer, data).terms[0].value;
  CHECK(before > 0.0);
  const auto moved_pixels = [&](Index image, Index patch) {
    Data other = data;
    other.pixels[image * per_image + (patch / 2) * 4 * 8 + (patch % 2) * 4] += 1;  // its first pixel, red
    return objective_at(trainer, other).terms[0].value;
  };
  CHECK(moved_pixels(0, 1) == before);
  CHECK(moved_pixels(1, 3) == before);
  CHECK(moved_pixels(0, 3) != before);
  CHECK(moved_pixels(1, 2) != before);
  const auto& slot = trainer.state().slot("visual.positional_embedding");
  const Index width = slot.size / (1 + patches);
  const auto moved_position = [&](Index patch) {
    double& x = trainer.state().parameter_buffer()[slot.offset + (1 + patch) * width];
    const double kept = x;
    x += 1;
    const double value = objective_at(trainer, data).terms[0].value;
    x = kept;
    return value;
  };
  CHECK(moved_position(1) == before);
  for (const Index patch : {Index{0}, Index{2}, Index{3}}) { CHECK(moved_position(patch) != before); }
  // Without any patch the class token is alone.
  std::fill(data.kept.begin(), data.kept.end(), std::uint8_t{0});
  CHECK(std::isfinite(objective_at(trainer, data).loss));
}

TEST_CASE("no fill in f32 on oneDNN is that in double on the reference") {
  using InFloat = radapt::Trainer<NoFill, radapt::onednn, float>;
  const auto base = first_weights<Classifier>();
  radapt::Weights<Classifier> in_float(base.classes());
  std::copy(base.buffer().begin(), base.buffer().end(), in_float.buffer().begin());
  TrainerOf<NoFill> trainer(base, options());
  InFloat second(in_float, options());
  const Data data(0);
  const std::vector<float> pixels(data.pixels.begin(), data.pixels.end());
  for (int step = 0; step < 3; ++step) {
    CAPTURE(step);
    const auto expected = trainer.step(data.batch_of<TrainerOf<NoFill>>());
    const auto got = second.step({.pixels = pixels, .labels = data.groups, .kept = data.kept});
    // Three steps of rate 1e-3 in f32: losses agree to some hundred roundings.
    CHECK(got.loss == doctest::Approx(expected.loss).epsilon(2e-5));
    CHECK(got.terms[0].value == doctest::Approx(expected.terms[0].value).epsilon(2e-3));
  }
}

TEST_CASE("patches that are kept are those that fill_masked leaves, and flags must be there") {
  const Data data(0);
  std::vector<double> relevance(batch * patches), filled(data.pixels.size());
  radapt::Random random(2);
  for (double& r : relevance) { r = random.uniform(0, 1); }
  std::fill_n(relevance.begin(), patches, 0.0);  // relevant nowhere: all of it is kept
  std::vector<std::uint8_t> kept(relevance.size());
  for (const double threshold : {0.0, 0.3, 0.75}) {
    radapt::keep_unmasked<Tiny>(std::span<const double>(relevance), std::span(kept), threshold);
    radapt::fill_masked<Tiny>(std::span<const double>(data.pixels), std::span<const double>(relevance),
                              std::span<double>(filled), {.threshold = threshold});
    for (Index i = 0; i < kept.size(); ++i) {
      const Index at = i / patches * per_image + (i % patches / 2) * 4 * 8 + (i % 2) * 4;
      CHECK((kept[i] == 1) == (filled[at] == data.pixels[at]));
    }
  }
  CHECK(fails_with("as many flags",
                   [&] { radapt::keep_unmasked<Tiny>(std::span<const double>(relevance), std::span(kept).first(3)); }));
  CHECK(fails_with("a number from 0 to 1",
                   [&] { radapt::keep_unmasked<Tiny>(std::span<const double>(relevance), std::span(kept), 1.5); }));
  const auto base = first_weights<Classifier>();
  TrainerOf<NoFill> trainer(base, options());
  CHECK(fails_with("24 flags in kept", [&] { trainer.step({.pixels = data.pixels, .labels = data.groups}); }));
}

TEST_CASE("a batch without filled images is refused") {
  const auto base = first_weights<Classifier>();
  TrainerOf<MaskFill> trainer(base, options());
  const Data data(0);
  CHECK(fails_with("an image for each of the batch",
                   [&] { trainer.step({.pixels = data.pixels, .labels = data.groups}); }));
}

TEST_CASE("masked patches come from other images, and nothing else changes") {
  const Data data(0);
  std::vector<double> relevance(batch * patches), filled(data.pixels.size());
  radapt::Random random(2);
  for (double& r : relevance) { r = random.uniform(0, 1); }
  relevance[0] = 0;
  // Where every pixel of the patch lies that belongs to image i, channel, row and column.
  const auto same_patch = [&](Index i, Index from, Index p) {
    bool same = true;
    for (Index channel = 0; channel < 3; ++channel) {
      for (Index y = 0; y < 4; ++y) {
        for (Index x = 0; x < 4; ++x) {
          const Index at = channel * 64 + ((p / 2) * 4 + y) * 8 + (p % 2) * 4 + x;
          same = same && filled[i * per_image + at] == data.pixels[from * per_image + at];
        }
      }
    }
    return same;
  };
  for (const FillFrom from : {FillFrom::one_image, FillFrom::image_per_patch}) {
    std::set<Index> donors_of_image[batch];
    for (const double threshold : {0.0, 0.3, 0.75, 1.0}) {
      CAPTURE(threshold);
      radapt::fill_masked<Tiny>(std::span<const double>(data.pixels), std::span<const double>(relevance),
                                std::span<double>(filled), {.threshold = threshold, .from = from, .seed = 4});
      for (Index i = 0; i < batch; ++i) {
        const double* const map = relevance.data() + i * patches;
        const double most = *std::max_element(map, map + patches);
        for (Index p = 0; p < patches; ++p) {
          CAPTURE(i);
          CAPTURE(p);
          CHECK(same_patch(i, i, p) == !(map[p] > threshold * most));
          for (Index donor = 0; donor < batch; ++donor) {
            if (donor != i && same_patch(i, donor, p)) { donors_of_image[i].insert(donor); }
          }
        }
      }
    }
    std::set<Index> all;
    for (const auto& donors : donors_of_image) {
      CHECK((from == FillFrom::one_image ? donors.size() == 1 : donors.size() >= 1));
      all.insert(donors.begin(), donors.end());
    }
    if (from == FillFrom::one_image) { CHECK(all.size() == batch); }  // a permutation
  }
}

TEST_CASE("donors are never the image itself, and depend on seed and step alone") {
  for (std::uint64_t step = 0; step < 50; ++step) {
    radapt::Random random(1, step), again(1, step);
    const auto donors = radapt::detail::donors(5, random);
    CHECK(radapt::detail::donors(5, again) == donors);
    CHECK(std::set<Index>(donors.begin(), donors.end()).size() == 5);
    for (Index i = 0; i < 5; ++i) { CHECK(donors[i] != i); }
  }
}

TEST_CASE("an image that is relevant nowhere stays as it is, and what cannot be filled is refused") {
  const Data data(0);
  std::vector<double> nothing(batch * patches), filled(data.pixels.size());
  const auto fill = [&](std::size_t pixels, std::size_t relevance, double threshold) {
    radapt::fill_masked<Tiny>(std::span<const double>(data.pixels).first(pixels),
                              std::span<const double>(nothing).first(relevance),
                              std::span<double>(filled).first(pixels), {.threshold = threshold});
  };
  fill(batch * per_image, batch * patches, 0.0);
  CHECK(filled == data.pixels);
  CHECK(fails_with("another image of the batch", [&] { fill(per_image, patches, 0.3); }));
  CHECK(fails_with("values of relevance", [&] { fill(batch * per_image, patches, 0.3); }));
  CHECK(fails_with("option threshold", [&] { fill(batch * per_image, batch * patches, 1.5); }));
}

namespace {

struct TwoHeads : radapt::arch::Defaults {
  static constexpr Index embed = 8, image = 8, patch = 4, context = 6, vocabulary = 16;
  static constexpr radapt::TowerSize vision{.width = 16, .heads = 2, .layers = 3, .hidden = 32};
  static constexpr radapt::TowerSize text{.width = 16, .heads = 1, .layers = 1, .hidden = 32};
};
using Seen = radapt::Classifier<radapt::Clip<TwoHeads>>;

/// Notes the probabilities of every attention layer, and adds `by` to one of them: what a gradient by a probability is,
/// without a backward pass.
struct Perturbing : radapt::reference {
  static inline Index layer, head, row, column, met;
  static inline double by;
  static inline std::vector<std::vector<double>> probabilities;  // of each layer: (heads, tokens, tokens)
};
void launch(Perturbing& device, const radapt::op::attention_forward<double>& o) {
  launch(static_cast<radapt::reference&>(device), o);
  const Index width = o.y.columns, per_head = width / o.heads, n = o.sequences.longest();
  std::vector<double> p(o.heads * n * n);
  for (Index h = 0; h < o.heads; ++h) {
    for (Index i = 0; i < n; ++i) {
      double sum = 0;
      for (Index j = 0; j < n; ++j) {
        double score = 0;
        for (Index e = 0; e < per_head; ++e) {
          score += o.qkv.data[i * 3 * width + h * per_head + e] * o.qkv.data[j * 3 * width + width + h * per_head + e];
        }
        sum += p[(h * n + i) * n + j] = std::exp(score / std::sqrt(static_cast<double>(per_head)));
      }
      for (Index j = 0; j < n; ++j) { p[(h * n + i) * n + j] /= sum; }
    }
  }
  Perturbing::probabilities.push_back(std::move(p));
  if (Perturbing::met++ == Perturbing::layer) {
    for (Index e = 0; e < per_head; ++e) {
      const Index at = Perturbing::head * per_head + e;
      o.y.data[Perturbing::row * width + at] +=
          Perturbing::by * o.qkv.data[Perturbing::column * 3 * width + 2 * width + at];
    }
  }
}
/// The last layer: nobody reads what other tokens than the first attend to.
void launch(Perturbing& device, const radapt::op::pooled_attention_forward<double>& forward) {
  auto o = forward;
  const Index width = o.y.columns, per_head = width / o.heads, n = o.sequences.longest();
  std::vector<double> p(o.heads * n * n), of_heads(n * o.heads);
  o.probabilities = {of_heads.data(), n, o.heads};
  launch(static_cast<radapt::reference&>(device), o);
  for (Index h = 0; h < o.heads; ++h) {
    for (Index j = 0; j < n; ++j) { p[h * n * n + j] = of_heads[j * o.heads + h]; }
  }
  Perturbing::probabilities.push_back(std::move(p));
  if (Perturbing::met++ == Perturbing::layer && Perturbing::row == 0) {
    for (Index e = 0; e < per_head; ++e) {
      const Index at = Perturbing::head * per_head + e;
      double v = o.value_bias.data[at];
      for (Index c = 0; c < width; ++c) {
        v += o.value.data[at * width + c] * o.x.data[Perturbing::column * width + c];
      }
      o.y.data[at] += Perturbing::by * v;
    }
  }
}

}  // namespace

TEST_CASE("relevance is the rollout of positive gradients times probabilities, by its definition") {
  radapt::Weights<radapt::Clip<TwoHeads>, double> clip;
  radapt::initialise_clip(clip, 6);
  std::vector<double> head(classes * TwoHeads::embed);
  radapt::Random random(9);
  for (double& x : head) { x = random.normal(); }
  const auto weights = radapt::zero_shot_classifier(clip, head);
  const Data data(0);
  const std::vector<std::int32_t> labels{3, 1, 2};

  // Three images in pieces of two: the last piece is shorter.
  std::vector<double> relevance(labels.size() * patches);
  radapt::AttentionRelevance<Seen, radapt::reference, double> of(classes, 2);
  of(weights.tree(), std::span<const double>(data.pixels).first(labels.size() * per_image), labels, relevance);

  constexpr Index n = patches + 1, heads = 2, layers = 3;
  for (Index image = 0; image < labels.size(); ++image) {
    CAPTURE(image);
    const auto logit = [&](Index layer, Index h, Index i, Index j, double by) {
      Perturbing::layer = layer;
      Perturbing::head = h;
      Perturbing::row = i;
      Perturbing::column = j;
      Perturbing::by = by;
      Perturbing::met = 0;
      Perturbing::probabilities.clear();
      radapt::ClassifierSession<Seen, Perturbing, double> session(weights);
      std::vector<double> z(classes);
      session.logits(std::span<const double>(data.pixels).subspan(image * per_image, per_image), z);
      return z[static_cast<Index>(labels[image])];
    };
    std::vector<double> rollout(n * n);
    for (Index i = 0; i < n; ++i) { rollout[i * n + i] = 1; }
    for (Index layer = 0; layer < layers; ++layer) {
      std::vector<double> a(n * n);
      for (Index h = 0; h < heads; ++h) {
        for (Index i = 0; i < n; ++i) {
          for (Index j = 0; j < n; ++j) {
            constexpr double step = 1e-5;
            const double gradient = (logit(layer, h, i, j, step) - logit(layer, h, i, j, -step)) / (2 * step);
            a[i * n + j] += std::max(0.0, gradient * Perturbing::probabilities[layer][(h * n + i) * n + j]) / heads;
          }
        }
      }
      std::vector<double> next = rollout;
      for (Index i = 0; i < n; ++i) {
        for (Index j = 0; j < n; ++j) {
          for (Index k = 0; k < n; ++k) { next[i * n + j] += a[i * n + k] * rollout[k * n + j]; }
        }
      }
      rollout = next;
    }
    double largest = 0;
    for (Index p = 0; p < patches; ++p) { largest = std::max(largest, rollout[1 + p]); }
    CHECK(largest > 1e-3);  // there is something to compare
    // Central differences of step 1e-5 in double: 1e-10 of truncation and of rounding, in each of 150 of them.
    for (Index p = 0; p < patches; ++p) {
      CHECK(std::abs(relevance[image * patches + p] - rollout[1 + p]) < 1e-7 * largest);
    }
  }
}

TEST_CASE("relevance in f32 on oneDNN is that in double on the reference") {
  const auto weights = first_weights<Classifier>();
  radapt::Weights<Classifier, float> narrow(classes);
  narrow.copy_from(weights);
  const Data data(0);
  std::vector<double> expected(batch * patches);
  std::vector<float> pixels(data.pixels.begin(), data.pixels.end()), got(batch * patches);
  radapt::AttentionRelevance<Classifier, radapt::reference, double> in_double(classes);
  radapt::AttentionRelevance<Classifier, radapt::onednn> in_float(classes, 4);
  in_double(weights.tree(), data.pixels, data.groups, expected);
  in_float(narrow.tree(), pixels, data.groups, got);
  // Gradients through two blocks in f32; where one is near zero its sign, and so the relu, may differ by as much.
  CHECK(normalised_error(got, expected) < bounds<float>::gradients);
}

TEST_CASE("relevance, filling and training go together") {
  const auto base = first_weights<Classifier>();
  TrainerOf<MaskFill> trainer(base, options());
  radapt::AttentionRelevance<Classifier, radapt::reference, double> relevance(classes);
  const Data data(0);
  std::vector<double> map(batch * patches), filled(data.pixels.size());
  double first = 0, last = 0;
  for (int i = 0; i < 6; ++i) {
    relevance(trainer.state().values(), data.pixels, data.groups, map);
    radapt::fill_masked<Tiny>(std::span<const double>(data.pixels), std::span<const double>(map),
                              std::span<double>(filled), {.step = trainer.steps()});
    CHECK(filled != data.pixels);
    last = trainer.step({.pixels = data.pixels, .labels = data.groups, .filled = filled}).loss;
    first = i == 0 ? last : first;
  }
  CHECK(last < first);
}
