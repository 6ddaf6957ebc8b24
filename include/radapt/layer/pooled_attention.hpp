#pragma once
/// Attention of the last block of a tower, of which one token of each sequence is read.
#include <string>

#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/layer/attention.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/pool.hpp"
#include "radapt/layer/sequential.hpp"
#include "radapt/op/pool.hpp"
#include "radapt/op/pooled_attention.hpp"

namespace radapt {

/// What SelfAttention<Width, Heads, Causal> behind a Linear layer `in_proj` puts out in the rows that Kind reads, up to
/// rounding: x (tokens, Width) -> y (sequences, Width). Parameters, names and masks are those of the two layers.
///
/// Only the tokens that are read have a query; keys and values are not computed (op/pooled_attention.hpp). A layer of
/// T tokens a sequence takes some 3 / T of the multiplications of both, and keeps Width + Heads numbers a token of
/// their 3 Width + Heads.
template <Index Width, Index Heads, bool Causal, Pooling Kind, class Role = role::backbone>
struct PooledAttention : layer_defaults {
  using whole =
      Sequential<Named<"in_proj_", Linear<Width, 3 * Width, Role>>, Named<"", SelfAttention<Width, Heads, Causal>>>;
  static constexpr auto name = "pooled_attention";
  static constexpr Index input_width = Width;

  template <class X>
  using output = typename detail::pooled_row_type<typename maps_width<X, Width, Width>::type>::type;

  template <template <class, class> class Slot>
  using Params = typename whole::template Params<Slot>;
  template <class Tune>
  static constexpr bool trains = Tune::template trains<Role>;
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    whole::each_layer(f, path, p...);
  }
  static void initialise(auto& p, Random& random) { whole::initialise(p, random); }

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = true;

  template <class T, class X>
  struct SavedParts {
    View<T, Samples<Width>> q;                                             // (sequences, Width)
    View<statistic_t<T>, typename X::template with<Heads>> probabilities;  // (tokens, Heads)
    static constexpr void each(auto&& f, auto&... s) {
      (f(s.q), ...);
      (f(s.probabilities), ...);
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedParts<T, X>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return (Dx || trains<Tune> ? 1 : 2) * bytes_of<T, Samples<Width>>(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return 2 * bytes_of<T, Samples<Width>>(e) + (Dx ? 0 : bytes_of<T, X>(e));
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    const auto& in_proj = detail::child_at<0>(p);
    const Matrix<const parameter_t<T>> weight = in_proj.weight;
    const Vector<const parameter_t<T>> bias = in_proj.bias;
    const Arena::Mark before = c.arena.mark();
    keep_buffers(c, saved);
    const auto rows = c.arena.template scratch<T, Samples<Width>>(y.rows);
    const auto q = [&] {
      if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) {
        return saved.q;
      } else {
        return c.arena.template scratch<T, Samples<Width>>(y.rows);
      }
    }();
    run(c, op::pool_forward<T>{.y = rows, .x = x, .pooling = Kind, .sequences = c.sequences});
    run(c, op::linear_forward<T>{.y = q, .x = rows, .weight = part<0>(weight), .bias = part<0>(bias)});
    op::pooled_attention_forward<T> o{.y = y,
                                      .x = x,
                                      .q = q,
                                      .key = part<1>(weight),
                                      .value = part<2>(weight),
                                      .value_bias = part<2>(bias),
                                      .heads = Heads,
                                      .causal = Causal,
                                      .pooling = Kind,
                                      .sequences = c.sequences};
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) { o.probabilities = saved.probabilities; }
    run(c, o);
    c.arena.release_scratch(before);
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, View<const T, X> x, auto, const auto& saved,
                       View<const T, output<X>> dy, auto dx) {
    const Matrix<const parameter_t<T>> weight = detail::child_at<0>(p).weight;
    auto& gradients = detail::child_at<0>(g);
    constexpr bool wants_weight = wanted<decltype(gradients.weight)>, wants_x = wanted<decltype(dx)>;
    const Arena::Mark before = c.arena.mark();
    const auto dq = c.arena.template scratch<T, Samples<Width>>(dy.rows);
    const auto rows = c.arena.template scratch<T, Samples<Width>>(dy.rows);
    const auto dx_of_tokens = [&] {
      if constexpr (wants_x) {
        return dx;
      } else {
        return c.arena.template scratch<T, X>(x.rows);
      }
    }();
    op::pooled_attention_backward<T> o{.dx = dx_of_tokens,
                                       .dq = dq,
                                       .dy = dy,
                                       .x = x,
                                       .q = saved.q,
                                       .key = part<1>(weight),
                                       .value = part<2>(weight),
                                       .probabilities = saved.probabilities,
                                       .heads = Heads,
                                       .sequences = c.sequences};
    if constexpr (wants_weight) {
      const Matrix<parameter_t<T>> dw = gradients.weight;
      o.dkey = part<1>(dw);
      o.dvalue = part<2>(dw);
    }
    run(c, o);
    if constexpr (wants_weight) {
      run(c, op::pool_forward<T>{.y = rows, .x = x, .pooling = Kind, .sequences = c.sequences});
      const Matrix<parameter_t<T>> dw = gradients.weight;
      run(c, op::linear_backward_weight<T>{.dw = part<0>(dw), .dy = dq, .x = rows});
    }
    if constexpr (wanted<decltype(gradients.bias)>) {
      const Vector<parameter_t<T>> db = gradients.bias;
      run(c, op::linear_backward_bias<T>{.db = part<0>(db), .dy = dq});
      run(c, op::linear_backward_bias<T>{.db = part<2>(db), .dy = dy});
    }
    if constexpr (wants_x) {
      run(c, op::linear_backward_input<T>{.dx = rows, .dy = dq, .weight = part<0>(weight)});
      run(c, op::pool_backward<T>{.dx = dx, .dy = rows, .pooling = Kind, .sequences = c.sequences, .adds = true});
    }
    c.arena.release_scratch(before);
  }

 private:
  // The rows of in_proj that make queries, keys and values.
  template <Index I, class T>
  static Matrix<T> part(Matrix<T> m) {
    return {m.data + I * Width * Width, Width, Width};
  }
  template <Index I, class T>
  static Vector<T> part(Vector<T> v) {
    return {v.data + I * Width, Width};
  }
};

}  // namespace radapt
