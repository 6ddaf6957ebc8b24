#pragma once
/// TPGM (Tian et al., CVPR 2023; methods.md 7.14): every tensor of a fine-tuned model is projected into a ball around
/// the zero-shot one, and the radii are learned on held-out data.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "radapt/ensemble/adam.hpp"
#include "radapt/ensemble/checks.hpp"
#include "radapt/ensemble/tensor_places.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

/// How the distance of a tensor from its anchor is measured.
enum class UpdateNorm {
  l2,    ///< the L2 norm of the whole tensor
  mars,  ///< the L1 norm of each row (all extents but the first), row by row: the maximum absolute row sum
};

/// The projection of tuned weights toward an anchor, and its derivative by the radii. One radius per tensor, in the
/// order of the tree: `theta = anchor + min(1, max(0, radius / (norm + 1e-8))) (tuned - anchor)`, by rows for `mars`.
/// A radius of at least the norm gives the tuned bits, one of 0 the anchor's.
template <class W>
class TpgmProjection {
 public:
  using T = typename W::element;

  /// Both weights must outlive this object.
  TpgmProjection(const W& anchor, const W& tuned, UpdateNorm norm)
      : anchor_(&anchor), tuned_(&tuned), places_(detail::tensor_places(tuned)) {
    detail::check_same_classes("tpgm", anchor, tuned);
    for (const auto& place : places_) {
      Rows rows{.width = norm == UpdateNorm::l2 ? place.size : place.size / place.rows};
      for (Index at = place.offset; at < place.offset + place.size; at += rows.width) {
        double sum = 0;
        for (Index i = at; i < at + rows.width; ++i) {
          const double t = update(i);
          sum += norm == UpdateNorm::l2 ? t * t : std::abs(t);
        }
        detail::check_finite("tpgm: tensor '" + place.name + "'", "the distance between its two values", sum);
        rows.norms.push_back(norm == UpdateNorm::l2 ? std::sqrt(sum) : sum);
      }
      rows_.push_back(std::move(rows));
    }
  }

  Index tensors() const { return places_.size(); }
  const std::string& tensor(Index j) const { return places_[j].name; }
  /// The largest and the smallest norm among the rows of tensor j; for `l2` there is one.
  double largest_norm(Index j) const { return *std::max_element(rows_[j].norms.begin(), rows_[j].norms.end()); }
  double smallest_norm(Index j) const { return *std::min_element(rows_[j].norms.begin(), rows_[j].norms.end()); }

  /// The projected weights. Radii are >= 0, one per tensor.
  W project(const std::vector<double>& radii) const {
    check(radii);
    W out = *tuned_;
    for (Index j = 0; j < places_.size(); ++j) {
      const Rows& rows = rows_[j];
      for (Index r = 0; r < rows.norms.size(); ++r) {
        const double norm = rows.norms[r];
        if (radii[j] >= norm) { continue; }  // inside: the tuned bits
        const double ratio = radii[j] / (norm + epsilon);
        const Index begin = places_[j].offset + r * rows.width;
        for (Index i = begin; i < begin + rows.width; ++i) {
          const T anchor = anchor_->buffer()[i];
          out.buffer()[i] = ratio == 0.0 ? anchor : static_cast<T>(static_cast<double>(anchor) + ratio * update(i));
        }
      }
    }
    return out;
  }

  /// The derivative of a loss by the radii, from its gradient at the projected weights. Rows inside their ball have
  /// none.
  std::vector<double> gradient(const std::vector<double>& radii, const W& dprojected) const {
    check(radii);
    std::vector<double> d(places_.size(), 0.0);
    for (Index j = 0; j < places_.size(); ++j) {
      const Rows& rows = rows_[j];
      for (Index r = 0; r < rows.norms.size(); ++r) {
        const double norm = rows.norms[r] + epsilon;
        if (radii[j] >= norm) { continue; }
        const Index begin = places_[j].offset + r * rows.width;
        double along = 0;
        for (Index i = begin; i < begin + rows.width; ++i) {
          along += static_cast<double>(dprojected.buffer()[i]) * update(i);
        }
        d[j] += along / norm;
      }
    }
    return d;
  }

 private:
  static constexpr double epsilon = 1e-8;
  struct Rows {
    Index width = 0;
    std::vector<double> norms{};
  };

  double update(Index i) const {
    return static_cast<double>(tuned_->buffer()[i]) - static_cast<double>(anchor_->buffer()[i]);
  }
  void check(const std::vector<double>& radii) const {
    detail::check_same_size("tpgm", "radii, one per tensor", places_.size(), radii.size());
    for (Index j = 0; j < radii.size(); ++j) {
      if (!(radii[j] >= 0.0)) {
        fail({.what = "tpgm: the radius of '" + places_[j].name + "'",
              .expected = "a number of at least 0",
              .got = std::to_string(radii[j]),
              .hint = ""});
      }
    }
  }

  const W* anchor_;
  const W* tuned_;
  std::vector<detail::TensorPlace> places_;
  std::vector<Rows> rows_;
};

/// Options of tpgm; the defaults are those of the released code.
struct TpgmOptions {
  UpdateNorm norm = UpdateNorm::l2;
  Index iterations = 200;
  AdamOptions optimizer{.lr = 1e-2};
  std::vector<std::string> excluded{};  ///< names of tensors that stay as they were tuned
  ProgressOptions progress{};
};

/// One tensor's ball.
struct TpgmTensor {
  std::string name;
  double radius = 0;
  double norm = 0;  ///< the distance between tuned and anchor; for `mars` the largest of the rows
};

/// What tpgm returns.
template <class W>
struct TpgmResult {
  W weights;
  std::vector<TpgmTensor> tensors{};
  std::vector<double> losses{};  ///< before each iteration
};

/// Learns the radii with Adam and returns the projected weights.
///
/// Radii begin at half the smallest norm and stay within 1e-8 and the largest. `loss(weights, gradient)` returns the
/// held-out loss of a batch and writes its gradient with respect to every tensor: HeldOutLoss of
/// radapt/train/held_out.hpp does. It is called once per iteration and chooses the batch. Held-out data is no test
/// data: the released script learns its radii on ImageNet's validation set, which it then reports. That script also
/// moves rows inside their ball outwards for `mars`; here, as in methods.md 7.14, no row leaves the segment between its
/// two values. Errors: a name in `excluded` that is no tensor, a loss or gradient that is not finite.
template <class M, class T, class Loss>
TpgmResult<Weights<M, T>> tpgm(const Weights<M, T>& anchor, const Weights<M, T>& tuned, Loss&& loss,
                               const TpgmOptions& options = {}) {
  using W = Weights<M, T>;
  const TpgmProjection<W> projection(anchor, tuned, options.norm);
  const Index tensors = projection.tensors();
  std::vector<double> radii(tensors);
  std::vector<bool> fixed(tensors, false);
  for (const std::string& name : options.excluded) {
    Index j = 0;
    while (j < tensors && projection.tensor(j) != name) { ++j; }
    if (j == tensors) {
      fail({.what = "tpgm: option excluded", .expected = "names of tensors", .got = "'" + name + "'", .hint = ""});
    }
    fixed[j] = true;
  }
  const auto clamped = [&](Index j, double radius) {
    return fixed[j] ? projection.largest_norm(j) : std::max(1e-8, std::min(radius, projection.largest_norm(j)));
  };
  for (Index j = 0; j < tensors; ++j) { radii[j] = clamped(j, projection.smallest_norm(j) / 2); }

  TpgmResult<W> result{.weights = projection.project(radii)};
  detail::Adam adam(tensors, options.optimizer);
  W gradient(tuned.classes());
  Progress progress("tpgm", options.iterations, options.progress);
  for (Index i = 0; i < options.iterations; ++i) {
    const double value = static_cast<double>(loss(std::as_const(result.weights), gradient));
    const std::vector<double> d = projection.gradient(radii, gradient);
    double sum = value;
    for (const double x : d) { sum += x; }
    detail::check_finite("tpgm, iteration " + std::to_string(i), "the held-out loss and its gradient", sum);
    adam.step(radii, d);
    for (Index j = 0; j < tensors; ++j) { radii[j] = clamped(j, radii[j]); }
    result.losses.push_back(value);
    result.weights = projection.project(radii);
    progress.advance(1, "loss " + std::to_string(value));
  }
  for (Index j = 0; j < tensors; ++j) {
    result.tensors.push_back({projection.tensor(j), radii[j], projection.largest_norm(j)});
  }
  return result;
}

}  // namespace radapt
