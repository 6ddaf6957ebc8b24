#pragma once
/// The leading singular spaces of a weight, and the rank up to which they count (methods.md 5.1, 5.3).
#include <cmath>
#include <string>
#include <vector>

#include "radapt/adapter/eigen_matrix.hpp"
#include "radapt/adapter/thin_svd.hpp"
#include "radapt/core/error.hpp"

namespace radapt {

/// How many singular values count. Trained weights have full numerical rank, and the whole space projects onto
/// everything: without such a rule a transfer is a copy.
struct RankRule {
  enum class Kind {
    energy,     ///< the smallest k whose leading squared singular values hold `value` of the sum of all of them
    tolerance,  ///< all singular values above `value` times the largest
  };
  Kind kind = Kind::energy;
  double value = 0.0;  ///< energy: above 0, at most 1; tolerance: from 0 to below 1. There is no published value

  static RankRule energy(double share) { return {Kind::energy, share}; }
  static RankRule tolerance(double relative) { return {Kind::tolerance, relative}; }
};

/// The effective rank of singular values in falling order; 0 where all of them are zero.
inline Index effective_rank(const std::vector<double>& singular, RankRule rule) {
  const bool energy = rule.kind == RankRule::Kind::energy;
  if (!(energy ? rule.value > 0.0 && rule.value <= 1.0 : rule.value >= 0.0 && rule.value < 1.0)) {
    fail({.what = "effective rank",
          .expected = energy ? "a share of the energy above 0 and at most 1" : "a tolerance from 0 to below 1",
          .got = std::to_string(rule.value),
          .hint = "Choose it: there is no published value. 0.9 to 0.99 of the energy are reasonable"});
  }
  if (singular.empty() || singular.front() == 0.0) { return 0; }
  Index k = 0;
  if (!energy) {
    while (k < singular.size() && singular[k] > rule.value * singular.front()) { ++k; }
    return k;
  }
  // As shares of the largest: the squares of very small or very large numbers are no numbers.
  const auto energy_of = [&](double s) { return s / singular.front() * (s / singular.front()); };
  double total = 0, part = 0;
  for (const double s : singular) { total += energy_of(s); }
  while (k < singular.size() && part / total < rule.value) { part += energy_of(singular[k++]); }
  return k;
}

/// Orthonormal columns that span the leading singular spaces of one weight (m, n), with its singular values.
struct Subspaces {
  detail::EigenMatrix left;        ///< (m, k)
  detail::EigenMatrix right;       ///< (n, k)
  std::vector<double> singular{};  ///< all min(m, n) of them, falling
  Index rank() const { return static_cast<Index>(left.cols()); }
};

/// The leading spaces of a weight (m, n), PyTorch's layout, by a singular value decomposition in double. Costs
/// O(m n min(m, n)), seconds for a projection of ViT-B. A weight that is not finite is an error.
template <class T>
Subspaces leading_subspaces(Matrix<T> weight, RankRule rule) {
  for (Index i = 0; i < weight.size(); ++i) {
    if (!std::isfinite(weight.data[i])) {
      fail({.what = "leading_subspaces",
            .expected = "a weight of finite numbers",
            .got = std::to_string(weight.data[i]) + " at element " + std::to_string(i),
            .hint = ""});
    }
  }
  const detail::ThinSvd<> svd(detail::eigen_matrix(weight));
  const auto k = static_cast<Eigen::Index>(effective_rank(svd.singular, rule));
  return {.left = svd.u.leftCols(k), .right = svd.v.leftCols(k), .singular = svd.singular};
}

}  // namespace radapt
