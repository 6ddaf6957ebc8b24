/// Laws of single terms on features and parameters that are given: no model, no trainer.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/loss/contrastive_distillation.hpp"
#include "radapt/loss/margin_metric_softmax.hpp"
#include "radapt/loss/masked_distillation.hpp"
#include "radapt/loss/orthogonality.hpp"
#include "radapt/loss/spurious_alignment.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::Matrix;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;
constexpr Index pairs = 7, width = 12;
constexpr radapt::loss::StepPosition second_step{.step = 1, .total = 10};

/// Unit rows that are floats in either type.
template <class T>
std::vector<T> unit_rows(Index rows, std::uint64_t stream) {
  radapt::Random random(3, stream);
  std::vector<T> x(rows * width);
  for (Index i = 0; i < rows; ++i) {
    double squares = 0;
    for (Index e = 0; e < width; ++e) {
      x[i * width + e] = static_cast<T>(static_cast<float>(random.normal()));
      squares += static_cast<double>(x[i * width + e]) * static_cast<double>(x[i * width + e]);
    }
    for (Index e = 0; e < width; ++e) {
      x[i * width + e] = static_cast<T>(static_cast<float>(static_cast<double>(x[i * width + e]) / std::sqrt(squares)));
    }
  }
  return x;
}

/// Everything that a term on features reads, and what it adds to.
template <class S>
struct Features {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  std::vector<T> image = unit_rows<T>(pairs, 0), text = unit_rows<T>(pairs, 1), extra = unit_rows<T>(pairs, 2);
  std::vector<T> teacher_image = unit_rows<T>(pairs, 3), teacher_text = unit_rows<T>(pairs, 4),
                 teacher_extra = unit_rows<T>(pairs, 5);
  std::vector<T> dimage = std::vector<T>(pairs * width), dtext = dimage, dextra = dimage, dfeatures = dimage;
  std::vector<T> logits = std::vector<T>(pairs * pairs), teacher_logits = logits;
  T dlog_scale{};
  std::vector<std::int32_t> groups{0, 1, 2, 0, 3, 1, 4};
  double scale = 8, teacher_scale = 11;

  static Matrix<T> rows(std::vector<T>& x) { return {x.data(), pairs, width}; }
  radapt::loss::PairFeatures<T> get() {
    return {.image = rows(image),
            .text = rows(text),
            .extra_text = rows(extra),
            .dimage = rows(dimage),
            .dtext = rows(dtext),
            .dextra_text = rows(dextra),
            .teacher_image = rows(teacher_image),
            .teacher_text = rows(teacher_text),
            .teacher_extra_text = rows(teacher_extra),
            .groups = groups.data(),
            .scale = scale,
            .dlog_scale = &dlog_scale,
            .teacher_scale = teacher_scale,
            .logits = {logits.data(), pairs, pairs},
            .teacher_logits = {teacher_logits.data(), pairs, pairs},
            .dfeatures = rows(dfeatures)};
  }
  template <class Term>
  double add(const Term& term, radapt::loss::StepPosition at = second_step) {
    double value = 0;
    term.add(context, get(), at, &value);
    return value;
  }
};

}  // namespace

TEST_CASE("distillation of contrastive logits in f32 on oneDNN is that in double on the reference") {
  Features<InFloat> f;
  Features<InDouble> d;
  const radapt::loss::ContrastiveDistillation term;
  const double value = f.add(term), expected = d.add(term);
  // Logits up to 11 carry roundings of 1e-6, which the exponential turns into relative errors; sums of 12 and 7 terms.
  CHECK(std::abs(value - expected) < 1e-5 * expected);
  CHECK(normalised_error(f.dimage, d.dimage) < 1e-5);
  CHECK(normalised_error(f.dtext, d.dtext) < 1e-5);
  CHECK(std::abs(static_cast<double>(f.dlog_scale) - d.dlog_scale) < 1e-5 * std::abs(d.dlog_scale));
  CHECK(std::all_of(d.dextra.begin(), d.dextra.end(), [](double x) { return x == 0; }));
}

TEST_CASE("distillation of contrastive logits does not know images from texts") {
  Features<InDouble> given, swapped;
  std::swap(swapped.image, swapped.text);
  std::swap(swapped.teacher_image, swapped.teacher_text);
  const radapt::loss::ContrastiveDistillation term;
  const double value = given.add(term);
  CHECK(swapped.add(term) == doctest::Approx(value).epsilon(1e-14));
  CHECK(normalised_error(swapped.dimage, given.dtext) < 1e-13);  // sums in another order
  CHECK(normalised_error(swapped.dtext, given.dimage) < 1e-13);
  CHECK(swapped.dlog_scale == doctest::Approx(given.dlog_scale).epsilon(1e-12));
}

TEST_CASE_TEMPLATE("spurious alignment: a student that is its teacher costs nothing and is not moved", S, InDouble,
                   InFloat) {
  for (const bool masks : {true, false}) {
    CAPTURE(masks);
    Features<S> f;
    f.teacher_image = f.image;
    f.teacher_extra = f.extra;
    const radapt::loss::SpuriousAlignment term{.masks_same_class = masks};
    // A divergence of a distribution from itself; both are made of the same logits by the same operations.
    CHECK(f.add(term) == doctest::Approx(0).epsilon(1e-6));
    for (const auto* gradient : {&f.dimage, &f.dextra, &f.dtext}) {
      CHECK(std::all_of(gradient->begin(), gradient->end(), [](auto x) { return std::abs(x) < 1e-6; }));
    }
    // It does cost something when the teacher is another.
    Features<S> other;
    CHECK(other.add(term) > 0.01);
  }
}

TEST_CASE_TEMPLATE("spurious alignment of a batch of one class is exactly zero, and pairs of one class have no part", S,
                   InDouble, InFloat) {
  const radapt::loss::SpuriousAlignment term;
  Features<S> one_class;
  std::fill(one_class.groups.begin(), one_class.groups.end(), 2);
  CHECK(one_class.add(term) == 0.0);
  for (const auto* gradient : {&one_class.dimage, &one_class.dextra}) {
    CHECK(std::all_of(gradient->begin(), gradient->end(), [](auto x) { return x == 0; }));
  }
  // Every image of class 0 but the last, which is of class 1: rows of class 0 have one entry that counts, whose
  // probability is one whatever the student says, so that only the last row is left, and with it the last image.
  Features<S> two_classes;
  std::fill(two_classes.groups.begin(), two_classes.groups.end(), 0);
  two_classes.groups.back() = 1;
  CHECK(two_classes.add(term) > 0.0);
  for (Index i = 0; i < pairs; ++i) {
    CAPTURE(i);
    const auto is_zero = [&](const auto& gradient) {
      return std::all_of(gradient.begin() + static_cast<std::ptrdiff_t>(i * width),
                         gradient.begin() + static_cast<std::ptrdiff_t>((i + 1) * width),
                         [](auto x) { return x == 0; });
    };
    CHECK(is_zero(two_classes.dimage) == (i + 1 != pairs));
    CHECK(is_zero(two_classes.dextra) == (i + 1 == pairs));  // its own caption is masked in the last row
  }
}

TEST_CASE_TEMPLATE("both forms of CLIPood's margins are one loss with one gradient", S, InDouble, InFloat) {
  using T = typename S::T;
  constexpr Index classes = 5;
  constexpr double scale = 9;
  std::vector<T> head = unit_rows<T>(classes, 7);
  for (Index y = 0; y < classes; ++y) {  // of length `scale` to the last bit of T: the forms are equal for that alone
    double squares = 0;
    for (Index e = 0; e < width; ++e) { squares += std::pow(static_cast<double>(head[y * width + e]), 2); }
    for (Index e = 0; e < width; ++e) {
      T& x = head[y * width + e];
      x = static_cast<T>(scale / std::sqrt(squares) * static_cast<double>(x));
    }
  }
  const radapt::loss::MarginMetricSoftmax loss{.lambda = 0.3};
  std::vector<T> subtracted(classes * classes), added(classes * classes);
  loss.margins(head.data(), classes, width, subtracted.data());
  for (Index y = 0; y < classes; ++y) {
    for (Index k = 0; k < classes; ++k) {
      double cosine = 0;
      for (Index e = 0; e < width; ++e) {
        cosine += static_cast<double>(head[y * width + e]) * static_cast<double>(head[k * width + e]) / (scale * scale);
      }
      added[y * classes + k] = y == k ? T{0} : static_cast<T>(scale * loss.lambda * (1 - cosine));
    }
  }
  std::vector<T> logits(pairs * classes), first(logits.size()), second(logits.size());
  radapt::Random random(8);
  for (T& z : logits) { z = static_cast<T>(scale * random.normal()); }
  const std::vector<std::int32_t> labels{0, 1, 2, 3, 4, 0, 2};
  radapt::Context<typename S::backend> context;
  const auto take = [&](const std::vector<T>& margins, std::vector<T>& gradient) {
    double value = 0;
    radapt::run(context, radapt::op::cross_entropy<T>{.logits = {logits.data(), pairs, classes},
                                                      .labels = labels.data(),
                                                      .loss = &value,
                                                      .dlogits = {gradient.data(), pairs, classes},
                                                      .margins = {margins.data(), classes, classes}});
    return value;
  };
  const double a = take(subtracted, first), b = take(added, second);
  CHECK(a == doctest::Approx(b).epsilon(sizeof(T) == 8 ? 1e-14 : 1e-6));  // logits of size ten, rounded
  CHECK(normalised_error(first, second) < (sizeof(T) == 8 ? 1e-14 : 2e-6));
}

TEST_CASE("a student that is its teacher costs the entropies and has no gradient") {
  Features<InDouble> f;
  f.teacher_image = f.image;
  f.teacher_text = f.text;
  f.teacher_scale = f.scale;
  const double value = f.add(radapt::loss::ContrastiveDistillation{.strength = 1});
  double entropy = 0;
  for (int direction = 0; direction < 2; ++direction) {
    const auto &from = direction == 0 ? f.image : f.text, &to = direction == 0 ? f.text : f.image;
    for (Index i = 0; i < pairs; ++i) {
      std::vector<double> z(pairs);
      double sum = 0;
      for (Index j = 0; j < pairs; ++j) {
        for (Index e = 0; e < width; ++e) { z[j] += f.scale * from[i * width + e] * to[j * width + e]; }
        sum += std::exp(z[j]);
      }
      for (Index j = 0; j < pairs; ++j) { entropy -= std::exp(z[j]) / sum * (z[j] - std::log(sum)) / pairs; }
    }
  }
  CHECK(value == doctest::Approx(entropy).epsilon(1e-13));
  // Two soft-maxes of the same logits are the same bits, so the difference is zero itself.
  for (const auto* d : {&f.dimage, &f.dtext}) {
    CHECK(std::all_of(d->begin(), d->end(), [](double x) { return x == 0; }));
  }
  CHECK(f.dlog_scale == 0);
}

TEST_CASE("terms of strength zero, and CaRot's in the first step, touch nothing") {
  const auto untouched = [](const auto& term, radapt::loss::StepPosition at) {
    Features<InDouble> f;
    for (auto* d : {&f.dimage, &f.dtext, &f.dextra}) { std::fill(d->begin(), d->end(), -0.0); }
    f.dlog_scale = -0.0;
    CHECK(f.add(term, at) == 0.0);
    bool same = std::signbit(f.dlog_scale);
    for (const auto* d : {&f.dimage, &f.dtext, &f.dextra}) {
      same = same && std::all_of(d->begin(), d->end(), [](double x) { return x == 0 && std::signbit(x); });
    }
    CHECK(same);
    CHECK_FALSE(radapt::loss::is_active(term, at));
  };
  untouched(radapt::loss::ContrastiveDistillation{.strength = 0}, second_step);
  untouched(radapt::loss::ContrastiveDistillation{}, {.step = 0, .total = 10});
  untouched(radapt::loss::SpuriousAlignment{.strength = 0}, second_step);
  untouched(radapt::loss::SpuriousAlignment{}, {.step = 9, .total = 10});  // the last of its epochs
}

TEST_CASE("orthonormal columns cost nothing, and a multiple of them what it says") {
  radapt::Context<radapt::reference> context;
  constexpr Index rows = 4, columns = 2;
  const double half = 0.5;  // exact
  std::vector<double> w{half, half, half, -half, half, half, half, -half}, gradient(8), gram(4);
  const auto penalty = [&](double strength) {
    double value = 0;
    radapt::loss::Orthogonality{.strength = strength}.add(context, Matrix<double>{gradient.data(), rows, columns},
                                                          Matrix<const double>{w.data(), rows, columns}, gram.data(),
                                                          &value);
    return value;
  };
  CHECK(penalty(3.0) == 0.0);
  CHECK(std::all_of(gradient.begin(), gradient.end(), [](double x) { return x == 0; }));
  for (double& x : w) { x *= 3; }
  // W^T W = 9: |8 * 1| = 8 sqrt(2), and the gradient is 2 W (8 * 1) / (8 sqrt(2)) = sqrt(2) W.
  CHECK(penalty(0.2) == doctest::Approx(0.2 * 8 * std::sqrt(2.0)).epsilon(1e-15));
  for (Index i = 0; i < 8; ++i) { CHECK(gradient[i] == doctest::Approx(0.2 * std::sqrt(2.0) * w[i]).epsilon(1e-14)); }
  CHECK(radapt::loss::Orthogonality{}.reaches("visual.proj"));
  CHECK_FALSE(radapt::loss::Orthogonality{}.reaches("text_projection"));
}

TEST_CASE_TEMPLATE("the distance from the frozen features is a mean of squares over the whole batch", S, InDouble,
                   InFloat) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  auto now = unit_rows<T>(pairs, 0), then = unit_rows<T>(pairs, 1);
  std::vector<T> d(pairs * width, T{1});
  double value = 0;
  const radapt::loss::MaskedDistillation term{.strength = 30};
  const auto add = [&](Index first, Index count) {
    const auto rows = [&](std::vector<T>& x) { return Matrix<T>{x.data() + first * width, count, width}; };
    term.add(context,
             radapt::loss::FilledFeatures<T>{.features = rows(now),
                                             .teacher_features = rows(then),
                                             .dfeatures = rows(d),
                                             .share = static_cast<double>(count) / pairs},
             {}, &value);
  };
  add(0, 4);  // two micro-batches of different length
  add(4, 3);
  double mean = 0;
  std::vector<double> expected(d.size());
  for (Index i = 0; i < d.size(); ++i) {
    const double difference = static_cast<double>(now[i]) - static_cast<double>(then[i]);
    mean += difference * difference / (pairs * width);
    expected[i] = 1 + 60 * difference / (pairs * width);
  }
  constexpr double bound = std::is_same_v<T, double> ? 1e-14 : 1e-6;  // a handful of roundings, and sums in double
  CHECK(std::abs(value - 30 * mean) < bound * 30 * mean);
  CHECK(normalised_error(d, expected) < bound);
}
