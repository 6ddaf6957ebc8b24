#pragma once
/// ProLoRA (methods.md 5): an update of a source weight becomes one of a target weight without training. The part in
/// the source's leading singular spaces goes to the target's leading spaces, the part in their complements to the
/// complements.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "radapt/adapter/space_algebra.hpp"
#include "radapt/adapter/subspace.hpp"

namespace radapt {

/// An update of low rank: dW = B A. A LoRA's factors with the scale multiplied into one of them.
struct LowRankUpdate {
  detail::EigenMatrix B;  ///< (m, r)
  detail::EigenMatrix A;  ///< (r, n)
  Index rank() const { return static_cast<Index>(B.cols()); }
};

struct TransferOptions {
  /// Also moves what is in the leading space on one side and in the complement on the other, which the published method
  /// drops. With it, the transfer of a weight to itself is the identity.
  bool keep_cross = false;
};

/// Shares of |dW|^2, together 1; all 0 for an update of zeros. Without cross terms a transfer loses the last one.
struct UpdateEnergy {
  double parallel = 0;       ///< |P_U dW P_V|^2
  double perpendicular = 0;  ///< |Q_U dW Q_V|^2 with Q = 1 - P
  double cross = 0;          ///< |P_U dW Q_V|^2 + |Q_U dW P_V|^2
  double retained() const { return parallel + perpendicular; }
};

namespace detail {

inline void check_update(const std::string& what, Eigen::Index rows, Eigen::Index columns, const Subspaces& spaces) {
  if (rows != spaces.left.rows() || columns != spaces.right.rows()) {
    fail(
        {.what = what,
         .expected = "an update of the extents of the weight, " + extents_text(spaces.left.rows(), spaces.right.rows()),
         .got = extents_text(rows, columns),
         .hint = "Only weights of one shape have spaces in common; see experimental::transfer_between_shapes"});
  }
}
inline void check_factors(const std::string& what, const LowRankUpdate& update) {
  if (update.B.cols() != update.A.rows() || update.B.cols() == 0) {
    fail({.what = what,
          .expected = "factors B (m, r) and A (r, n) with r of at least 1",
          .got =
              extents_text(update.B.rows(), update.B.cols()) + " and " + extents_text(update.A.rows(), update.A.cols()),
          .hint = ""});
  }
}

}  // namespace detail

namespace detail {
/// B = U sqrt(S) and A = sqrt(S) V^T.
template <class S>
LowRankUpdate balanced_factors(typename ThinSvd<S>::Plain u, typename ThinSvd<S>::Plain v,
                               const std::vector<S>& singular) {
  for (Eigen::Index i = 0; i < u.cols(); ++i) {
    const S root = std::sqrt(singular[static_cast<Index>(i)]);
    u.col(i) *= root;
    v.col(i) *= root;
  }
  return {.B = u, .A = v.transpose()};
}
}  // namespace detail

/// B A as one matrix (m, n).
template <class S = double>
detail::EigenMatrix dense(const LowRankUpdate& update) {
  return detail::SpaceAlgebra<S>::product(update.B, update.A);
}

/// P_U dW P_V: the part of an update inside the leading spaces on both sides. It is all that LoRA-X keeps.
template <class S = double>
detail::EigenMatrix parallel_part(const detail::EigenMatrix& update, const Subspaces& spaces) {
  using Algebra = detail::SpaceAlgebra<S>;
  detail::check_update("parallel_part", update.rows(), update.cols(), spaces);
  const auto left = Algebra::inside(spaces.left, update);
  return Algebra::transposed(Algebra::inside(spaces.right, Algebra::transposed(left)));
}
/// (1 - P_U) dW (1 - P_V): the part outside on both sides.
template <class S = double>
detail::EigenMatrix perpendicular_part(const detail::EigenMatrix& update, const Subspaces& spaces) {
  using Algebra = detail::SpaceAlgebra<S>;
  detail::check_update("perpendicular_part", update.rows(), update.cols(), spaces);
  const auto left = Algebra::outside(spaces.left, update);
  return Algebra::transposed(Algebra::outside(spaces.right, Algebra::transposed(left)));
}

/// How the energy of an update lies in the spaces of its weight; never forms the update.
template <class S = double>
UpdateEnergy update_energy(const LowRankUpdate& update, const Subspaces& spaces) {
  using Algebra = detail::SpaceAlgebra<S>;
  detail::check_factors("update_energy", update);
  detail::check_update("update_energy", update.B.rows(), update.A.cols(), spaces);
  const auto At = Algebra::transposed(update.A);
  const auto B1 = Algebra::inside(spaces.left, update.B), B2 = Algebra::outside(spaces.left, update.B);
  const auto A1 = Algebra::transposed(Algebra::inside(spaces.right, At));
  const auto A2 = Algebra::transposed(Algebra::outside(spaces.right, At));
  const double total = Algebra::product_energy(update.B, update.A);
  if (!(total > 0.0)) { return {}; }
  return {.parallel = Algebra::product_energy(B1, A1) / total,
          .perpendicular = Algebra::product_energy(B2, A2) / total,
          .cross = (Algebra::product_energy(B1, A2) + Algebra::product_energy(B2, A1)) / total};
}

/// The same for an update of any rank, given as a matrix (m, n).
template <class S = double>
UpdateEnergy update_energy(const detail::EigenMatrix& update, const Subspaces& spaces) {
  using Algebra = detail::SpaceAlgebra<S>;
  detail::check_update("update_energy", update.rows(), update.cols(), spaces);
  const double total = update.squaredNorm();
  if (!(total > 0.0)) { return {}; }
  const auto in = Algebra::transposed(Algebra::inside(spaces.left, update));
  const auto out = Algebra::transposed(Algebra::outside(spaces.left, update));
  return {
      .parallel = Algebra::inside(spaces.right, in).squaredNorm() / total,
      .perpendicular = Algebra::outside(spaces.right, out).squaredNorm() / total,
      .cross = (Algebra::outside(spaces.right, in).squaredNorm() + Algebra::inside(spaces.right, out).squaredNorm()) /
               total};
}

/// The update of the target weight, as factors: dW is never formed. Without cross terms their rank is twice that of the
/// update (see recompress), with them it is the same. Source and target have one shape; errors name the extents.
template <class S = double>
LowRankUpdate transfer(const LowRankUpdate& update, const Subspaces& source, const Subspaces& target,
                       TransferOptions options = {}) {
  using Algebra = detail::SpaceAlgebra<S>;
  detail::check_factors("transfer", update);
  detail::check_update("transfer from the source", update.B.rows(), update.A.cols(), source);
  detail::check_update("transfer to the target", update.B.rows(), update.A.cols(), target);
  const auto At = Algebra::transposed(update.A);
  if (options.keep_cross) {
    // (P P + Q Q) dW (P P + Q Q) holds all four terms, so the cross terms cost no rank.
    return {.B = Algebra::both(source.left, target.left, update.B),
            .A = Algebra::transposed(Algebra::both(source.right, target.right, At))};
  }
  const Eigen::Index r = update.B.cols();
  typename Algebra::Dense B(update.B.rows(), 2 * r), A(2 * r, update.A.cols());
  B.leftCols(r) = Algebra::parallel(source.left, target.left, update.B);
  B.rightCols(r) = Algebra::perpendicular(source.left, target.left, update.B);
  A.topRows(r) = Algebra::transposed(Algebra::parallel(source.right, target.right, At));
  A.bottomRows(r) = Algebra::transposed(Algebra::perpendicular(source.right, target.right, At));
  return {.B = B, .A = A};
}

/// The same for an update of any rank, given as a matrix (m, n).
template <class S = double>
detail::EigenMatrix transfer(const detail::EigenMatrix& update, const Subspaces& source, const Subspaces& target,
                             TransferOptions options = {}) {
  using Algebra = detail::SpaceAlgebra<S>;
  detail::check_update("transfer from the source", update.rows(), update.cols(), source);
  detail::check_update("transfer to the target", update.rows(), update.cols(), target);
  const auto t = Algebra::transposed(update);
  const auto on_both_sides = [&](const auto& map) {
    return map(source.left, target.left, Algebra::transposed(map(source.right, target.right, t)));
  };
  if (options.keep_cross) { return on_both_sides(Algebra::both); }
  typename Algebra::Dense sum = on_both_sides(Algebra::parallel);
  sum += on_both_sides(Algebra::perpendicular);
  return sum;
}

/// Spaces for a map of a layer's output to itself, such as the F of an R-Adapter: both sides are the weight's left
/// ones.
template <class S = double>
Subspaces output_spaces(const Subspaces& of_weight) {
  return {.left = of_weight.left, .right = of_weight.left, .singular = of_weight.singular};
}

/// The nearest update of at most that rank in the Frobenius norm, as factors of equal length. Exact, up to rounding,
/// where the rank of the update is no larger.
template <class S = double>
LowRankUpdate recompress(const LowRankUpdate& update, Index rank) {
  using Svd = detail::ThinSvd<S>;
  using Plain = typename Svd::Plain;
  detail::check_factors("recompress", update);
  if (rank == 0) { fail({.what = "recompress", .expected = "a rank of at least 1", .got = "0", .hint = ""}); }
  // B = U1 S1 V1^T and A = U2 S2 V2^T; what is left is the decomposition of the small core S1 V1^T U2 S2.
  const Svd b{Plain(update.B)}, a{Plain(update.A)};
  Plain core = b.v.transpose() * a.u;
  for (Eigen::Index i = 0; i < core.rows(); ++i) { core.row(i) *= b.singular[static_cast<Index>(i)]; }
  for (Eigen::Index i = 0; i < core.cols(); ++i) { core.col(i) *= a.singular[static_cast<Index>(i)]; }
  const Svd middle(core);
  const auto k = static_cast<Eigen::Index>(std::min<Index>(rank, middle.singular.size()));
  return detail::balanced_factors<S>(b.u * middle.u.leftCols(k), a.v * middle.v.leftCols(k), middle.singular);
}

/// The same for an update given as a matrix (m, n).
template <class S = double>
LowRankUpdate recompress(const detail::EigenMatrix& update, Index rank) {
  if (rank == 0) { fail({.what = "recompress", .expected = "a rank of at least 1", .got = "0", .hint = ""}); }
  using Plain = typename detail::ThinSvd<S>::Plain;
  const detail::ThinSvd<S> svd{Plain(update)};
  const auto k = static_cast<Eigen::Index>(std::min<Index>(rank, svd.singular.size()));
  return detail::balanced_factors<S>(svd.u.leftCols(k), svd.v.leftCols(k), svd.singular);
}

namespace experimental {

/// EXPERIMENTAL. Transfers between weights of different shapes: U_t (U_s^T dW V_s) V_t^T with the leading k columns, k
/// the smaller rank. Coordinates in the source's singular frame are read in the target's, as in Cross-LoRA; the order
/// of singular values and the joint sign of each pair matter, and are fixed by leading_subspaces. What lies outside the
/// leading spaces is lost: it has no counterpart. No result on CLIP is published.
template <class S = double>
LowRankUpdate transfer_between_shapes(const LowRankUpdate& update, const Subspaces& source, const Subspaces& target) {
  using Algebra = detail::SpaceAlgebra<S>;
  using Dense = typename Algebra::Dense;
  detail::check_factors("transfer_between_shapes", update);
  detail::check_update("transfer_between_shapes from the source", update.B.rows(), update.A.cols(), source);
  const Eigen::Index k = std::min(source.left.cols(), target.left.cols());
  const auto leading = [&](const Dense& basis) { return Dense(basis.leftCols(k)); };
  return {.B = Algebra::product(leading(target.left), Algebra::transposed_product(leading(source.left), update.B)),
          .A = Algebra::product(Algebra::product(update.A, leading(source.right)),
                                Algebra::transposed(leading(target.right)))};
}

}  // namespace experimental
}  // namespace radapt
