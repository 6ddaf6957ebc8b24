#pragma once
/// Every case, as one list. An operation of radapt::op::all without exactly one case does not compile.
#include <tuple>

#include "cases/activation.hpp"
#include "cases/attention.hpp"
#include "cases/columns.hpp"
#include "cases/convert.hpp"
#include "cases/draw_mask.hpp"
#include "cases/dropout.hpp"
#include "cases/elementwise.hpp"
#include "cases/embed.hpp"
#include "cases/frobenius.hpp"
#include "cases/linear.hpp"
#include "cases/loss.hpp"
#include "cases/neighbours.hpp"
#include "cases/norm.hpp"
#include "cases/orthogonality.hpp"
#include "cases/pool.hpp"
#include "cases/pooled_attention.hpp"
#include "cases/update.hpp"
#include "radapt/op/all.hpp"

namespace radapt_test::cases {

using all =
    std::tuple<LinearForward, LinearActivationForward, LinearResidualForward, LinearBackwardInput, LinearBackwardWeight,
               LinearBackwardBias, LayerNormForward, LayerNormBackwardInput, LayerNormBackwardWeight,
               L2NormalizeForward, L2NormalizeBackward, ActivationForward, ActivationBackward, AttentionForward,
               AttentionBackward, PooledAttentionForward, PooledAttentionBackward, ExtractPatches,
               AssembleTokensForward, AssembleTokensBackward, EmbedTokensForward, EmbedTokensBackward, PoolForward,
               PoolBackward, Add, ScaledAdd, ScaledAddBackwardScale, TakeColumns, AddColumns, Dropout, Widen, Narrow,
               DrawMask, ContrastiveLoss, CrossEntropy, Distillation, Adamw, DistancePenalty, OrthogonalityPenalty,
               FrobeniusPenalty, SumOfSquares, ClipFactor, Clear, KthNeighbour>;

/// The name of the operation that case C is for.
template <class C>
inline constexpr const char* name_of = C::template operation<float>::name;

/// The case computes a gradient, and says of which function.
template <class C>
concept differentiates = requires(Differentiation& d, const typename C::Size& s) {
  C::differentiate(d, s);
};

template <class C>
std::vector<typename C::Size> differentiated_sizes() {
  if constexpr (requires { C::differentiated(); }) {
    return C::differentiated();
  } else {
    return C::tested();
  }
}

namespace detail {
template <class Op, class... Cases>
constexpr int cases_for(std::tuple<Cases...>*) {
  return (... + (std::is_same_v<typename Cases::template operation<float>, Op> ? 1 : 0));
}
template <class... Ops>
constexpr bool one_case_each(radapt::op::list<Ops...>*) {
  return (... && (cases_for<Ops>(static_cast<all*>(nullptr)) == 1));
}
static_assert(one_case_each(static_cast<radapt::op::all<float>*>(nullptr)),
              "an operation of radapt::op::all has no case in tests/cases, or more than one");
}  // namespace detail

/// Calls f.template operator()<Case>() for every case.
template <class F>
void for_each_case(F&& f) {
  [&]<class... C>(std::tuple<C...>*) { (f.template operator()<C>(), ...); }(static_cast<all*>(nullptr));
}

}  // namespace radapt_test::cases
