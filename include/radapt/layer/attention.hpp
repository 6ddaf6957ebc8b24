#pragma once
/// softmax(q k^T / sqrt(d)) v for every head of every sequence; the products before and after it are Linear layers.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/op/attention.hpp"

namespace radapt {

/// x (tokens, 3 Width) = q, k, v side by side -> y (tokens, Width). With Causal, a token sees itself and what is before
/// it.
template <Index Width, Index Heads, bool Causal>
struct SelfAttention : layer_defaults {
  static_assert(
      Width % Heads == 0,
      "radapt: the width of an attention layer must be a multiple of its number of heads; to fix: change heads "
      "or width in the architecture.");
  static constexpr auto name = "self_attention";
  static constexpr Index input_width = 3 * Width;

  template <class X>
  using output = typename maps_width<X, 3 * Width, Width>::type;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = true;
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_y = true;

  template <class T, class X, class, bool>
  struct SavedSums {
    View<statistic_t<T>, typename X::template with<Heads>> log_sum_exp;  // (tokens, Heads)
    static constexpr void each(auto&& f, auto&... s) { (f(s.log_sum_exp), ...); }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedSums<T, X, Tune, Dx>;

  template <class T, class X>
  static void forward(auto& c, const auto&, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    keep_buffers(c, saved);
    op::attention_forward<T> o{.y = y, .qkv = x, .heads = Heads, .causal = Causal, .sequences = c.sequences};
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) { o.log_sum_exp = saved.log_sum_exp; }
    run(c, o);
  }
  template <class T, class X>
  static void backward(auto& c, const auto&, auto&, auto x, auto y, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::attention_backward<T>{.dqkv = dx,
                                       .dy = dy,
                                       .y = y,
                                       .qkv = x,
                                       .log_sum_exp = saved.log_sum_exp,
                                       .heads = Heads,
                                       .causal = Causal,
                                       .sequences = c.sequences});
    }
  }
};

}  // namespace radapt
