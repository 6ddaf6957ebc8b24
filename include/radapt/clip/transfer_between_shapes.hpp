#pragma once
/// EXPERIMENTAL: adapters from a CLIP into one of other widths (methods.md 5.4).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "radapt/clip/transfer.hpp"

namespace radapt::experimental {

/// Options of transfer_adapters_between_shapes.
struct ShapeTransferOptions {
  RankRule rank{};        ///< must be set, such as RankRule::energy(0.95): no value is published
  Index update_rank = 0;  ///< updates of full rank are cut to this rank first; 0: their weight's smaller extent
  ProgressOptions progress{};
};

/// What became of one module.
struct ShapeTransfer {
  std::string host;       ///< name in both models; with q, k or v behind it for rows of in_proj
  Index source_rank = 0;  ///< effective rank of the source weight
  Index target_rank = 0;  ///< effective rank of the target weight; the smaller of the two is what is moved
  double update_norm = 0;
  double retained = 0;  ///< share of |dW|^2 that the moved coordinates hold; 1 for an update of zero
};

/// What transfer_adapters_between_shapes returns.
template <class W>
struct AdapterShapeTransfer {
  W weights;                             ///< the target with the transferred updates added
  std::vector<ShapeTransfer> modules{};  ///< in the order of the adapters
};

namespace detail {

using radapt::detail::EigenMatrix;

/// U_t U_s^T x of leading columns: coordinates in one frame read in the other. A template for the reason that
/// SpaceAlgebra is one.
template <class S = double>
EigenMatrix between_frames(const EigenMatrix& source, const EigenMatrix& target, const EigenMatrix& x) {
  using Algebra = radapt::detail::SpaceAlgebra<S>;
  const Eigen::Index k = std::min(source.cols(), target.cols());
  return Algebra::product(EigenMatrix(target.leftCols(k)),
                          Algebra::transposed_product(EigenMatrix(source.leftCols(k)), x));
}

}  // namespace detail

/// EXPERIMENTAL. Moves what the adapters of `adapted` do to their hosts into a plain Clip whose towers have other
/// widths: dW_t = U_t (U_s^T dW V_s) V_t^T by module, with the leading k columns of both frames, k the smaller
/// effective rank; the bias follows by U_t U_s^T.
///
/// Modules are paired by name, so the towers must have as many layers; similarity says nothing between spaces of
/// different widths. The order of singular values and the sign of each pair decide what a coordinate means: two models
/// that were not made from each other have no common frame, and nothing is promised for them. What lies outside the
/// leading spaces is lost. Where all of W is leading (RankRule::energy(1)), a transfer to the adapters' own base is
/// their merge, up to rounding. alpha 0 gives the target bit for bit. No result on CLIP is published.
template <class Arch, class Policy, class Unlock, class TargetArch, class TargetUnlock, class T,
          class Spaces = const compute_subspaces>
AdapterShapeTransfer<Weights<Clip<TargetArch, NoAdapter, TargetUnlock>, T>> transfer_adapters_between_shapes(
    double alpha, const Weights<Clip<Arch, Policy, Unlock>, T>& adapted,
    const Weights<Clip<TargetArch, NoAdapter, TargetUnlock>, T>& target, const ShapeTransferOptions& options,
    Spaces&& spaces_of = {}) {
  using Why = typename radapt::detail::merge_reason<Policy, Arch>::type;
  [[maybe_unused]] const check_merge<Why> checked{};
  AdapterShapeTransfer<Weights<Clip<TargetArch, NoAdapter, TargetUnlock>, T>> out{.weights = target};
  if constexpr (Why::ok) {
    const std::string what = "transfer_adapters_between_shapes";
    if (!std::isfinite(alpha)) {
      fail({.what = what + ": alpha",
            .expected = "a finite number",
            .got = std::to_string(alpha),
            .hint = "alpha weights the fine-tuned side"});
    }
    const auto updates = radapt::detail::host_updates(alpha, adapted);
    const auto source = radapt::detail::leaves_by_name(adapted.tensors());
    const auto leaves = radapt::detail::leaves_by_name(out.weights.tensors());
    for (const auto& update : updates) {
      if (leaves.count(radapt::detail::weight_of(update.rows.host)) == 0) {
        fail({.what = what + ": '" + update.rows.host + "'",
              .expected = "a module of this name in the target",
              .got = "none",
              .hint = "Towers must have as many layers: spaces of different widths cannot be compared"});
      }
    }
    Progress progress("transfer", updates.size(), options.progress);
    for (const auto& update : updates) {
      const radapt::detail::HostRows& rows = update.rows;
      const std::string weight = radapt::detail::weight_of(rows.host);
      const Matrix<T> to = rows.of(leaves.at(weight)), to_bias = rows.of_bias(leaves.at(join(rows.host, "bias")));
      const Subspaces from = spaces_of(rows.of(source.at(weight)), options.rank);
      const Subspaces into = spaces_of(Matrix<const T>(to), options.rank);
      const radapt::detail::HostUpdate change = update.compute();
      LowRankUpdate factors = change.factors;
      if (!change.is_factored()) {
        const auto most = static_cast<Index>(std::min(change.matrix.rows(), change.matrix.cols()));
        factors = recompress(change.matrix, options.update_rank > 0 ? options.update_rank : most);
      }
      const double energy = radapt::detail::SpaceAlgebra<double>::product_energy(factors.B, factors.A);
      const LowRankUpdate moved = transfer_between_shapes(factors, from, into);
      const double kept = radapt::detail::SpaceAlgebra<double>::product_energy(moved.B, moved.A);
      if (alpha != 0.0) {
        radapt::detail::add_to(to, dense(moved));
        radapt::detail::add_to(to_bias, detail::between_frames(from.left, into.left, change.bias));
      }
      out.modules.push_back({.host = rows.name,
                             .source_rank = from.rank(),
                             .target_rank = into.rank(),
                             .update_norm = std::sqrt(energy),
                             .retained = energy > 0 ? kept / energy : 1.0});
      progress.advance(1, rows.name);
    }
  }
  return out;
}

/// One line for each module: effective ranks, and the share of the update's energy that was moved.
inline std::string describe(const std::vector<ShapeTransfer>& modules) {
  std::size_t longest = 6;
  for (const ShapeTransfer& m : modules) { longest = std::max(longest, m.host.size()); }
  const auto padded_name = [&](std::string name) { return name.append(longest - name.size(), ' '); };
  std::string text = padded_name("module") + "  ranks      retained\n";
  char cells[64];
  for (const ShapeTransfer& m : modules) {
    std::snprintf(cells, sizeof cells, "  %4zu %4zu  %.3f\n", m.source_rank, m.target_rank, m.retained);
    text += padded_name(m.host) + cells;
  }
  return text;
}

}  // namespace radapt::experimental
