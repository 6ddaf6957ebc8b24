#pragma once
/// An adapter policy that also says which activations of a block are computed again in backward instead of kept.
#include "radapt/core/check.hpp"

namespace radapt {

namespace recompute {
struct mlp {};    ///< the MLP branch, from its norm to what is added to the stream
struct block {};  ///< the whole block: only its input is kept
}  // namespace recompute

/// Policy, and What of every block is computed again in backward (layer/recompute.hpp): the same bits in less memory
/// and more time. Tensors and their names are those of Policy, so weights are moved by copy_by_name.
///
///     Clip<arch::ViT_B_16, Recomputed<RAdapter<>>>     Clip<arch::ViT_B_16, Recomputed<NoAdapter, recompute::block>>
template <class Policy, class What = recompute::mlp>
struct Recomputed : Policy {};

namespace detail {

/// The policy that a Recomputed is around, or the policy itself: which adapters a model has.
template <class Policy>
struct bare_policy {
  using type = Policy;
};
template <class Policy, class What>
struct bare_policy<Recomputed<Policy, What>> : bare_policy<Policy> {};

/// What a policy recomputes: recompute::mlp, recompute::block, or void.
template <class Policy>
struct recomputed_part {
  using type = void;
};
template <class Policy, class What>
struct recomputed_part<Recomputed<Policy, What>> {
  using type = What;
  static constexpr bool this_part_of_a_block_can_be_computed_again =
      std::is_same_v<What, recompute::mlp> || std::is_same_v<What, recompute::block>;
  static_assert(this_part_of_a_block_can_be_computed_again,
                "radapt: this is no part of a block that can be computed again; to fix: write Recomputed<policy, "
                "recompute::mlp> or Recomputed<policy, recompute::block>, and with_recompute likewise.");
};

}  // namespace detail
}  // namespace radapt
