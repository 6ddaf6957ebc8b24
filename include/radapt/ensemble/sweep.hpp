#pragma once
/// The curve over alpha: what an ensemble scores between the zero-shot and the fine-tuned end.
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/clip/merge.hpp"
#include "radapt/ensemble/interpolate.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

/// `intervals` + 1 values from 0 to 1, both exact. 20 intervals, steps of 0.05, are the grid of WiSE-FT's curves
/// (methods.md 2.2).
inline std::vector<double> alpha_grid(Index intervals = 20) {
  if (intervals == 0) { fail({.what = "alpha_grid", .expected = "at least 1 interval", .got = "0", .hint = ""}); }
  std::vector<double> alphas;
  for (Index i = 0; i <= intervals; ++i) { alphas.push_back(static_cast<double>(i) / static_cast<double>(intervals)); }
  return alphas;
}

/// One point of a curve.
template <class Value>
struct CurvePoint {
  double alpha;
  Value value;
};

/// {alpha, f(alpha)} for every alpha, in their order. `f` returns a number or a struct of your own. Errors: no alpha,
/// or one that is not finite; they are found before anything runs.
template <class F>
auto sweep(const std::vector<double>& alphas, F&& f, ProgressOptions shown = {}) {
  using Value = std::remove_cvref_t<decltype(f(0.0))>;
  if (alphas.empty()) { fail({.what = "sweep", .expected = "at least one alpha", .got = "none", .hint = ""}); }
  for (const double alpha : alphas) { detail::check_finite("sweep", "alpha", alpha); }
  std::vector<CurvePoint<Value>> curve;
  Progress progress("alpha", alphas.size(), std::move(shown));
  for (const double alpha : alphas) {
    curve.push_back({alpha, f(alpha)});
    progress.advance(1, "alpha " + std::to_string(alpha));
  }
  return curve;
}

/// {alpha, f(weights)} over the straight line between two weights of one model: WiSE-FT's curve. The ends are the given
/// weights bit for bit. One mixture is in memory at a time.
template <class M, class T, class F>
auto alpha_sweep(const std::vector<double>& alphas, const Weights<M, T>& zero_shot, const Weights<M, T>& tuned, F&& f,
                 ProgressOptions shown = {}) {
  return sweep(
      alphas, [&](double alpha) { return f(interpolate(alpha, zero_shot, tuned)); }, std::move(shown));
}

/// {alpha, f(weights)} over adapters that are scaled by alpha and merged: R-Adapter's curve. At alpha 0 `f` gets the
/// plain model bit for bit.
template <class Arch, class Policy, class Unlock, class T, class F>
auto alpha_sweep(const std::vector<double>& alphas, const Weights<Clip<Arch, Policy, Unlock>, T>& adapted, F&& f,
                 ProgressOptions shown = {}) {
  return sweep(
      alphas, [&](double alpha) { return f(merge(alpha, adapted)); }, std::move(shown));
}

/// The point of the largest value, the first of equal ones; for curves of numbers. Values that are no numbers are
/// passed over. Choose alpha on in-distribution validation data, never on the shifted test sets. Errors: no points, or
/// none with a number.
template <class Value>
const CurvePoint<Value>& best_point(const std::vector<CurvePoint<Value>>& curve) {
  if (curve.empty()) { fail({.what = "best_point", .expected = "a curve", .got = "no points", .hint = ""}); }
  const CurvePoint<Value>* best = nullptr;
  for (const CurvePoint<Value>& point : curve) {
    bool is_number = true;
    if constexpr (std::is_floating_point_v<Value>) { is_number = !std::isnan(point.value); }
    if (is_number && (best == nullptr || point.value > best->value)) { best = &point; }
  }
  if (best == nullptr) {
    fail({.what = "best_point", .expected = "a value that is a number", .got = "none on the curve", .hint = ""});
  }
  return *best;
}

}  // namespace radapt
