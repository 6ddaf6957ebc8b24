#pragma once
/// VRF, variance-reduction fine-tuning (methods.md 3): an output ensemble whose weight depends on how far a sample is
/// from what the fine-tuned model has learned.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "radapt/ensemble/failure_set.hpp"
#include "radapt/ensemble/output.hpp"

namespace radapt {

/// omega(d), the weight of the fine-tuned model at distance d: between 0 and 1, never rising with d. The defaults are
/// those of the released code for ImageNet, for squared distances.
struct DistanceWeight {
  enum class Form {
    sigmoid,  ///< 1 / (1 + exp((d - a) / b)); 1/2 at d = a
    binary,   ///< 1 where d < a, else 0
    linear,   ///< -b (d - a), kept in 0 .. 1
  };
  Form form = Form::sigmoid;
  double a = 1.5;  ///< an infinite a is one of the two models alone
  double b = 0.6;  ///< above 0; not read by `binary`

  double operator()(double distance) const {
    switch (form) {
      case Form::binary:
        return distance < a ? 1.0 : 0.0;
      case Form::linear:
        return std::min(1.0, std::max(0.0, -b * (distance - a)));
      case Form::sigmoid:
        break;
    }
    return 1.0 / (1.0 + std::exp((distance - a) / b));
  }
};

/// What is mixed.
enum class Mixing {
  probabilities,  ///< omega P_ft + (1 - omega) P_zs: the published form
  logits,         ///< softmax(omega z_ft + (1 - omega) z_zs), logits divided by their temperatures
};

/// Options of vrf; the defaults are the published ones.
struct VrfOptions {
  NeighbourRule rule = NeighbourRule::share;
  double share = 0.001;      ///< p, of the failure set
  std::optional<Index> k{};  ///< the number of neighbours itself, instead of the rule
  FeatureDistance distance = FeatureDistance::squared_l2;
  DistanceWeight weight{};
  double tuned_temperature = 1.0;      ///< of the fine-tuned model's logits; see fit_temperature
  double zero_shot_temperature = 1.0;  ///< of the zero-shot model's logits
  Mixing mixing = Mixing::probabilities;
  std::optional<double> omega_if_empty{};  ///< the constant weight where the failure set is empty; without it an error
  ProgressOptions progress{};
};

/// What vrf returns, one entry or row per sample.
template <class T>
struct VrfPrediction {
  Scores<T> probabilities;            ///< (rows, classes) of the mixture; rows add up to 1
  std::vector<std::int32_t> classes;  ///< the largest of each row
  std::vector<double> omega;          ///< weight of the fine-tuned model
  std::vector<double> distances;      ///< to the k-th neighbour; empty if the failure set is
  Index k = 0;                        ///< the neighbour that was taken; 0 if the failure set is empty
  bool failure_set_is_empty = false;  ///< omega is the constant of the options: the fine-tuned model corrected nothing
};

namespace detail {

/// omega p + (1 - omega) q with exact ends, so that a model of no weight leaves no trace.
inline double mixed(double omega, double p, double q) {
  return omega == 1.0 ? p : omega == 0.0 ? q : omega * p + (1.0 - omega) * q;
}

template <class T>
Scores<T> mix_by_row(const VrfOptions& options, const std::vector<double>& omega, Matrix<const T> tuned,
                     Matrix<const T> zero_shot) {
  check_temperature("vrf", options.tuned_temperature);
  check_temperature("vrf", options.zero_shot_temperature);
  const Index width = tuned.columns;
  Scores<T> out{.values = std::vector<T>(tuned.size()), .width = width};
  std::vector<double> p, q, z(width);
  for (Index i = 0; i < tuned.rows; ++i) {
    const T* of_tuned = tuned.data + i * width;
    const T* of_zero_shot = zero_shot.data + i * width;
    T* row = out.values.data() + i * width;
    if (options.mixing == Mixing::logits) {
      for (Index c = 0; c < width; ++c) {
        z[c] = mixed(omega[i], static_cast<double>(of_tuned[c]) / options.tuned_temperature,
                     static_cast<double>(of_zero_shot[c]) / options.zero_shot_temperature);
      }
      softmax_row(z.data(), width, 1.0, p);
      for (Index c = 0; c < width; ++c) { row[c] = static_cast<T>(p[c]); }
    } else {
      softmax_row(of_tuned, width, options.tuned_temperature, p);
      softmax_row(of_zero_shot, width, options.zero_shot_temperature, q);
      for (Index c = 0; c < width; ++c) { row[c] = static_cast<T>(mixed(omega[i], p[c], q[c])); }
    }
  }
  return out;
}

inline void check_weight(const DistanceWeight& weight) {
  if (std::isnan(weight.a)) {
    fail({.what = "vrf: option weight.a", .expected = "a number", .got = "NaN", .hint = "The published value is 1.5"});
  }
  if (!(weight.b > 0.0) || std::isinf(weight.b)) {
    fail({.what = "vrf: option weight.b",
          .expected = "a number above 0",
          .got = std::to_string(weight.b),
          .hint = "The published value is 0.6"});
  }
}

/// vrf(), with distances(rows, k) for those from the rows of features to their k-th neighbours.
template <class T, class Distances, class Projection>
VrfPrediction<T> vrf(const FailureSet<T>& failures, Matrix<const T> rows, Matrix<const T> tuned,
                     Matrix<const T> zero_shot, const VrfOptions& options, Projection& projection,
                     Distances&& distances) {
  const std::string what = "vrf";
  check_rows(what + ", fine-tuned logits", tuned);
  check_rows(what + ", zero-shot logits", zero_shot);
  check_same_table(what, tuned, zero_shot);
  check_same_size(what, "rows of features, one for each row of logits", tuned.rows, rows.rows);
  check_weight(options.weight);

  VrfPrediction<T> out;
  out.failure_set_is_empty = failures.empty();
  if (failures.empty()) {
    if (!options.omega_if_empty.has_value()) {
      fail({.what = "vrf: the failure set is empty",
            .expected =
                "at least one training sample that the fine-tuned model gets right and the zero-shot model wrong",
            .got = "none among " + std::to_string(failures.samples()),
            .hint = "Set omega_if_empty to the constant weight of the fine-tuned model to use in this case"});
    }
    check_mixing("vrf: option omega_if_empty", *options.omega_if_empty);
    out.omega.assign(rows.rows, *options.omega_if_empty);
  } else {
    out.k = options.k.has_value() ? std::min(*options.k, failures.size())
                                  : failures.neighbour_rank(options.rule, options.share);
    out.distances = distances(rows, out.k);
    for (const double d : out.distances) { out.omega.push_back(options.weight(d)); }
  }
  if constexpr (std::is_same_v<std::remove_cvref_t<Projection>, no_projection>) {
    out.probabilities = mix_by_row(options, out.omega, tuned, zero_shot);
  } else {
    const Scores<T> of_tuned = project_labels(tuned, projection), of_zero_shot = project_labels(zero_shot, projection);
    out.probabilities = mix_by_row(options, out.omega, view_of(of_tuned), view_of(of_zero_shot));
  }
  out.classes = predicted_classes(out.probabilities);
  return out;
}

}  // namespace detail

/// Mixes the two models' predictions on test samples: features (rows, width) and logits (rows, classes) of the
/// fine-tuned model, logits of the zero-shot model, and a projection of labels that comes before the softmax
/// (methods.md 3.2). Works with features and logits of any model, as Scores or rows_of a vector.
///
/// An empty failure set has no distances; omega is then `omega_if_empty`, and the result says so. Tune a and b on
/// in-distribution validation data only.
template <class T, score_table F, score_table A, score_table B, class Projection = no_projection>
VrfPrediction<T> vrf(const FailureSet<T>& failures, const F& features, const A& tuned_logits, const B& zero_shot_logits,
                     const VrfOptions& options = {}, Projection&& projection = {}) {
  return detail::vrf<T>(
      failures, view_of(features), view_of(tuned_logits), view_of(zero_shot_logits), options, projection,
      [&](Matrix<const T> rows, Index k) { return failures.distances(rows, k, options.distance, options.progress); });
}

/// The same, with the distances from the backend of a context, such as that of the session that the features are of.
template <class Backend, class T, score_table F, score_table A, score_table B, class Projection = no_projection>
VrfPrediction<T> vrf(Context<Backend>& context, const FailureSet<T>& failures, const F& features, const A& tuned_logits,
                     const B& zero_shot_logits, const VrfOptions& options = {}, Projection&& projection = {}) {
  return detail::vrf<T>(failures, view_of(features), view_of(tuned_logits), view_of(zero_shot_logits), options,
                        projection, [&](Matrix<const T> rows, Index k) {
                          return failures.distances(context, rows, k, options.distance, options.progress);
                        });
}

}  // namespace radapt
