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

/// out_proj(attention(in_proj(x))).
template <Index Width, Index Heads, bool Causal, class Kind>
struct MultiheadAttention
    : Sequential<Named<"in_proj_", typename Kind::template linear<site::in_proj, Width, 3 * Width>>,
                 SelfAttention<Width, Heads, Causal>,
                 Named<"out_proj", typename Kind::template linear<site::out_proj, Width, Width>>> {};

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

/// attention(in_proj(x)): the same but for out_proj, where that is one layer with the adapter behind it.
template <Index Width, Index Heads, bool Causal, class Kind>
struct AttentionHeads : Sequential<Named<"in_proj_", typename Kind::template linear<site::in_proj, Width, 3 * Width>>,
                                   SelfAttention<Width, Heads, Causal>> {};

/// c_proj(act(c_fc(x))).
template <Index Width, Index Hidden, Activation Act, class Kind>
struct Mlp : detail::mlp<typename Kind::template linear<site::c_fc, Width, Hidden>, Act,
                         typename Kind::template linear<site::c_proj, Hidden, Width>>::type {};

namespace detail {
/// ln_1, attn and the adapter behind it. A full adapter and the linear layer in front of it are one layer; behind
/// mlp.c_proj they are two, since that is four times as deep: see AdaptedLinear.
template <Index Width, Index Heads, bool Causal, class Kind, class OutProj, class Adapter>
struct attention_branch {
  using type = chain<Named<"ln_1", typename Kind::template norm<Width>>,
                     Named<"attn", MultiheadAttention<Width, Heads, Causal, Kind>>, Named<"attn.adapter", Adapter>>;
};
template <Index Width, Index Heads, bool Causal, class Kind, class Role, class AdapterRole, class Scale>
struct attention_branch<Width, Heads, Causal, Kind, Linear<Width, Width, Role>,
                        FullAdapter<Width, AdapterRole, Scale>> {
  using type = Sequential<Named<"ln_1", typename Kind::template norm<Width>>,
                          Named<"attn", AttentionHeads<Width, Heads, Causal, Kind>>,
                          Named<"attn", AdaptedLinear<Named<"out_proj", Linear<Width, Width, Role>>,
                                                      Named<"adapter", FullAdapter<Width, AdapterRole, Scale>>>>>;
};
}  // namespace detail

/// adapter(attn(ln_1(x))).
template <Index Width, Index Heads, bool Causal, class Kind>
struct AttentionBranch
    : detail::attention_branch<Width, Heads, Causal, Kind, typename Kind::template linear<site::out_proj, Width, Width>,
                               typename Kind::template adapter<site::after_attention, Width>>::type {};

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

/// The same, and what the MLP branch computes is computed again in backward.
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct BlockOfRecomputedMlp : Sequential<Residual<AttentionBranch<Width, Heads, Causal, Kind>>,
                                         Residual<Recompute<MlpBranch<Width, Hidden, Act, Kind>>>> {};
/// The same, and everything in the block is computed again in backward.
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct RecomputedBlock : Recompute<ResidualAttentionBlock<Width, Heads, Hidden, Act, Causal, Kind>> {};

namespace detail {

/// The block that a policy asks for.
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind, class RecomputedPart>
struct block_type {
  using type = ResidualAttentionBlock<Width, Heads, Hidden, Act, Causal, Kind>;
};
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct block_type<Width, Heads, Hidden, Act, Causal, Kind, recompute::mlp> {
  using type = BlockOfRecomputedMlp<Width, Heads, Hidden, Act, Causal, Kind>;
};
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Kind>
struct block_type<Width, Heads, Hidden, Act, Causal, Kind, recompute::block> {
  using type = RecomputedBlock<Width, Heads, Hidden, Act, Causal, Kind>;
};
template <Index Width, Index Heads, Index Hidden, Activation Act, bool Causal, class Policy, class Tower, bool Unlocked>
using block_for = typename block_type<Width, Heads, Hidden, Act, Causal,
                                      BlockKind<typename bare_policy<Policy>::type, Tower, Unlocked>,
                                      typename recomputed_part<Policy>::type>::type;

/// `Count` blocks, of which the last `Unlocked` have their own role; blocks keep their numbers.
template <Index Count, Index Unlocked, class Locked, class Open>
struct block_chain {
  using type = Sequential<Named<"transformer.resblocks", Repeat<Count - Unlocked, Locked>>,
                          Named<"transformer.resblocks", Repeat<Unlocked, Open, Count - Unlocked>>>;
};
template <Index Count, class Locked, class Open>
struct block_chain<Count, 0, Locked, Open> {
  using type = Sequential<Named<"transformer.resblocks", Repeat<Count, Locked>>>;
};
template <Index Count, class Locked, class Open>
struct block_chain<Count, Count, Locked, Open> {
  using type = Sequential<Named<"transformer.resblocks", Repeat<Count, Open>>>;
};
template <class Locked, class Open>
struct block_chain<0, 0, Locked, Open> {
  static_assert(never<Locked>, "radapt: a tower needs at least one block; to fix: set layers in the architecture.");
};

}  // namespace detail

/// All blocks of a tower, named transformer.resblocks.0, .1, ...; the last `Unlocked` answer to role::unlocked.
template <Index Width, Index Heads, Index Layers, Index Hidden, Activation Act, bool Causal, class Policy, class Tower,
          Index Unlocked = 0>
struct TransformerBlocks
    : detail::block_chain<Layers, Unlocked, detail::block_for<Width, Heads, Hidden, Act, Causal, Policy, Tower, false>,
                          detail::block_for<Width, Heads, Hidden, Act, Causal, Policy, Tower, true>>::type {};

}  // namespace radapt
