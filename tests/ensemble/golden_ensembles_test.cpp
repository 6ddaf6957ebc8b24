/// Weight averages and interpolation of the golden table.
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "cases/reference_kernels.hpp"
#include "ensemble/averaging.hpp"
#include "radapt/backend/onednn/all.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/train/average.hpp"
#include "support/golden_tables.hpp"
#include "support/settings.hpp"
#include "support/tolerance.hpp"

using namespace radapt_test;
using radapt::Average;
using radapt::Index;

namespace {

using InDouble = Setting<radapt::reference, double>;
using InFloat = Setting<radapt::onednn, float>;

/// A model that is one tensor, of the size that every case of wise_ft has.
struct OneTensor {
  template <template <class, class> class Slot>
  struct Params {
    Slot<radapt::Shape<4, 6>, radapt::role::backbone> tensor;  // (4, 6)
    static constexpr void each(auto&& f, auto&... t) { f("tensor", t.tensor...); }
  };
};

template <class S>
void wise_ft(TableCase& c) {
  using T = typename S::T;
  const auto weights = [&](const std::string& name) {
    radapt::Weights<OneTensor, T> w;
    const auto values = c.read<T>(name);
    REQUIRE(values.size() == w.tree().tensor.size());
    std::copy(values.begin(), values.end(), w.tree().tensor.data);
    return w;
  };
  const auto values = [](const radapt::Weights<OneTensor, T>& w) {
    const auto& leaf = w.tree().tensor;
    return std::vector<T>(leaf.data, leaf.data + leaf.size());
  };
  const double alpha = c.scalar<double>("alpha");
  const auto zero_shot = weights("zero_shot"), tuned = weights("tuned");
  const auto got = values(radapt::interpolate(alpha, zero_shot, tuned));
  CHECK(table_error(got, c.read<double>("interpolated")) < bounds<T>::tables);
  if (alpha == 0.0) { CHECK(got == values(zero_shot)); }  // bit for bit
  if (alpha == 1.0) { CHECK(got == values(tuned)); }
}

/// Row t of a table (iterates, ...), flattened.
template <class T>
std::span<const T> row(const std::vector<T>& table, Index rows, Index t) {
  const Index n = table.size() / rows;
  return std::span<const T>(table).subspan(t * n, n);
}
template <class T, class U>
double row_error(const std::vector<T>& got, std::span<const U> expected) {
  return table_error(got, std::vector<U>(expected.begin(), expected.end()));
}

template <class S>
void ema(TableCase& c) {
  using T = typename S::T;
  const Average average{.kind = Average::Kind::exponential, .momentum = c.scalar<double>("momentum")};
  const Index steps = c.extent("iterates", 0);
  const auto iterates = c.read<T>("iterates");
  const auto shadow = c.read<double>("shadow");
  Averaging<S> averaging(c.read<T>("initial"));
  for (Index t = 0; t < steps; ++t) {
    CAPTURE(t);
    const auto& got = averaging.follow(row(iterates, steps, t), average.momentum_at(t + 1, steps));
    CHECK(row_error(got, row(shadow, steps, t)) < bounds<T>::tables);
  }
}

template <class S>
void beta_moving_average(TableCase& c) {
  using T = typename S::T;
  const Average average{.kind = Average::Kind::beta, .beta = c.scalar<double>("beta")};
  const Index count = c.extent("iterates", 0);
  const auto iterates = c.read<T>("iterates");
  const auto averages = c.read<double>("averages"), weights = c.read<double>("weights");
  const auto first = row(iterates, count, 0);
  Averaging<S> averaging({first.begin(), first.end()});
  CHECK(row_error(std::vector<T>(first.begin(), first.end()), row(averages, count, 0)) < bounds<T>::tables);
  for (Index t = 1; t < count; ++t) {
    CAPTURE(t);
    const double momentum = average.momentum_at(t, count - 1);
    const double before = std::accumulate(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(t), 0.0);
    CHECK(std::abs(momentum - before / (before + weights[t])) < 1e-12);  // the density, whatever T is
    CHECK(row_error(averaging.follow(row(iterates, count, t), momentum), row(averages, count, t)) < bounds<T>::tables);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("averages and interpolation of the golden table", S, InDouble, InFloat) {
  walk_tables("ensemble/golden_ensembles_test.cpp",
              {{"wise_ft", wise_ft<S>}, {"ema", ema<S>}, {"beta_moving_average", beta_moving_average<S>}});
}
