#pragma once
/// The places of a transformer block that an adapter policy is asked about, and what a policy may answer.
#include "radapt/core/check.hpp"
#include "radapt/core/role.hpp"
#include "radapt/layer/identity.hpp"

namespace radapt {

namespace site {
struct after_attention {};  ///< on the output of attn.out_proj, before the residual sum
struct beside_mlp {};       ///< from the stream before ln_2 to the output of the MLP branch, before the residual sum
struct after_mlp {};        ///< on the output of mlp.c_proj, before the residual sum
struct in_proj {};          ///< instead of attn.in_proj: the fused q, k, v projection
struct q {};                ///< the first third of in_proj, for policies that tell them apart
struct k {};                ///< the second
struct v {};                ///< the third
struct out_proj {};         ///< instead of attn.out_proj
struct c_fc {};             ///< instead of mlp.c_fc
struct c_proj {};           ///< instead of mlp.c_proj

/// A place in a block of one tower: `Site::place` is one of the above, `Site::tower` one of role::tower.
template <class Place, class Tower>
struct Site {
  using place = Place;
  using tower = Tower;
};
}  // namespace site

/// Which towers a policy adapts.
struct both_towers {
  template <class Tower>
  static constexpr bool has = true;
};
/// One tower only: `only_tower<role::tower::image>`.
template <class Wanted>
struct only_tower {
  template <class Tower>
  static constexpr bool has = std::is_same_v<Tower, Wanted>;
};

/// An adapter policy answers `at<Site, D>`: the layer, from width D to width D, that sits after a sub-layer; Identity
/// where there is none. It may also answer `wrap<Site, L>`: the layer that takes the place of the linear layer L; and
/// `beside<Site, D>`: the branch, from D to D with a scalar parameter `scale`, that is added to a sub-layer.
template <class P>
concept adapter_policy = requires {
  typename P::template at<site::Site<site::after_attention, role::tower::image>, 64>;
  typename P::template at<site::Site<site::after_attention, role::tower::text>, 64>;
  typename P::template at<site::Site<site::after_mlp, role::tower::image>, 64>;
  typename P::template at<site::Site<site::after_mlp, role::tower::text>, 64>;
};

template <class P>
struct no_adapter_policy {
  static constexpr bool ok = false;
};
/// The reason type of a class that stands in the place of an adapter policy and is none.
template <class Why>
struct check_policy {
  static constexpr bool this_class_answers_for_every_site = Why::ok;
  static_assert(
      this_class_answers_for_every_site,
      "radapt: this is no adapter policy. Read check_policy<no_adapter_policy<class>>; to fix: give it `template "
      "<class Site, Index D> using at = ...`, or use NoAdapter or RAdapter<>.");
};

/// No adapters: plain CLIP.
struct NoAdapter {
  template <class Site, Index D>
  using at = Identity;
};

namespace detail {

template <class Adapter, class Site, Index D>
struct adapter_reason {
  using type = adapter_misfit<Adapter, Site, expected<D>, got<0>>;
};
template <class Adapter, class Site, Index D>
requires requires { typename Adapter::template output<Tokens<D>>; }
struct adapter_reason<Adapter, Site, D> {
  using output = typename Adapter::template output<Tokens<D>>;
  using type = std::conditional_t<std::is_same_v<output, Tokens<D>>, fits,
                                  adapter_misfit<Adapter, Site, expected<D>, got<output::width>>>;
};

/// Goes on without an adapter where Policy is no policy, so that one mistake gives one message.
template <class Policy, class Site, Index D>
struct adapter_at : check_policy<no_adapter_policy<Policy>> {
  using type = Identity;
};
template <class Policy, class Site, Index D>
requires requires { typename Policy::template at<Site, D>; }
struct adapter_at<Policy, Site, D>
    : check_adapter<typename adapter_reason<typename Policy::template at<Site, D>, Site, D>::type> {
  using type = typename Policy::template at<Site, D>;
};

template <class Policy, class Site, class L>
struct wrapped {
  using type = L;
};
template <class Policy, class Site, class L>
requires requires { typename Policy::template wrap<Site, L>; }
struct wrapped<Policy, Site, L> {
  using type = typename Policy::template wrap<Site, L>;
};

template <class Policy, class Site, Index D>
struct beside_at {
  using type = Identity;
};
template <class Policy, class Site, Index D>
requires requires { typename Policy::template beside<Site, D>; }
struct beside_at<Policy, Site, D> {
  using type = typename Policy::template beside<Site, D>;
};

}  // namespace detail
}  // namespace radapt
