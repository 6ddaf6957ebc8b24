#pragma once
/// Ensembles of outputs (methods.md 7.16): probabilities from logits, and the mixture of two models' predictions.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/ensemble/checks.hpp"
#include "radapt/ensemble/scores.hpp"

namespace radapt {

/// A label projection that changes nothing. A projection is any callable that takes the logits of one sample,
/// std::span<const T>, and returns the logits of the classes that are scored: a std::vector or std::array of T, of the
/// same size for every sample. It keeps columns, or takes the largest of several (methods.md 0.5):
/// task::LabelProjection for float, or a lambda.
struct no_projection {
  template <class T>
  std::span<const T> operator()(std::span<const T> row) const {
    return row;
  }
};

namespace detail {

/// exp(z / temperature) / sum, in double, into `p`.
template <class T>
void softmax_row(const T* z, Index width, double temperature, std::vector<double>& p) {
  p.resize(width);
  const double top = static_cast<double>(z[largest(z, width)]);
  double sum = 0;
  for (Index c = 0; c < width; ++c) { sum += p[c] = std::exp((static_cast<double>(z[c]) - top) / temperature); }
  for (double& x : p) { x /= sum; }
}

inline void check_temperature(const std::string& what, double temperature) {
  if (!(temperature > 0.0) || std::isinf(temperature)) {
    fail({.what = what + ": temperature",
          .expected = "a number above 0",
          .got = std::to_string(temperature),
          .hint = "Logits are divided by it; 1 leaves them as they are"});
  }
}

}  // namespace detail

/// The logits of the classes that a projection keeps, row by row. A temperature divides logits and commutes with it;
/// a softmax does not: it comes after the projection (methods.md 3.2).
template <score_table X, class Projection>
Scores<detail::number_of<X>> project_labels(const X& logits, Projection&& projection) {
  using T = detail::number_of<X>;
  const Matrix<const T> table = view_of(logits);
  Scores<T> out;
  for (Index i = 0; i < table.rows; ++i) {
    const auto row = projection(std::span<const T>(table.data + i * table.columns, table.columns));
    if (i == 0) { out.width = std::size(row); }
    if (std::size(row) != out.width || out.width == 0) {
      fail({.what = "label projection, row " + std::to_string(i),
            .expected = "at least one logit, as many as for every other row",
            .got = std::to_string(std::size(row)),
            .hint = ""});
    }
    out.values.insert(out.values.end(), std::begin(row), std::end(row));
  }
  return out;
}

/// softmax(logits / temperature) by rows, computed in double. Errors: an empty table, a logit that is not finite, a
/// temperature that is not above 0.
template <score_table X>
Scores<detail::number_of<X>> probabilities(const X& logits, double temperature = 1.0) {
  using T = detail::number_of<X>;
  const Matrix<const T> table = view_of(logits);
  detail::check_temperature("probabilities", temperature);
  detail::check_rows("probabilities", table);
  Scores<T> out{.values = std::vector<T>(table.size()), .width = table.columns};
  std::vector<double> p;
  for (Index i = 0; i < table.rows; ++i) {
    detail::softmax_row(table.data + i * table.columns, table.columns, temperature, p);
    for (Index c = 0; c < table.columns; ++c) { out.values[i * table.columns + c] = static_cast<T>(p[c]); }
  }
  return out;
}

namespace detail {
/// Fails unless every row sums to one, up to what is lost where probabilities were stored in 16 bits.
template <class T>
void check_probabilities(const std::string& what, const Matrix<const T>& table) {
  for (Index i = 0; i < table.rows; ++i) {
    double sum = 0, least = 0;
    for (Index c = 0; c < table.columns; ++c) {
      const auto p = static_cast<double>(table.data[i * table.columns + c]);
      sum += p;
      least = std::min(least, p);
    }
    if (std::abs(sum - 1.0) <= 0.02 && least >= 0.0) { continue; }
    fail({.what = what + ": row " + std::to_string(i),
          .expected = "probabilities, which are at least 0 and sum to 1",
          .got = "a sum of " + std::to_string(sum) + (least < 0.0 ? ", and " + std::to_string(least) : ""),
          .hint = "probabilities() makes them of logits"});
  }
}
}  // namespace detail

/// alpha P_ft + (1 - alpha) P_zs: the output ensemble (OSE). alpha from 0 to 1 weights the fine-tuned side; 0 and 1
/// return the ends bit for bit. Choose it on in-distribution validation data. Error: logits.
template <score_table A, score_table B>
Scores<detail::number_of<A>> mix_probabilities(double alpha, const A& tuned, const B& zero_shot) {
  using T = detail::number_of<A>;
  const Matrix<const T> p = view_of(tuned);
  const auto q = view_of(zero_shot);
  detail::check_mixing("mix_probabilities", alpha);
  detail::check_same_table("mix_probabilities", p, q);
  detail::check_probabilities("mix_probabilities, fine-tuned", p);
  detail::check_probabilities("mix_probabilities, zero-shot", q);
  Scores<T> out{.values = std::vector<T>(p.size()), .width = p.columns};
  for (Index i = 0; i < p.size(); ++i) {
    const double of_tuned = static_cast<double>(p.data[i]), of_zero_shot = static_cast<double>(q.data[i]);
    out.values[i] = static_cast<T>(alpha == 0.0   ? of_zero_shot
                                   : alpha == 1.0 ? of_tuned
                                                  : alpha * of_tuned + (1.0 - alpha) * of_zero_shot);
  }
  return out;
}

/// The class of each row with the largest score, the first of equal ones.
template <score_table X>
std::vector<std::int32_t> predicted_classes(const X& scores) {
  const auto table = view_of(scores);
  std::vector<std::int32_t> classes(table.rows);
  for (Index i = 0; i < table.rows; ++i) {
    classes[i] = static_cast<std::int32_t>(detail::largest(table.data + i * table.columns, table.columns));
  }
  return classes;
}

}  // namespace radapt
