#pragma once
/// ProLoRA from CLIP to CLIP: what R-Adapters learned on one pre-trained model is moved into another one, without data
/// (methods.md 5.5).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "radapt/adapter/matching.hpp"
#include "radapt/adapter/transfer.hpp"
#include "radapt/clip/host_updates.hpp"
#include "radapt/clip/merge.hpp"
#include "radapt/train/progress.hpp"

namespace radapt {

/// Options of transfer_adapters.
struct AdapterTransferOptions {
  RankRule rank{};                   ///< must be set, such as RankRule::energy(0.95): no value is published
  bool keep_cross = false;           ///< see TransferOptions
  bool match_by_similarity = false;  ///< pairs modules by their spaces; otherwise by name
  double threshold = 0.8;            ///< least similarity of a pair, where modules are matched by it
  Index update_rank = 0;             ///< each transferred update is cut to this rank; 0 leaves it as it is
  bool keep_factors = false;         ///< also returns the updates as factors
  ProgressOptions progress{};
};

/// What became of one module of the target.
struct ModuleTransfer {
  ModuleMatch match;       ///< accepted: the update was added
  Index source_rank = 0;   ///< effective rank of the source weight
  Index target_rank = 0;   ///< effective rank of the target weight
  double update_norm = 0;  ///< |dW| in the source
  UpdateEnergy energy{};   ///< how dW lies in the source's spaces
};

/// What transfer_adapters returns.
template <class W>
struct AdapterTransfer {
  W weights;                                       ///< the target with the transferred updates added
  std::vector<ModuleTransfer> modules{};           ///< in the order of the target's names
  std::map<std::string, LowRankUpdate> factors{};  ///< by the target's tensor, where they were asked for
};

namespace detail {

/// The name without its numbers: modules of one tower and kind share it.
inline std::string module_group(const std::string& name) {
  std::string group;
  for (const char c : name) {
    if (c < '0' || c > '9') { group += c; }
  }
  return group;
}

/// W += transferred update and b += transferred bias; returns the factors if they are wanted.
template <class T>
LowRankUpdate add_transferred(const HostUpdate& update, const Subspaces& source, const Subspaces& target,
                              const AdapterTransferOptions& options, Matrix<T> weight, Matrix<T> bias) {
  using Algebra = SpaceAlgebra<double>;
  const TransferOptions how{.keep_cross = options.keep_cross};
  LowRankUpdate factors;
  EigenMatrix moved;
  if (update.is_factored()) {
    factors = transfer(update.factors, source, target, how);
    if (options.update_rank > 0) { factors = recompress(factors, options.update_rank); }
    moved = dense(factors);
  } else {
    moved = transfer(update.matrix, source, target, how);
    const Index most = static_cast<Index>(std::min(moved.rows(), moved.cols()));
    if (options.update_rank > 0 || options.keep_factors) {
      factors = recompress(moved, options.update_rank > 0 ? options.update_rank : most);
    }
    if (options.update_rank > 0) { moved = dense(factors); }
  }
  const EigenMatrix moved_bias = Algebra::both(source.left, target.left, update.bias);
  add_to(weight, moved);
  add_to(bias, moved_bias);
  return factors;
}

/// The tensors of a model by name.
template <class T>
using Leaves = std::map<std::string, Matrix<T>>;

template <class T>
Leaves<T> leaves_by_name(const std::vector<Tensor<T>>& tensors) {
  Leaves<T> leaves;
  for (const Tensor<T>& tensor : tensors) { leaves.emplace(tensor.name(), tensor.matrix()); }
  return leaves;
}

/// Hosts of the target that a module of the source may stand for: those of its names, or all of its kinds.
template <class T>
std::vector<HostRows> target_hosts(const std::vector<LazyUpdate>& updates, const Leaves<const T>& source,
                                   const Leaves<const T>& target, bool by_similarity) {
  std::vector<HostRows> hosts;
  if (by_similarity) {
    std::vector<std::string> groups;
    for (const auto& update : updates) { groups.push_back(module_group(weight_of(update.rows.host))); }
    for (const auto& [name, leaf] : target) {
      if (std::find(groups.begin(), groups.end(), module_group(name)) == groups.end()) { continue; }
      for (HostRows& rows : rows_of(host_of_weight(name))) { hosts.push_back(std::move(rows)); }
    }
    return hosts;
  }
  const auto extents = [](const Matrix<const T>& m) {
    return extents_text(Eigen::Index(m.rows), Eigen::Index(m.columns));
  };
  for (const auto& update : updates) {
    const Matrix<const T> own = source.at(weight_of(update.rows.host));
    const auto found = target.find(weight_of(update.rows.host));
    const std::string got = found == target.end() ? "none" : extents(found->second);
    if (got != extents(own)) {
      fail({.what = "transfer_adapters: '" + update.rows.host + "'",
            .expected = "a module of this name and of extents " + extents(own) + " in the target",
            .got = got,
            .hint = "Set match_by_similarity where the numbers of layers differ; widths must be equal"});
    }
    hosts.push_back(update.rows);
  }
  return hosts;
}

/// Everything that transfer_adapters does once models are tables of tensors: compiled once for all of them.
template <class T, class Spaces>
class UpdateMover {
 public:
  UpdateMover(std::vector<LazyUpdate> updates, Leaves<const T> source, Leaves<const T> target, Leaves<T> out, bool adds,
              const AdapterTransferOptions& options, Spaces& spaces_of)
      : updates_(std::move(updates)),
        source_(std::move(source)),
        target_(std::move(target)),
        out_(std::move(out)),
        adds_(adds),
        options_(options),
        spaces_of_(spaces_of) {}

  std::vector<ModuleTransfer> modules{};
  std::map<std::string, LowRankUpdate> factors{};

  void run() {
    const auto hosts = target_hosts(updates_, source_, target_, options_.match_by_similarity);
    Progress progress("transfer", updates_.size() + hosts.size(), options_.progress);
    if (!options_.match_by_similarity) {
      for (const HostRows& host : hosts) {  // one pair at a time: spaces are as large as the weights
        const ModuleSpaces from = module(source_, host, progress), to = module(target_, host, progress);
        move({.target = host.name,
              .source = host.name,
              .left = subspace_similarity(from.spaces.left, to.spaces.left),
              .right = subspace_similarity(from.spaces.right, to.spaces.right),
              .accepted = true},
             &from, to, host);
      }
      return;
    }
    std::vector<ModuleSpaces> from, to;
    for (const auto& update : updates_) { from.push_back(module(source_, update.rows, progress)); }
    for (const HostRows& host : hosts) { to.push_back(module(target_, host, progress)); }
    progress.finish();
    const auto matches = match_modules(from, to, options_.threshold, options_.progress);
    for (Index i = 0; i < to.size(); ++i) {
      const auto best =
          std::find_if(from.begin(), from.end(), [&](const auto& m) { return m.name == matches[i].source; });
      move(matches[i], best == from.end() ? nullptr : &*best, to[i], hosts[i]);
    }
  }

 private:
  ModuleSpaces module(const Leaves<const T>& leaves, const HostRows& host, Progress& progress) {
    ModuleSpaces found{.name = host.name,
                       .group = module_group(host.name),
                       .spaces = spaces_of_(host.of(leaves.at(weight_of(host.host))), options_.rank)};
    progress.advance(1, host.name);
    return found;
  }

  void move(const ModuleMatch& match, const ModuleSpaces* from, const ModuleSpaces& to, const HostRows& host) {
    ModuleTransfer done{.match = match, .target_rank = to.spaces.rank()};
    if (match.accepted && from != nullptr) {
      const HostUpdate update = std::find_if(updates_.begin(), updates_.end(), [&](const auto& u) {
                                  return u.rows.name == from->name;
                                })->compute();
      done.source_rank = from->spaces.rank();
      done.energy = update.is_factored() ? update_energy(update.factors, from->spaces)
                                         : update_energy(update.matrix, from->spaces);
      done.update_norm =
          std::sqrt(update.is_factored() ? SpaceAlgebra<double>::product_energy(update.factors.B, update.factors.A)
                                         : update.matrix.squaredNorm());
      if (adds_) {
        auto added =
            add_transferred<T>(update, from->spaces, to.spaces, options_, host.of(out_.at(weight_of(host.host))),
                               host.of_bias(out_.at(join(host.host, "bias"))));
        if (options_.keep_factors) { keep(host, std::move(added)); }
      }
    }
    modules.push_back(std::move(done));
  }
  /// Those of q, k and v are one update of the tensor that holds them.
  void keep(const HostRows& host, LowRankUpdate added) {
    LowRankUpdate& all = factors[weight_of(host.host)];
    if (host.parts == 1) {
      all = std::move(added);
      return;
    }
    const Eigen::Index rows = added.B.rows(), rank = added.B.cols(), before = all.B.cols();
    LowRankUpdate sum{.B = EigenMatrix::Zero(rows * static_cast<Eigen::Index>(host.parts), before + rank),
                      .A = EigenMatrix(before + rank, added.A.cols())};
    if (before > 0) {
      sum.B.leftCols(before) = all.B;
      sum.A.topRows(before) = all.A;
    }
    sum.B.block(static_cast<Eigen::Index>(host.part) * rows, before, rows, rank) = added.B;
    sum.A.bottomRows(rank) = added.A;
    all = std::move(sum);
  }

  std::vector<LazyUpdate> updates_;
  Leaves<const T> source_, target_;
  Leaves<T> out_;
  bool adds_;
  const AdapterTransferOptions& options_;
  Spaces& spaces_of_;
};

}  // namespace detail

/// How transfer_adapters gets the leading spaces of a weight. SubspaceCache of radapt/io/subspace_cache.hpp keeps them
/// in a file.
struct compute_subspaces {
  template <class T>
  Subspaces operator()(Matrix<T> weight, RankRule rule) const {
    return leading_subspaces(weight, rule);
  }
};

/// Moves what the adapters of `adapted` do to their hosts, dW = alpha s F W on attn.out_proj and mlp.c_proj of both
/// towers, or dW = alpha s B A of a LoRA, into another plain Clip. q, k and v are modules of their own, in whatever
/// tensor they lie; adapters of one host are moved together.
///
/// Modules are paired by name, or by the similarity of their spaces where the numbers of layers differ. Paired weights
/// must have one shape; widths that differ are refused. The bias follows in the output space alone, db = alpha s F b
/// by leading spaces and complements of W (not published: an adapter folded into a layer moves its bias, a LoRA does
/// not). alpha weights the fine-tuned side and must be chosen; 0 gives the target bit for bit. With keep_cross a
/// transfer to the adapters' own base is their merge, up to rounding.
///
/// Two singular value decompositions per module: minutes for ViT-B, with progress. A head built from the text tower
/// must be built again. All CLIP results of this method are your own: none is published.
template <class Arch, class Policy, class Unlock, class TargetArch, class TargetUnlock, class T,
          class Spaces = const compute_subspaces>
AdapterTransfer<Weights<Clip<TargetArch, NoAdapter, TargetUnlock>, T>> transfer_adapters(
    double alpha, const Weights<Clip<Arch, Policy, Unlock>, T>& adapted,
    const Weights<Clip<TargetArch, NoAdapter, TargetUnlock>, T>& target, const AdapterTransferOptions& options,
    Spaces&& spaces_of = {}) {
  using Why = typename detail::merge_reason<Policy, Arch>::type;
  [[maybe_unused]] const check_merge<Why> checked{};
  AdapterTransfer<Weights<Clip<TargetArch, NoAdapter, TargetUnlock>, T>> out{.weights = target};
  if constexpr (Why::ok) {
    if (!std::isfinite(alpha)) {
      fail({.what = "transfer_adapters: alpha",
            .expected = "a finite number",
            .got = std::to_string(alpha),
            .hint = "alpha weights the fine-tuned side"});
    }
    auto updates = detail::host_updates(alpha, adapted);
    if (updates.empty()) {
      fail({.what = "transfer_adapters",
            .expected = "at least one adapter",
            .got = "none",
            .hint = "The policy puts no layer after an attention or an MLP of this architecture"});
    }
    detail::UpdateMover<T, std::remove_reference_t<Spaces>> mover(
        std::move(updates), detail::leaves_by_name(adapted.tensors()), detail::leaves_by_name(target.tensors()),
        detail::leaves_by_name(out.weights.tensors()), alpha != 0.0, options, spaces_of);
    mover.run();
    out.modules = std::move(mover.modules);
    out.factors = std::move(mover.factors);
  }
  return out;
}

/// One line for each module: the pair, similarities, effective ranks, and the share of the update's energy in the
/// parallel and the perpendicular part. The last line is that share over all updates together.
inline std::string describe(const std::vector<ModuleTransfer>& modules) {
  std::vector<ModuleMatch> matches;
  for (const ModuleTransfer& m : modules) { matches.push_back(m.match); }
  std::vector<std::string> lines = detail::match_lines(matches);
  lines[0] += "  ranks      retained";
  double kept = 0, total = 0;
  char text[80];
  for (Index i = 0; i < modules.size(); ++i) {
    const ModuleTransfer& m = modules[i];
    std::snprintf(text, sizeof text, "   %4zu %4zu  %.3f", m.source_rank, m.target_rank, m.energy.retained());
    lines[i + 1] += text;
    kept += m.energy.retained() * m.update_norm * m.update_norm;
    total += m.update_norm * m.update_norm;
  }
  std::snprintf(text, sizeof text, "%.1f %% of the energy is parallel or perpendicular",
                total > 0 ? 100 * kept / total : 0.0);
  lines.push_back(text);
  return detail::joined_lines(lines);
}

}  // namespace radapt
