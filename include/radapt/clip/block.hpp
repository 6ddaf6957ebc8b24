#pragma once
/// The residual attention block of both towers (clip_compat.md 1.2), with the sites of adapter policies.
///   x += adapter(out_proj(attention(in_proj(ln_1(x)))));  x += adapter(c_proj(act(c_fc(ln_2(x)))))
#include "radapt/adapter/site.hpp"
#include "radapt/clip/arch.hpp"
#include "radapt/layer/activation.hpp"
#include "radapt/layer/attention.hpp"
#include "radapt/layer/layer_norm.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/repeat.hpp"
#include "radapt/layer/residual.hpp"
#include "radapt/layer/sequential.hpp"

namespace radapt {

namespace detail {

/// Width, heads, hidden width and activation come from the architecture; Backbone and Norm are the roles of the block's
/// own parameters, Tower says which tower it stands in.
template <index Width, index Heads, index Hidden, Activation Act, bool Causal, class Policy, class Tower, bool Unlocked>
struct ResidualAttentionBlock {
  template <class Role>
  using role_of = role::in<std::conditional_t<Unlocked, role::in_unlocked_block<Role>, Role>, Tower>;
  template <class Place, index In, index Out>
  using linear = typename wrapped<Policy, site::Site<Place, Tower>, Linear<In, Out, role_of<role::backbone>>>::type;
  template <class Place>
  using adapter = typename adapter_at<Policy, site::Site<Place, Tower>, Width>::type;

  using attention =
      Sequential<Named<"in_proj_", linear<site::in_proj, Width, 3 * Width>>, SelfAttention<Width, Heads, Causal>,
                 Named<"out_proj", linear<site::out_proj, Width, Width>>>;
  using mlp = Sequential<Named<"c_fc", linear<site::c_fc, Width, Hidden>>, Activate<Act>,
                         Named<"c_proj", linear<site::c_proj, Hidden, Width>>>;
  using norm = LayerNorm<Width, role_of<role::norm>>;

  using type = Sequential<
      Residual<
          chain<Named<"ln_1", norm>, Named<"attn", attention>, Named<"attn.adapter", adapter<site::after_attention>>>>,
      Residual<chain<Named<"ln_2", norm>, Named<"mlp", mlp>, Named<"mlp.adapter", adapter<site::after_mlp>>>>>;
};

/// `Count` blocks, of which the last `Unlocked` have their own role; blocks keep their numbers.
template <index Count, index Unlocked, class Locked, class Open>
struct BlockChain {
  using type = Sequential<Named<"transformer.resblocks", Repeat<Count - Unlocked, Locked>>,
                          Named<"transformer.resblocks", Repeat<Unlocked, Open, Count - Unlocked>>>;
};
template <index Count, class Locked, class Open>
struct BlockChain<Count, 0, Locked, Open> {
  using type = Sequential<Named<"transformer.resblocks", Repeat<Count, Locked>>>;
};
template <index Count, class Locked, class Open>
struct BlockChain<Count, Count, Locked, Open> {
  using type = Sequential<Named<"transformer.resblocks", Repeat<Count, Open>>>;
};
template <class Locked, class Open>
struct BlockChain<0, 0, Locked, Open> {
  static_assert(never<Locked>, "radapt: a tower needs at least one block; to fix: set layers in the architecture.");
};

}  // namespace detail

/// All blocks of a tower, named transformer.resblocks.0, .1, ...; the last `Unlocked` answer to role::unlocked.
template <index Width, index Heads, index Layers, index Hidden, Activation Act, bool Causal, class Policy, class Tower,
          index Unlocked = 0>
using TransformerBlocks = typename detail::BlockChain<
    Layers, Unlocked,
    typename detail::ResidualAttentionBlock<Width, Heads, Hidden, Act, Causal, Policy, Tower, false>::type,
    typename detail::ResidualAttentionBlock<Width, Heads, Hidden, Act, Causal, Policy, Tower, true>::type>::type;

}  // namespace radapt
