#pragma once
/// R-Adapter (Kim et al., ECCV 2024; methods.md 1.2 - 1.7): h(y) = y + s c F y after each attention and each MLP, F
/// full or of rank r, trained with whole adapters dropped at random, folded into the frozen linear layer in front of
/// it.
#include <cmath>
#include <cstdint>

#include "radapt/adapter/branch.hpp"
#include "radapt/adapter/foldable_layers.hpp"
#include "radapt/adapter/site.hpp"
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/linear.hpp"

namespace radapt {

struct full {};  ///< F is a D x D matrix
/// F = U D with U (width, R) and D (R, width). R = 0 and R >= width mean `full` (methods.md 1.13).
template <Index R>
struct low_rank {};

struct learned_scale {};  ///< s is a parameter, 0.1 at first: the released code
struct no_scale {};       ///< s = 1: the formula of the paper

namespace detail {

template <Index Width, class Role, class Scale, template <class, class> class Slot>
struct FullAdapterParams {
  Slot<Shape<>, Role> s;              // ()
  Slot<Shape<Width, Width>, Role> F;  // (Width, Width)
  static constexpr void each(auto&& f, auto&... t) {
    f("s", t.s...);
    f("F", t.F...);
  }
};
template <Index Width, class Role, template <class, class> class Slot>
struct FullAdapterParams<Width, Role, no_scale, Slot> {
  Slot<Shape<Width, Width>, Role> F;  // (Width, Width)
  static constexpr void each(auto&& f, auto&... t) { f("F", t.F...); }
};
template <Index Width, Index R, class Role, class Scale, template <class, class> class Slot>
struct LowRankAdapterParams {
  Slot<Shape<>, Role> s;          // ()
  Slot<Shape<Width, R>, Role> U;  // (Width, R)
  Slot<Shape<R, Width>, Role> D;  // (R, Width)
  static constexpr void each(auto&& f, auto&... t) {
    f("s", t.s...);
    f("U", t.U...);
    f("D", t.D...);
  }
};
template <Index Width, Index R, class Role, template <class, class> class Slot>
struct LowRankAdapterParams<Width, R, Role, no_scale, Slot> {
  Slot<Shape<Width, R>, Role> U;  // (Width, R)
  Slot<Shape<R, Width>, Role> D;  // (R, Width)
  static constexpr void each(auto&& f, auto&... t) {
    f("U", t.U...);
    f("D", t.D...);
  }
};

/// What full and low-rank adapters share besides: the scale.
template <class Scale>
struct AdapterBase : AdapterBranch {
  static constexpr bool learns_scale = std::is_same_v<Scale, learned_scale>;

  /// Pointer to s in a tree of values or gradients, null where there is none.
  static auto scale_of(const auto& p) {
    if constexpr (learns_scale) {
      return p.s.data;
    } else {
      return nullptr;
    }
  }

  /// The value of s on the host; 1 where there is none.
  static double scale_value(const auto& p) {
    if constexpr (learns_scale) {
      return static_cast<double>(*p.s.data);
    } else {
      return 1.0;
    }
  }

  /// alpha s, what a merge multiplies the adapter with: 0 at alpha 0 even where s is not finite.
  static double merge_coefficient(double alpha, const auto& p) { return alpha == 0.0 ? 0.0 : alpha * scale_value(p); }
};

}  // namespace detail

/// h = x + s c F x.   x (tokens, Width) -> h (tokens, Width); F (Width, Width), s ().
/// Backward (methods.md 1.5), u = dh F: ds += c <u, x>, dF += s c dh^T x, dx = dh + s c u.
template <Index Width, class Role = role::adapter, class Scale = learned_scale>
struct FullAdapter : detail::AdapterBase<Scale> {
  using base = detail::AdapterBase<Scale>;
  static constexpr auto name = "r_adapter";
  static constexpr Index input_width = Width;
  template <class X>
  using output = X;

  template <template <class, class> class Slot>
  using Params = detail::FullAdapterParams<Width, Role, Scale, Slot>;

  /// s = 0.1, F = 0: the model starts as it was (methods.md 1.4).
  static void initialise(auto& p, Random&) {
    if constexpr (base::learns_scale) { *p.s.data = std::remove_reference_t<decltype(*p.s.data)>(0.1); }
    detail::set_to_zero(p.F.data, p.F.size());
  }

  /// What the adapter adds to y, as one matrix: s F (Width, Width), in double.
  static detail::DoubleMatrix product(const auto& p) {
    return detail::scaled(base::scale_value(p), detail::in_double(detail::matrix_of(p.F)));
  }

  /// W += alpha s F W and b += alpha s F b, for W (Width, in) and b (Width); untouched when alpha is 0.
  template <class T>
  static void fold(double alpha, const auto& p, Matrix<T> weight, Vector<T> bias) {
    const auto F = detail::in_double(detail::matrix_of(p.F));
    detail::fold_into(base::merge_coefficient(alpha, p), weight, bias,
                      [&](const detail::DoubleMatrix& m) { return detail::multiply(F, m); });
  }

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;
  template <class T, class X, class, bool>
  struct SavedMask {
    View<std::uint8_t, typename base::Mask> mask;
    static constexpr void each(auto&& f, auto&... s) { (f(s.mask), ...); }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedMask<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    constexpr bool saved = Dx || Tune::template trains<Role>;
    return bytes_of<T, X>(e) + (saved ? 0 : bytes_of<std::uint8_t, typename base::Mask>(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return bytes_of<T, X>(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, X> y, auto& saved) {
    const Arena::Mark before = c.arena.mark();
    View<std::uint8_t, typename base::Mask> mask;
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) {
      keep_buffers(c, saved);
      mask = saved.mask;
    } else {
      mask = c.arena.template scratch<std::uint8_t, typename base::Mask>(x.rows);
    }
    add_branch<T, X>(c, p, x, y, base::template draw<T>(c, mask.data));
    c.arena.release_scratch(before);
  }

  /// The output again, from x and the mask that was drawn: a product of the kept rows.
  template <class X, class Tune, bool Dx>
  static constexpr Rebuild rebuilds = reads_x<X, Tune, Dx> ? Rebuild::from_saved_and_x : Rebuild::impossible;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index rebuild_scratch(Extent e) {
    return bytes_of<T, X>(e);
  }
  template <class T, class X>
  static void rebuild(auto& c, const auto& p, View<const T, X> x, const auto& saved, View<T, X> y) {
    const Arena::Mark before = c.arena.mark();
    add_branch<T, X>(c, p, x, y, base::drawn(c, saved.mask.data));
    c.arena.release_scratch(before);
  }

  /// Forward again without the output (layer/run_again.hpp): backward reads the mask and x.
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index run_again_scratch(Extent) {
    return 0;
  }
  template <class T, class X>
  static void run_again(auto& c, const auto&, auto, auto& saved) {
    keep_buffers(c, saved);
    base::template draw<T>(c, saved.mask.data);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, X> dy, auto dx) {
    const auto kept = base::drawn(c, saved.mask.data);
    const double factor = base::factor(c.phase);
    const auto scale = base::scale_of(p);
    const Arena::Mark before = c.arena.mark();
    const auto u = c.arena.template scratch<T, X>(dy.rows);
    constexpr bool trains = wanted<decltype(g.F)>;
    if constexpr (wanted<decltype(dx)> || (trains && base::learns_scale)) {
      run(c, op::linear_backward_input<T>{.dx = u, .dy = dy, .weight = p.F, .kept = kept});
    }
    if constexpr (trains) {
      if constexpr (base::learns_scale) {
        run(c, op::scaled_add_backward_scale<T>{.dscale = g.s.data, .a = u, .b = x, .factor = factor, .kept = kept});
      }
      run(c,
          op::linear_backward_weight<T>{.dw = g.F, .dy = dy, .x = x, .factor = factor, .scale = scale, .kept = kept});
    }
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::scaled_add<T>{.y = dx, .x = dy, .z = u, .factor = factor, .scale = scale, .kept = kept});
    }
    c.arena.release_scratch(before);
  }

 private:
  /// y = x + s c F x.
  template <class T, class X>
  static void add_branch(auto& c, const auto& p, View<const T, X> x, View<T, X> y, const op::KeptRows& kept) {
    const auto z = c.arena.template scratch<T, X>(x.rows);
    run(c, op::linear_forward<T>{.y = z, .x = x, .weight = p.F, .kept = kept});
    run(c, op::scaled_add<T>{
               .y = y, .x = x, .z = z, .factor = base::factor(c.phase), .scale = base::scale_of(p), .kept = kept});
  }
};

/// h = x + s c U (D x).   x (tokens, Width) -> h (tokens, Width); U (Width, R), D (R, Width), s ().
/// Backward, z = D x, u = dh U: ds += c <u, z>, dU += s c dh^T z, dD += s c u^T x, dx = dh + s c u D.
template <Index Width, Index R, class Role = role::adapter, class Scale = learned_scale>
struct LowRankAdapter : detail::AdapterBase<Scale> {
  using base = detail::AdapterBase<Scale>;
  static constexpr auto name = "low_rank_r_adapter";
  static constexpr Index input_width = Width;
  template <class X>
  using output = X;

  template <template <class, class> class Slot>
  using Params = detail::LowRankAdapterParams<Width, R, Role, Scale, Slot>;

  /// s = 0.1, U = 0, D uniform in +-sqrt(6 / (Width + R)) (methods.md 1.4).
  static void initialise(auto& p, Random& random) {
    using T = std::remove_reference_t<decltype(*p.U.data)>;
    if constexpr (base::learns_scale) { *p.s.data = T(0.1); }
    const double bound = std::sqrt(6.0 / static_cast<double>(Width + R));
    detail::set_to_zero(p.U.data, p.U.size());
    for (Index i = 0; i < p.D.size(); ++i) { p.D.data[i] = static_cast<T>(random.uniform(-bound, bound)); }
  }

  /// What the adapter adds to y, as one matrix: s U D (Width, Width), in double.
  static detail::DoubleMatrix product(const auto& p) {
    return detail::scaled(base::scale_value(p), detail::multiply(detail::in_double(detail::matrix_of(p.U)),
                                                                 detail::in_double(detail::matrix_of(p.D))));
  }

  /// The same as factors, s U (Width, R) and D (R, Width).
  static ProductFactors factors(const auto& p) {
    return {detail::scaled(base::scale_value(p), detail::in_double(detail::matrix_of(p.U))),
            detail::in_double(detail::matrix_of(p.D))};
  }

  /// W += alpha s U (D W) and b += alpha s U (D b), for W (Width, in) and b (Width); untouched when alpha is 0.
  template <class T>
  static void fold(double alpha, const auto& p, Matrix<T> weight, Vector<T> bias) {
    const auto U = detail::in_double(detail::matrix_of(p.U));
    const auto D = detail::in_double(detail::matrix_of(p.D));
    detail::fold_into(base::merge_coefficient(alpha, p), weight, bias,
                      [&](const detail::DoubleMatrix& m) { return detail::multiply(U, detail::multiply(D, m)); });
  }

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;
  template <class X>
  using Inner = typename X::template with<R>;
  template <class T, class X, class, bool>
  struct SavedInner {
    View<std::uint8_t, typename base::Mask> mask;
    View<T, Inner<X>> z;  // (tokens, R)
    static constexpr void each(auto&& f, auto&... s) {
      (f(s.mask), ...);
      (f(s.z), ...);
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedInner<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    constexpr bool saved = Dx || Tune::template trains<Role>;
    return bytes_of<T, X>(e) + (saved ? 0 : bytes_of<std::uint8_t, typename base::Mask>(e) + bytes_of<T, Inner<X>>(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return (Dx ? bytes_of<T, X>(e) : 0) + bytes_of<T, Inner<X>>(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, X> y, auto& saved) {
    const Arena::Mark before = c.arena.mark();
    View<std::uint8_t, typename base::Mask> mask;
    View<T, Inner<X>> z;
    if constexpr (is_saved<std::remove_reference_t<decltype(saved)>>) {
      keep_buffers(c, saved);
      mask = saved.mask;
      z = saved.z;
    } else {
      mask = c.arena.template scratch<std::uint8_t, typename base::Mask>(x.rows);
      z = c.arena.template scratch<T, Inner<X>>(x.rows);
    }
    const auto kept = base::template draw<T>(c, mask.data);
    run(c, op::linear_forward<T>{.y = z, .x = x, .weight = p.D, .kept = kept});
    add_branch<T, X>(c, p, x, y, z, kept);
    c.arena.release_scratch(before);
  }

  /// The output again, from x, z and the mask that was drawn.
  template <class X, class Tune, bool Dx>
  static constexpr Rebuild rebuilds = reads_x<X, Tune, Dx> ? Rebuild::from_saved_and_x : Rebuild::impossible;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index rebuild_scratch(Extent e) {
    return bytes_of<T, X>(e);
  }
  template <class T, class X>
  static void rebuild(auto& c, const auto& p, View<const T, X> x, const auto& saved, View<T, X> y) {
    const Arena::Mark before = c.arena.mark();
    add_branch<T, X>(c, p, x, y, saved.z, base::drawn(c, saved.mask.data));
    c.arena.release_scratch(before);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, X> dy, auto dx) {
    const auto kept = base::drawn(c, saved.mask.data);
    const double factor = base::factor(c.phase);
    const auto scale = base::scale_of(p);
    const Arena::Mark before = c.arena.mark();
    const auto u = c.arena.template scratch<T, Inner<X>>(dy.rows);
    run(c, op::linear_backward_input<T>{.dx = u, .dy = dy, .weight = p.U, .kept = kept});
    if constexpr (wanted<decltype(g.U)>) {
      if constexpr (base::learns_scale) {
        run(c,
            op::scaled_add_backward_scale<T>{.dscale = g.s.data, .a = u, .b = saved.z, .factor = factor, .kept = kept});
      }
      run(c, op::linear_backward_weight<T>{
                 .dw = g.U, .dy = dy, .x = saved.z, .factor = factor, .scale = scale, .kept = kept});
      run(c, op::linear_backward_weight<T>{.dw = g.D, .dy = u, .x = x, .factor = factor, .scale = scale, .kept = kept});
    }
    if constexpr (wanted<decltype(dx)>) {
      const auto ud = c.arena.template scratch<T, X>(dy.rows);
      run(c, op::linear_backward_input<T>{.dx = ud, .dy = u, .weight = p.D, .kept = kept});
      run(c, op::scaled_add<T>{.y = dx, .x = dy, .z = ud, .factor = factor, .scale = scale, .kept = kept});
    }
    c.arena.release_scratch(before);
  }

 private:
  /// y = x + s c U z.
  template <class T, class X>
  static void add_branch(auto& c, const auto& p, View<const T, X> x, View<T, X> y, View<T, Inner<X>> z,
                         const op::KeptRows& kept) {
    const auto uz = c.arena.template scratch<T, X>(x.rows);
    run(c, op::linear_forward<T>{.y = uz, .x = z, .weight = p.U, .kept = kept});
    run(c, op::scaled_add<T>{
               .y = y, .x = x, .z = uz, .factor = base::factor(c.phase), .scale = base::scale_of(p), .kept = kept});
  }
};

namespace detail {
template <Index Width, class Rank, class Role, class Scale>
struct r_adapter_layer {
  using type = FullAdapter<Width, Role, Scale>;
};
template <Index Width, Index R, class Role, class Scale>
requires(R > 0 && R < Width) struct r_adapter_layer<Width, low_rank<R>, Role, Scale> {
  using type = LowRankAdapter<Width, R, Role, Scale>;
};
}  // namespace detail

/// The policy: an adapter after each attention and each MLP of the chosen towers. Rank is `full` or `low_rank<R>`.
template <class Rank = full, class Scale = learned_scale, class Towers = both_towers>
struct RAdapter {
  template <class Site, Index D>
  using at = std::conditional_t<
      Towers::template has<typename Site::tower>,
      typename detail::r_adapter_layer<D, Rank, role::in<role::adapter, typename Site::tower>, Scale>::type, Identity>;
};

}  // namespace radapt
