#pragma once
/// The zero-shot failure set of VRF (methods.md 3.1): what the fine-tuned model has learned, as features, and how far a
/// sample is from it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "radapt/backend/run.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/ensemble/checks.hpp"
#include "radapt/ensemble/output.hpp"
#include "radapt/op/neighbours.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

/// How the number of neighbours follows from the size of the failure set V and of the training set D.
enum class NeighbourRule {
  share,     ///< floor(share |V|): the paper
  released,  ///< 1000 |V| / |D|, rounded half to even: the released code
};

/// What is called a distance between rows of length 1.
enum class FeatureDistance {
  squared_l2,  ///< 2 - 2 cos: what the published a and b are for
  l2,          ///< its root; a and b must be found anew
};

namespace detail {

/// The rows scaled to length 1, into `unit`; a row without a direction is an error.
template <class T>
void unit_rows(const std::string& what, Matrix<const T> rows, T* unit) {
  for (Index i = 0; i < rows.rows; ++i) {
    const T* x = rows.data + i * rows.columns;
    double squares = 0;
    for (Index e = 0; e < rows.columns; ++e) { squares += static_cast<double>(x[e]) * static_cast<double>(x[e]); }
    if (!(squares > 0.0) || std::isinf(squares)) {
      fail({.what = what + ", row " + std::to_string(i),
            .expected = "features of finite length above 0",
            .got = std::to_string(std::sqrt(squares)),
            .hint = ""});
    }
    const double scale = 1.0 / std::sqrt(squares);
    for (Index e = 0; e < rows.columns; ++e) {
      unit[i * rows.columns + e] = static_cast<T>(scale * static_cast<double>(x[e]));
    }
  }
}
template <class T>
std::vector<T> unit_rows(const std::string& what, Matrix<const T> rows) {
  std::vector<T> unit(rows.size());
  unit_rows(what, rows, unit.data());
  return unit;
}

}  // namespace detail

/// Normalised image features of the training samples that the fine-tuned model gets right and the zero-shot model
/// wrong. Features are those of the fine-tuned tower as it is deployed: average, alpha and merge come first, since
/// another alpha gives other distances (methods.md 8, constraint 4).
template <class T>
class FailureSet {
 public:
  /// Rows of one training set D: features (|D|, width) of the fine-tuned model, logits (|D|, classes) of both models,
  /// and class ids (|D|). A model's prediction is its largest logit, the first of equal ones.
  template <score_table F, score_table A, score_table B>
  FailureSet(const F& features, const A& tuned_logits, const B& zero_shot_logits,
             const std::vector<std::int32_t>& labels) {
    const std::string what = "failure set";
    const Matrix<const T> rows = view_of(features);
    const auto tuned = view_of(tuned_logits);
    const auto zero_shot = view_of(zero_shot_logits);
    detail::check_rows(what + ", fine-tuned logits", tuned);
    detail::check_rows(what + ", zero-shot logits", zero_shot);
    detail::check_same_table(what, tuned, zero_shot);
    detail::check_same_size(what, "rows of features, one for each row of logits", tuned.rows, rows.rows);
    detail::check_labels(what, tuned, labels);
    samples_ = rows.rows;
    width_ = rows.columns;
    const std::vector<T> unit = detail::unit_rows(what + ", features", rows);
    const auto of_tuned = predicted_classes(tuned), of_zero_shot = predicted_classes(zero_shot);
    for (Index i = 0; i < samples_; ++i) {
      if (of_tuned[i] != labels[i] || of_zero_shot[i] == labels[i]) { continue; }
      indices_.push_back(i);
      const auto* row = unit.data() + i * width_;
      rows_.insert(rows_.end(), row, row + width_);
    }
  }

  /// A set that was made before: rows of length 1, their places in D and |D|. For loading.
  FailureSet(std::vector<T> rows, Index width, std::vector<Index> indices, Index samples)
      : rows_(std::move(rows)), width_(width), indices_(std::move(indices)), samples_(samples) {
    const bool fits = width_ > 0 && rows_.size() == indices_.size() * width_ && indices_.size() <= samples_;
    if (!fits) {
      fail({.what = "failure set",
            .expected = "one row of the width for each place, and no more places than samples",
            .got = std::to_string(rows_.size()) + " numbers of width " + std::to_string(width_) + " for " +
                   std::to_string(indices_.size()) + " places of " + std::to_string(samples_) + " samples",
            .hint = ""});
    }
    if (!indices_.empty()) { rows_ = detail::unit_rows("failure set", Matrix<const T>(rows_.data(), size(), width_)); }
  }

  Index size() const { return indices_.size(); }
  bool empty() const { return indices_.empty(); }
  Index width() const { return width_; }
  /// |D|: how many training samples were looked at.
  Index samples() const { return samples_; }
  /// Places in D, ascending.
  const std::vector<Index>& indices() const { return indices_; }
  /// (size, width), rows of length 1.
  const std::vector<T>& rows() const { return rows_; }

  /// k, at least 1 and at most the size: which neighbour's distance is taken. `share` is from 0 to 1 and only read by
  /// NeighbourRule::share; 0.001 is the published value. The set may not be empty.
  Index neighbour_rank(NeighbourRule rule = NeighbourRule::share, double share = 0.001) const {
    check_not_empty("neighbour_rank");
    const double failures = static_cast<double>(size());
    double k = 0;
    if (rule == NeighbourRule::share) {
      if (!(share >= 0.0 && share <= 1.0)) {
        fail({.what = "failure set: share of neighbours",
              .expected = "a number from 0 to 1",
              .got = std::to_string(share),
              .hint = "The published value is 0.001"});
      }
      k = std::floor(share * failures);
    } else {
      k = std::nearbyint(1000.0 * failures / static_cast<double>(samples_));
    }
    return std::min(std::max(Index{1}, static_cast<Index>(k)), size());
  }

  /// The distance of every row to its k-th nearest neighbour in the set, exact up to rounding.
  ///
  /// `features` is (rows, width) of the fine-tuned model, of any length; k from 1 to size(). Works on as many rows at
  /// once as keep the table of cosines below 32 MiB, never on all of them, with one matrix product and one selection
  /// each.
  template <score_table F>
  std::vector<double> distances(const F& features, Index k, FeatureDistance distance = FeatureDistance::squared_l2,
                                ProgressOptions shown = {}) const {
    const Matrix<const T> rows = checked(features, k);
    using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto extent = [](Index n) { return static_cast<Eigen::Index>(n); };
    const Eigen::Map<const Rows> set(rows_.data(), extent(size()), extent(width_));
    const Index most = std::clamp<Index>((Index{32} << 20) / (size() * sizeof(T)), 1, 256);
    std::vector<double> all(rows.rows);
    Rows cosines;
    Progress progress("distances", rows.rows, std::move(shown));
    for (Index first = 0; first < rows.rows; first += most) {
      const Index n = std::min(most, rows.rows - first);
      const std::vector<T> unit = detail::unit_rows("features from row " + std::to_string(first),
                                                    Matrix<const T>(rows.data + first * width_, n, width_));
      cosines.noalias() = Eigen::Map<const Rows>(unit.data(), extent(n), extent(width_)) * set.transpose();
      for (Index i = 0; i < n; ++i) {
        T* row = cosines.data() + i * size();
        std::nth_element(row, row + (k - 1), row + size(), std::greater<T>());
        all[first + i] = as(distance, op::squared_distance(static_cast<double>(row[k - 1])));
      }
      progress.advance(n);
    }
    return all;
  }

  /// The same on the backend of a context, such as a session's. A backend with its own memory gets the set once and the
  /// rows a few thousand at a time. Distances are those of the call without a context up to the rounding of a cosine.
  template <class Backend, score_table F>
  std::vector<double> distances(Context<Backend>& context, const F& features, Index k,
                                FeatureDistance distance = FeatureDistance::squared_l2,
                                ProgressOptions shown = {}) const {
    const Matrix<const T> rows = checked(features, k);
    constexpr Index most = 4096;
    const Index at_once = std::min(most, rows.rows);
    const MemorySource& memory = memory_of<Backend>();
    Buffer<T> set(has_own_memory<Backend> ? rows_.size() : 0, memory);
    std::copy_n(rows_.data(), set.size(), set.data());
    Buffer<T> unit(at_once * width_, memory);
    Buffer<double> squared(at_once, memory);
    std::vector<double> all(rows.rows);
    Progress progress("distances", rows.rows, std::move(shown));
    for (Index first = 0; first < rows.rows; first += at_once) {
      const Index n = std::min(at_once, rows.rows - first);
      const Matrix<const T> part(rows.data + first * width_, n, width_);
      detail::unit_rows("features from row " + std::to_string(first), part, unit.data());
      run(context, op::kth_neighbour<T>{.distances = {squared.data(), n},
                                        .x = {unit.data(), n, width_},
                                        .set = {has_own_memory<Backend> ? set.data() : rows_.data(), size(), width_},
                                        .k = k});
      finish(context);
      for (Index i = 0; i < n; ++i) { all[first + i] = as(distance, squared[i]); }
      progress.advance(n);
    }
    return all;
  }

 private:
  static double as(FeatureDistance distance, double squared) {
    return distance == FeatureDistance::squared_l2 ? squared : std::sqrt(squared);
  }
  /// The rows, if there are distances from them to the k-th of this set.
  template <score_table F>
  Matrix<const T> checked(const F& features, Index k) const {
    check_not_empty("distances");
    const Matrix<const T> rows = view_of(features);
    if (k == 0 || k > size()) {
      fail({.what = "failure set: neighbour k",
            .expected = "a number from 1 to " + std::to_string(size()) + ", the size of the set",
            .got = std::to_string(k),
            .hint = ""});
    }
    if (rows.columns != width_) {
      fail({.what = "failure set: features",
            .expected = "rows of width " + std::to_string(width_),
            .got = std::to_string(rows.columns),
            .hint = "Features are those of the model that the set was made from"});
    }
    return rows;
  }
  void check_not_empty(const char* what) const {
    if (empty()) {
      fail({.what = std::string("failure set: ") + what,
            .expected = "at least one sample that the fine-tuned model gets right and the zero-shot model wrong",
            .got = "none among " + std::to_string(samples_),
            .hint = "vrf() takes a constant omega for this case"});
    }
  }

  std::vector<T> rows_;
  Index width_ = 0;
  std::vector<Index> indices_;
  Index samples_ = 0;
};

}  // namespace radapt
