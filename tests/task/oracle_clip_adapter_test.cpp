/// CLIP-Adapter against tests/oracle: logits, loss, and the gradients of its two layers.
#include <algorithm>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "oracle/cases.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/clip/session.hpp"
#include "radapt/task/feature_classifier.hpp"
#include "radapt/train/held_out.hpp"
#include "support/settings.hpp"

using namespace radapt_test;
using radapt::Index;
namespace task = radapt::task;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

/// A matrix (rows, columns) as (columns, rows).
template <class T>
std::vector<T> transposed(const std::vector<T>& m, Index rows, Index columns) {
  std::vector<T> out(m.size());
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; ++j) { out[j * rows + i] = m[i * columns + j]; }
  }
  return out;
}

template <class S, Index Embed, Index Hidden, Index Percent>
void clip_adapter_of(OracleCase& c) {
  using T = typename S::T;
  using Model = task::ClipAdapter<Embed, Hidden, Percent>;
  REQUIRE(c.count("percent") == Percent);
  REQUIRE(c.extent("w1", 0) == Hidden);
  auto weights = task::clip_adapter<Model, T>(c.read<T>("head"), c.number("scale"), 1);
  // The library stores W1 and W2 as CLIP does its projections: (in, out).
  auto& adapter = radapt::child<"adapter">(weights.tree());
  const auto w1 = transposed(c.read<T>("w1"), Hidden, Embed), w2 = transposed(c.read<T>("w2"), Embed, Hidden);
  std::copy(w1.begin(), w1.end(), radapt::child<"fc1">(adapter).matrix.data);
  std::copy(w2.begin(), w2.end(), radapt::child<"fc2">(adapter).matrix.data);
  const auto features = c.read<T>("features");
  const auto labels = c.labels("labels");

  std::vector<T> logits(labels.size() * weights.classes());
  radapt::ClassifierSession<Model, typename S::backend, T>(weights, {.images = 4}).logits(features, logits);
  CHECK(oracle_error(logits, c.read("logits")) < oracle_bound<T>);

  radapt::HeldOutLoss<Model, typename S::backend, T> held_out(weights.classes(), {.batch = labels.size()});
  radapt::Weights<Model, T> gradient(weights.classes());
  const double loss = held_out(weights, {.pixels = features, .labels = labels}, gradient);
  CHECK(oracle_error(std::vector{loss}, c.read("loss")) < oracle_bound<T>);
  const auto& slopes = radapt::child<"adapter">(gradient.tree());
  const auto& dw1 = radapt::child<"fc1">(slopes).matrix;
  const auto& dw2 = radapt::child<"fc2">(slopes).matrix;
  CHECK(oracle_error(std::vector<T>(dw1.data, dw1.data + dw1.size()), transposed(c.read("grad.w1"), Hidden, Embed)) <
        oracle_bound<T>);
  CHECK(oracle_error(std::vector<T>(dw2.data, dw2.data + dw2.size()), transposed(c.read("grad.w2"), Embed, Hidden)) <
        oracle_bound<T>);
}
template <class S>
void clip_adapter(OracleCase& c) {
  const Index embed = c.extent("features", 1);
  REQUIRE((embed == 8 || embed == 7));
  embed == 8 ? clip_adapter_of<S, 8, 2, 20>(c) : clip_adapter_of<S, 7, 3, 45>(c);
}

template <class S>
void walk() {
  walk_oracle("clip_adapter.json", {{"clip_adapter", 4, clip_adapter<S>}});
}

}  // namespace

TEST_CASE("CLIP-Adapter is that of the oracle, in double on the reference") { walk<InDouble>(); }
TEST_CASE("CLIP-Adapter is that of the oracle, in f32 on oneDNN") { walk<InFloat>(); }
