/// CaRot's terms against tests/oracle: the orthogonality penalty, cross_fnorm, and distillation in both directions.
#include <cmath>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "oracle/cases.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/loss/contrastive_distillation.hpp"
#include "radapt/loss/cross_fnorm.hpp"
#include "radapt/loss/orthogonality.hpp"
#include "radapt/op/norm.hpp"
#include "support/settings.hpp"

using namespace radapt_test;
using radapt::Index;
using radapt::Matrix;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

/// A matrix of the case and its gradient, which begins as ones: terms add to it.
template <class T>
struct Given {
  Index rows, columns;
  std::vector<T> values, gradient;
  Given(OracleCase& c, const std::string& name)
      : rows(c.extent(name, 0)), columns(c.extent(name, 1)), values(c.read<T>(name)), gradient(values.size(), T{1}) {}
  Matrix<const T> value() const { return {values.data(), rows, columns}; }
  Matrix<T> slope() { return {gradient.data(), rows, columns}; }
  void check(OracleCase& c, const std::string& name) const {
    CAPTURE(name);
    auto expected = c.read("grad." + name);
    for (double& x : expected) { x += 1; }
    CHECK(oracle_error(gradient, expected) < oracle_bound<T>);
  }
};

template <class S>
void orthogonality(OracleCase& c) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  Given<T> w(c, "weight");
  const radapt::loss::Orthogonality term{.strength = c.number("strength")};
  std::vector<T> scratch(term.scratch_elements(w.rows, w.columns));
  double loss = 0;
  term.add(context, w.slope(), w.value(), scratch.data(), &loss);
  CHECK(oracle_error(std::vector{loss}, c.read("loss")) < oracle_bound<T>);
  w.check(c, "weight");
}

template <class S>
void cross_fnorm(OracleCase& c) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  Given<T> v(c, "image"), w(c, "text");
  const radapt::loss::CrossFNorm term{.strength = c.number("strength")};
  std::vector<T> scratch(term.scratch_elements(v.rows, w.rows, v.columns));
  double loss = 0;
  term.template add<T>(context, {v.value(), v.slope()}, {w.value(), w.slope()}, scratch.data(), &loss);
  CHECK(oracle_error(std::vector{loss}, c.read("loss")) < oracle_bound<T>);
  v.check(c, "image");
  w.check(c, "text");
}

/// Rows of unit length of a matrix of the case, and the way back to the rows as given.
template <class S>
struct UnitRows {
  using T = typename S::T;
  Index rows, width;
  std::vector<T> unit, dunit, dgiven;
  std::vector<radapt::statistic_t<T>> norms;
  UnitRows(radapt::Context<typename S::backend>& context, OracleCase& c, const std::string& name)
      : rows(c.extent(name, 0)), width(c.extent(name, 1)), unit(rows * width), dunit(unit), dgiven(unit), norms(rows) {
    const auto given = c.read<T>(name);
    radapt::run(context, radapt::op::l2_normalize_forward<T>{
                             .y = matrix(unit), .x = {given.data(), rows, width}, .norm = {norms.data(), rows}});
  }
  Matrix<T> matrix(std::vector<T>& v) const { return {v.data(), rows, width}; }
  const std::vector<T>& backward(radapt::Context<typename S::backend>& context) {
    radapt::run(context,
                radapt::op::l2_normalize_backward<T>{
                    .dx = matrix(dgiven), .dy = matrix(dunit), .y = matrix(unit), .norm = {norms.data(), rows}});
    return dgiven;
  }
};

template <class S>
void distillation(OracleCase& c) {
  using T = typename S::T;
  radapt::Context<typename S::backend> context;
  UnitRows<S> image(context, c, "image"), text(context, c, "text"), teacher_image(context, c, "teacher_image"),
      teacher_text(context, c, "teacher_text");
  const Index n = image.rows;
  std::vector<T> logits(n * n), teacher_logits(n * n), dfeatures(image.unit.size());
  T dlog_scale = 0;
  radapt::loss::PairFeatures<T> f{.image = image.matrix(image.unit),
                                  .text = text.matrix(text.unit),
                                  .dimage = image.matrix(image.dunit),
                                  .dtext = text.matrix(text.dunit),
                                  .teacher_image = teacher_image.matrix(teacher_image.unit),
                                  .teacher_text = teacher_text.matrix(teacher_text.unit),
                                  .scale = std::exp(c.number("log_scale")),
                                  .dlog_scale = &dlog_scale,
                                  .teacher_scale = std::exp(c.number("teacher_log_scale")),
                                  .logits = {logits.data(), n, n},
                                  .teacher_logits = {teacher_logits.data(), n, n},
                                  .dfeatures = image.matrix(dfeatures)};
  const radapt::loss::SelfDistillation term{{.strength = c.number("strength")}, {}};
  double loss = 0;
  term.add(context, f, {.step = 0, .total = 10}, &loss);
  CHECK(loss == 0.0);  // it begins at step 1
  term.add(context, f, {.step = 1, .total = 10}, &loss);
  CHECK(oracle_error(std::vector{loss}, c.read("loss")) < oracle_bound<T>);
  CHECK(oracle_error(image.backward(context), c.read("grad.image")) < oracle_bound<T>);
  CHECK(oracle_error(text.backward(context), c.read("grad.text")) < oracle_bound<T>);
  CHECK(oracle_error(std::vector{dlog_scale}, c.read("grad.log_scale")) < oracle_bound<T>);
}

template <class S>
void walk() {
  walk_oracle("carot.json", {{"orthogonality", 5, orthogonality<S>},
                             {"cross_fnorm", 3, cross_fnorm<S>},
                             {"distillation", 5, distillation<S>}});
}

}  // namespace

TEST_CASE("CaRot's terms are those of the oracle, in double on the reference") { walk<InDouble>(); }
TEST_CASE("CaRot's terms are those of the oracle, in f32 on oneDNN") { walk<InFloat>(); }
