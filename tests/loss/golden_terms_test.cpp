/// The terms and margins of the golden table: StarFT's regulariser, its weights by epoch, and CLIPood's margins.
#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/loss/margin_metric_softmax.hpp"
#include "radapt/loss/spurious_alignment.hpp"
#include "radapt/op/norm.hpp"
#include "support/golden_tables.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::Matrix;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

/// Rows of length 1, and the way back to the rows as given.
template <class S>
struct UnitRows {
  using T = typename S::T;
  Index rows, width;
  std::vector<T> unit, dunit, dgiven;
  std::vector<radapt::statistic_t<T>> norms;

  UnitRows(radapt::Context<typename S::backend>& c, const std::vector<T>& given, Index r)
      : rows(r), width(given.size() / r), unit(given.size()), dunit(given.size()), dgiven(given.size()), norms(r) {
    radapt::run(c, radapt::op::l2_normalize_forward<T>{
                       .y = matrix(unit), .x = {given.data(), rows, width}, .norm = {norms.data(), rows}});
  }
  Matrix<T> matrix(std::vector<T>& v) const { return {v.data(), rows, width}; }
  const std::vector<T>& backward(radapt::Context<typename S::backend>& c) {
    radapt::run(c, radapt::op::l2_normalize_backward<T>{
                       .dx = matrix(dgiven), .dy = matrix(dunit), .y = matrix(unit), .norm = {norms.data(), rows}});
    return dgiven;
  }
};

template <class S>
void star(TableCase& c) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  const auto labels = c.labels("labels");
  const Index n = labels.size();
  UnitRows<S> image(context, c.read<T>("image"), n), text(context, c.read<T>("spurious_text"), n);
  UnitRows<S> teacher_image(context, c.read<T>("teacher_image"), n);
  UnitRows<S> teacher_text(context, c.read<T>("teacher_spurious_text"), n);
  std::vector<T> logits(n * n), teacher_logits(n * n), dfeatures(image.unit.size());
  const radapt::loss::PairFeatures<T> f{.image = image.matrix(image.unit),
                                        .extra_text = text.matrix(text.unit),
                                        .dimage = image.matrix(image.dunit),
                                        .dextra_text = text.matrix(text.dunit),
                                        .teacher_image = teacher_image.matrix(teacher_image.unit),
                                        .teacher_extra_text = teacher_text.matrix(teacher_text.unit),
                                        .groups = labels.data(),
                                        .teacher_scale = c.scalar<double>("teacher_scale"),
                                        .logits = {logits.data(), n, n},
                                        .teacher_logits = {teacher_logits.data(), n, n},
                                        .dfeatures = image.matrix(dfeatures)};
  const radapt::loss::SpuriousAlignment term{
      .strength = 1.0, .masks_same_class = c.scalar<std::int64_t>("masked") != 0, .diminishing = false};
  double loss = 0;
  term.add(context, f, {}, &loss);
  constexpr double bound = bounds<T>::tables;
  CHECK(table_error(std::vector{loss}, c.read<double>("loss")) < bound);
  CHECK(table_error(image.backward(context), c.read<double>("grad.image")) < bound);
  CHECK(table_error(text.backward(context), c.read<double>("grad.spurious_text")) < bound);
}

template <class S>
void star_weight(TableCase& c) {
  const auto epochs = static_cast<std::uint64_t>(c.scalar<std::int64_t>("epochs"));
  const radapt::loss::SpuriousAlignment term{.strength = c.scalar<double>("base"), .epochs = epochs};
  constexpr std::uint64_t steps_per_epoch = 7;
  std::vector<double> first, last;
  for (std::uint64_t e = 0; e < epochs; ++e) {
    const std::uint64_t total = epochs * steps_per_epoch;
    first.push_back(term.weight({e * steps_per_epoch, total}));
    last.push_back(term.weight({(e + 1) * steps_per_epoch - 1, total}));
  }
  const auto expected = c.read<double>("weight_per_epoch");
  CHECK(table_error(first, expected) < 1e-15);  // one subtraction and one product
  CHECK(first == last);
  CHECK(last.back() == 0.0);
}

template <class S>
void margin_metric_softmax(TableCase& c) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  const auto labels = c.labels("labels");
  const Index n = labels.size(), classes = c.extent("class_features", 0);
  UnitRows<S> image(context, c.read<T>("image_features"), n), texts(context, c.read<T>("class_features"), classes);
  // The head as a classifier has it: unit rows times the inverse temperature.
  std::vector<T> head = texts.unit, logits(n * classes), margins(classes * classes);
  for (T& x : head) { x *= static_cast<T>(c.scalar<double>("inverse_temperature")); }
  const radapt::loss::MarginMetricSoftmax loss{.lambda = c.scalar<double>("lam")};
  loss.margins(head.data(), classes, texts.width, margins.data());
  const Matrix<T> z{logits.data(), n, classes}, w{head.data(), classes, texts.width};
  double value = 0;
  radapt::run(context, radapt::op::linear_forward<T>{.y = z, .x = image.matrix(image.unit), .weight = w});
  radapt::run(context, radapt::op::cross_entropy<T>{.logits = z,
                                                    .labels = labels.data(),
                                                    .loss = &value,
                                                    .dlogits = z,
                                                    .margins = {margins.data(), classes, classes}});
  radapt::run(context, radapt::op::linear_backward_input<T>{.dx = image.matrix(image.dunit), .dy = z, .weight = w});
  constexpr double bound = bounds<T>::tables;
  CHECK(table_error(std::vector{value}, c.read<double>("loss")) < bound);
  CHECK(table_error(image.backward(context), c.read<double>("grad.image_features")) < bound);
}

template <class S>
void walk() {
  walk_tables(
      "loss/golden_terms_test.cpp",
      {{"star", star<S>}, {"star_weight", star_weight<S>}, {"margin_metric_softmax", margin_metric_softmax<S>}});
}

}  // namespace

TEST_CASE("golden terms, in double on the reference") { walk<InDouble>(); }
TEST_CASE("golden terms, in f32 on oneDNN") { walk<InFloat>(); }
