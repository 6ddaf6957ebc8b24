#pragma once
/// The residual attention block of both towers (clip_compat.md 1.2), with the sites of adapter policies.
///   x += adapter(out_proj(attention(in_proj(ln_1(x)))));  x += adapter(c_proj(act(c_fc(ln_2(x)))))
#include "radapt/adapter/adapted_linear.hpp"
#include "radapt/adapter/beside.hpp"
#include "radapt/adapter/recomputed.hpp"
#include "radapt/adapter/site.hpp"
#include "radapt/clip/arch.hpp"
#include "radapt/layer/activated_linear.hpp"
#include "radapt/layer/attention.hpp"
#include "radapt/layer/layer_norm.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/on_pooled.hpp"
#include "radapt/layer/pooled_attention.hpp"
#include "radapt/layer/pooled_residual.hpp"
#include "radapt/layer/recompute.hpp"
#include "radapt/layer/repeat.hpp"
#include "radapt/layer/residual.hpp"
#include "radapt/layer/sequential.hpp"

namespace radapt {

namespace detail {

/// What the parts of a block are made of. Unlocked says whether its roles answer to role::unlocked.
template <class Policy, class Tower, bool Unlocked>
struct BlockKind {
  template <class Role>
  using role_of = role::in<std::conditional_t<Unlocked, role::in_unlocked_block<Role>, Role>, Tower>;
  template <class Place, Index In, Index Out>
  using linear = typename wrapped<Policy, site::Site<Place, Tower>, Linear<In, Out, role_of<role::backbone>>>::type;
  template <class Place, Index Width>
  using adapter = typename adapter_at<Policy, site::Site<Place, Tower>, Width>::type;
  template <class Place, Index Width>
  using beside = typename beside_at<Policy, site::Site<Place, Tower>, Width>::type;
  template <Index Width>
  using norm = LayerNorm<Width, role_of<role::norm>>;
};

}  // namespace detail

// Every part is a type of its own and not an alias, so that the compiler never has to spell a whole tower in a symbol.

/// attention(in_proj(x)): heads side by side, which out_proj mixes.
template <Index Width, Index Heads, bool Causal, class Kind>
struct AttentionHeads : Sequential<Named<"in_proj_", typename Kind::template linear<site::in_proj, Width, 3 * Width>>,
                                   SelfAttention<Width, Heads, Causal>> {};

namespace detail {
template <class First, Activation Act, class Last>
struct mlp {
  using type = Sequential<Named<"c_fc", First>, Activate<Act>, Named<"c_proj", Last>>;
};
template <Index In, Index Out, class Role, Activation Act, class Last>
struct mlp<Linear<In, Out, Role>, Act, Last> {
  using type = Sequential<Named<"c_fc", ActivatedLinear<Linear<In, Out, Role>, Act>>, Named<"c_proj", Last>>;
};
}  // namespace detail

/// c_proj(act(c_fc(x))).
template <Index Width, Index Hidden, Activation Act, class Kind>
struct Mlp : detail::mlp<typename Kind::template linear<site::c_fc, Width, Hidden>, Act,
                         typename Kind::template linear<site::c_proj, Hidden, Width>>::type {};

namespace detail {
/// out_proj and the adapter behind it. A full adapter and the linear layer in front of it are one layer; behind
/// mlp.c_proj they are two, since that is four times as deep: see AdaptedLinear.
template <Index Width, class OutProj, class Adapter>
struct behind_attention {
  using type = chain<Named<"attn", Sequential<Named<"out_proj", OutProj>>>, Named<"attn.adapter", Adapter>>;
};
template <Index Width, class Role, class AdapterRole, class Scale>
struct behind_attention<Width, Linear<Width, Width, Role>, FullAdapter<Width, AdapterRole, Scale>> {
  using type = Sequential<Named<"attn", AdaptedLinear<Named<"out_proj", Linear<Width, Width, Role>>,
                                                      Named<"adapter", FullAdapter<Width, AdapterRole, Scale>>>>>;
};
}  // namespace detail

/// adapter(out_proj(x)).
template <Index Width, class Kind>
struct BehindAttention : detail::behind_attention<Width, typename Kind::template linear<site::out_proj, Width, Width>,
                                                  typename Kind::template adapter<site::after_attention, Width>>::type {
};

/// adapter(out_proj(heads(ln_1(x)))).
template <Index Width, Index Heads, bool Causal, class Kind>
struct AttentionBranch
    : Sequential<Named<"ln_1", typename Kind::template norm<Width>>,
                 Named<"attn", AttentionHeads<Width, Heads, Causal, Kind>>, Named<"", BehindAttention<Width, Kind>>> {};

namespace detail {
template <class Main, class Branch>
struct with_branch {
  using type = Beside<Main, Named<"mlp.parallel_adapter", Branch>>;
};
template <class Main>
struct with_branch<Main, Identity> {
  using type = Main;
};
}  // namespace detail

/// adapter(mlp(ln_2(x))).
template <Index Width, Index Hidden, Activation Act, class Kind>
struct MlpWithAdapter
    : chain<Named<"ln_2", typename Kind::template norm<Width>>, Named<"mlp", Mlp<Width, Hidden, Act, Kind>>,
            Named<"mlp.adapter", typename Kind::template adapter<site::after_mlp, Width>>> {};

/// The same and a branch beside it, if the policy has one: adapter(mlp(ln_2(x))) + s branch(x).
template <Index Width, Index Hidden, Activation Act, class Kind>
struct MlpBranch : detail::with_branch<MlpWithAdapter<Width, Hidden, Act, Kind>,
                                       typename Kind::template beside<site::beside_mlp, Width>>::type {};

/// The two residual branches, x (tokens, Width) -> (tokens, Width).
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct ResidualAttentionBlock
    : Sequential<Residual<AttentionBranch<Width, Heads, Causal, Kind>>, Residual<MlpBranch<Width, Hidden, Act, Kind>>> {
};

namespace detail {
/// The heads of the last block: where in_proj is nothing but a linear layer, one token of each sequence has a query.
template <Index Width, Index Heads, bool Causal, class Kind, Pooling Pooled, class InProj>
struct pooled_heads {
  using type = AttentionHeads<Width, Heads, Causal, Kind>;
};
template <Index Width, Index Heads, bool Causal, class Kind, Pooling Pooled, class Role>
struct pooled_heads<Width, Heads, Causal, Kind, Pooled, Linear<Width, 3 * Width, Role>> {
  using type = PooledAttention<Width, Heads, Causal, Pooled, Role>;
};
}  // namespace detail

/// adapter(out_proj(heads(ln_1(x)))) of the rows that are pooled, x (tokens, Width) -> (sequences, Width).
template <Index Width, Index Heads, bool Causal, class Kind, Pooling Pooled>
struct PooledAttentionBranch
    : Sequential<Named<"ln_1", typename Kind::template norm<Width>>,
                 Named<"attn", typename detail::pooled_heads<
                                   Width, Heads, Causal, Kind, Pooled,
                                   typename Kind::template linear<site::in_proj, Width, 3 * Width>>::type>,
                 Named<"", OnPooled<Pooled, BehindAttention<Width, Kind>>>> {};

/// The last block of a tower, x (tokens, Width) -> (sequences, Width): what the other blocks compute, of the rows that
/// are pooled. Nobody reads the others, so that from queries on there is one row of each sequence. Its tensors are
/// those of the other blocks, in one type with them, which spares compilers a second walk through each tree.
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind, Pooling Pooled>
struct PooledAttentionBlock
    : Sequential<PooledResidual<Pooled, PooledAttentionBranch<Width, Heads, Causal, Kind, Pooled>>,
                 OnPooled<Pooled, Residual<MlpBranch<Width, Hidden, Act, Kind>>>> {
  template <template <class, class> class Slot>
  using Params = typename ResidualAttentionBlock<Width, Heads, Hidden, Act, Causal, Kind>::template Params<Slot>;
};

/// A block of which what the MLP branch computes is computed again in backward.
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct BlockOfRecomputedMlp : Sequential<Residual<AttentionBranch<Width, Heads, Causal, Kind>>,
                                         Residual<Recompute<MlpBranch<Width, Hidden, Act, Kind>>>> {};
/// A block of which everything is.
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct RecomputedBlock : Recompute<ResidualAttentionBlock<Width, Heads, Hidden, Act, Causal, Kind>> {};
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind, Pooling Pooled>
struct RecomputedPooledBlock : Recompute<PooledAttentionBlock<Width, Heads, Hidden, Act, Causal, Kind, Pooled>> {};

namespace detail {

/// The blocks that a policy asks for. The MLP of the last one runs on one row of each sequence: what it keeps is
/// little.
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind, class RecomputedPart>
struct block_types {
  using block = ResidualAttentionBlock<Width, Heads, Hidden, Act, Causal, Kind>;
  template <Pooling Pooled>
  using last = PooledAttentionBlock<Width, Heads, Hidden, Act, Causal, Kind, Pooled>;
};
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct block_types<Width, Heads, Hidden, Act, Causal, Kind, recompute::mlp>
    : block_types<Width, Heads, Hidden, Act, Causal, Kind, void> {
  using block = BlockOfRecomputedMlp<Width, Heads, Hidden, Act, Causal, Kind>;
};
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct block_types<Width, Heads, Hidden, Act, Causal, Kind, recompute::block> {
  using block = RecomputedBlock<Width, Heads, Hidden, Act, Causal, Kind>;
  template <Pooling Pooled>
  using last = RecomputedPooledBlock<Width, Heads, Hidden, Act, Causal, Kind, Pooled>;
};
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Policy, class Tower, bool Unlocked>
using blocks_for =
    block_types<Width, Heads, Hidden, Act, Causal, BlockKind<typename bare_policy<Policy>::type, Tower, Unlocked>,
                typename recomputed_part<Policy>::type>;

/// The blocks First to First + Count - 1: a Repeat, or nothing where there are none.
template <Index First, Index Count, class Block>
struct block_run {
  using type = Named<"transformer.resblocks", Repeat<Count, Block, First>>;
};
template <Index First, class Block>
struct block_run<First, 0, Block> {
  using type = Identity;
};

/// `Count` blocks, of which the last `Unlocked` have their own role; blocks keep their numbers. Locked and Open are
/// block_types.
template <Index Count, Index Unlocked, class Locked, class Open, Pooling Pooled>
struct block_chain {
  static_assert(Unlocked <= Count,
                "radapt: unlock_last names more blocks than a tower has; to fix: name at most as many as its layers.");
  // Of the blocks in front of the last one: those with the role of the last, and those in front of them.
  static constexpr Index open = Unlocked == 0 ? 0 : Unlocked - 1, locked = Count < 1 + open ? 0 : Count - 1 - open;
  using Last = typename std::conditional_t<Unlocked == 0, Locked, Open>::template last<Pooled>;
  static constexpr auto name_of_last = numbered<Count - 1>(fixed_string("transformer.resblocks"));
  using type = chain<typename block_run<0, locked, typename Locked::block>::type,
                     typename block_run<locked, open, typename Open::block>::type, Named<name_of_last, Last>>;
};
template <class Locked, class Open, Pooling Pooled>
struct block_chain<0, 0, Locked, Open, Pooled> {
  static_assert(never<Locked>, "radapt: a tower needs at least one block; to fix: set layers in the architecture.");
};

}  // namespace detail

/// All blocks of a tower, named transformer.resblocks.0, .1, ...; the last `Unlocked` answer to role::unlocked.
/// x (tokens, Width) -> what they put out in the rows that are pooled, (sequences, Width).
template <Index Width, Index Heads, Index Layers, Index Hidden, Activation Act, bool Causal, class Policy, class Tower,
          Pooling Pooled, Index Unlocked = 0>
struct TransformerBlocks
    : detail::block_chain<Layers, Unlocked, detail::blocks_for<Width, Heads, Hidden, Act, Causal, Policy, Tower, false>,
                          detail::blocks_for<Width, Heads, Hidden, Act, Causal, Policy, Tower, true>, Pooled>::type {};

}  // namespace radapt
