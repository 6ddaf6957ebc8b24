#pragma once
/// A frozen linear layer and the full adapter behind it as one layer, which multiplies by the folded weight where that
/// is less work.
#include <type_traits>

#include "radapt/adapter/r_adapter.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/sequential.hpp"
#include "radapt/op/update.hpp"

namespace radapt {

/// Of a Linear and a FullAdapter of its output's width, both Named; any other pair belongs into a Sequential.
template <class Front, class Behind>
struct AdaptedLinear {
  static_assert(never<Front, Behind>,
                "radapt: an AdaptedLinear is made of a Named Linear and a Named FullAdapter of the width that the "
                "linear layer puts out; to fix: put any other pair of layers into a Sequential.");
};

/// h = y + s c F y with y = x W^T + b.   x (tokens, In) -> h (tokens, Width); W (Width, In), b (Width), F (Width,
/// Width), s (). Parameters, names and masks are those of the two layers one behind the other.
///
/// Where W is trained it is those two layers. Where W is frozen it keeps x for backward and never y, and computes in
/// one of two ways, which give the same numbers up to rounding. The rows that are not dropped are K.
///
/// Folded, with W' = W + s c F W and b' = b + s c F b:
///     forward    h = x W'^T + b' on K, x W^T + b on the others
///     backward   dx = dh W' on K, dh W on the others
///                G = M W^T + m b^T with M = sum over K of dh^T x and m = sum over K of dh, which is that of dh^T y:
///                dF += s c G, ds += c <F, G>
/// In place, with y computed again in backward and u = dh F, both on K alone:
///     forward    y = x W^T + b, h = y + s c y F^T on K
///     backward   ds += c <u, y>, dF += s c dh^T y, dx = (dh + s c u) W, without u on the others
///
/// For In = Width = D, n rows of which k are in K, a step multiplies (2 n + k) D^2 + 3 D^3 times folded and
/// (2 n + 4 k) D^2 times in place: folded is less where k > D. A deeper linear layer is better left alone: with
/// In = 4 D the folded way saves 2 k D^2 forward and on the way to dx, and M takes 4 k D^2 where dh^T y takes k D^2.
template <fixed_string LinearName, Index In, Index Width, class Role, fixed_string AdapterName, class AdapterRole,
          class Scale>
struct AdaptedLinear<Named<LinearName, Linear<In, Width, Role>>,
                     Named<AdapterName, FullAdapter<Width, AdapterRole, Scale>>>
    : Sequential<Named<LinearName, Linear<In, Width, Role>>,
                 Named<AdapterName, FullAdapter<Width, AdapterRole, Scale>>> {
  using Adapter = FullAdapter<Width, AdapterRole, Scale>;
  using chained = Sequential<Named<LinearName, Linear<In, Width, Role>>, Named<AdapterName, Adapter>>;
  using branch = detail::AdapterBranch;
  static constexpr auto name = "adapted_linear";
  static constexpr Index input_width = In;

  /// Whether a pass over so many rows is folded. From the rows alone, since plans know no more and masks may be in the
  /// memory of a device: of five rows one is dropped by default, so that more than Width are left. On a CPU the ways
  /// took the same time at 1.2 to 1.3 times Width rows.
  ///
  /// Never in 16 bits: s c F W is small beside W at first, and a folded weight that a product rounds would lose it.
  template <class T>
  static constexpr bool folds(Index rows) {
    return sizeof(T) > 2 && 4 * rows > 5 * Width;
  }

  template <class X>
  using output = typename chained::template output<X>;
  template <class Tune>
  static constexpr bool frozen = !Tune::template trains<Role>;
  template <class Tune>
  static constexpr bool trains_adapter = Tune::template trains<AdapterRole>;

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = trains_adapter<Tune> || !frozen<Tune>;
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_y = false;
  template <class X, class Tune, bool Dx>
  static constexpr Rebuild rebuilds = Rebuild::impossible;  // y of the linear layer is not kept
  template <class T, class X, class Tune, bool Dx>
  using Saved = typename std::conditional_t<frozen<Tune>, Adapter, chained>::template Saved<T, X, Tune, Dx>;

  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    if constexpr (frozen<Tune>) {
      constexpr bool saved = Dx || trains_adapter<Tune>;
      return (saved ? 0 : branch::mask_bytes(e)) + (folds<T>(X::rows(e))
                                                        ? weight_bytes<T> + padded(Width * sizeof(parameter_t<T>))
                                                        : bytes_of<T, output<X>>(e));
    } else {
      return chained::template forward_scratch<T, X, Tune, Dx>(e);
    }
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    if constexpr (frozen<Tune>) {
      constexpr bool trains = trains_adapter<Tune>;
      if (folds<T>(X::rows(e))) {
        return weight_bytes<T> +
               (trains ? padded(Width * Width * sizeof(parameter_t<T>)) + padded(Width * sizeof(parameter_t<T>)) : 0);
      }
      return ((reads_u<trains, Dx> ? 1 : 0) + (trains ? 1 : 0)) * bytes_of<T, output<X>>(e);
    } else {
      return chained::template backward_scratch<T, X, Tune, Dx>(e);
    }
  }

  template <class T, class X, class S>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, S& saved) {
    if constexpr (is_saved<S> && !is_mask<S>) {
      chained::template forward<T, X>(c, p, x, y, saved);
    } else {
      const Arena::Mark before = c.arena.mark();
      View<std::uint8_t, branch::Mask> mask;
      if constexpr (is_saved<S>) {
        keep_buffers(c, saved);
        mask = saved.mask;
      } else {
        mask = c.arena.template scratch<std::uint8_t, branch::Mask>(x.rows);
      }
      const auto kept = branch::template draw<T>(c, mask.data);
      if (folds<T>(x.rows) && !rounds_factors<decltype(c)>) {
        forward_folded<T, X>(c, p, x, y, kept);
      } else {
        forward_in_place<T, X>(c, p, x, y, kept);
      }
      c.arena.release_scratch(before);
    }
  }

  template <class T, class X, class S>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto y, const S& saved, View<const T, output<X>> dy,
                       auto dx) {
    if constexpr (!is_mask<S>) {
      chained::template backward<T, X>(c, p, g, x, y, saved, dy, dx);
    } else {
      const Arena::Mark before = c.arena.mark();
      const auto kept = branch::drawn(c, saved.mask.data);
      if (folds<T>(dy.rows) && !rounds_factors<decltype(c)>) {
        backward_folded<T, X>(c, p, g, x, kept, dy, dx);
      } else {
        backward_in_place<T, X>(c, p, g, x, kept, dy, dx);
      }
      c.arena.release_scratch(before);
    }
  }

 private:
  /// Whether products of a context's backend round float factors to 16 bits. It works in place, in scratch memory that
  /// the MLP of the same block takes a multiple of.
  template <class C>
  static constexpr bool rounds_factors = [] {
    if constexpr (requires { backend_of<C>::rounds_factors; }) {
      return backend_of<C>::rounds_factors;
    } else {
      return false;
    }
  }();
  /// Whether forward kept what the folded way reads back, and not what two layers do.
  template <class S>
  static constexpr bool is_mask = requires(const S& saved) {
    saved.mask;
  };
  /// Whether backward in place needs u = dh F.
  template <bool Trains, bool Dx>
  static constexpr bool reads_u = Dx || (Trains && Adapter::learns_scale);
  template <class T>
  static constexpr Index weight_bytes = padded(Width* In * sizeof(parameter_t<T>));
  static const auto& linear(const auto& p) { return detail::child_at<0>(p); }
  static const auto& adapter(const auto& p) { return detail::child_at<1>(p); }
  /// A vector as a matrix of one row.
  template <class E, class S>
  static Matrix<E> row(const Parameter<E, S>& v) {
    return {v.data, 1, v.size()};
  }

  /// W' in scratch memory.
  template <class T>
  static View<parameter_t<T>, Tokens<In>> folded_weight(auto& c, const auto& p) {
    const auto weight = c.arena.template scratch<parameter_t<T>, Tokens<In>>(Width);
    run(c, op::linear_backward_input<parameter_t<T>>{.dx = weight, .dy = adapter(p).F, .weight = linear(p).weight});
    run(c, op::scaled_add<parameter_t<T>>{.y = weight,
                                          .x = linear(p).weight,
                                          .z = weight,
                                          .factor = branch::factor(c.phase),
                                          .scale = Adapter::scale_of(adapter(p))});
    return weight;
  }
  template <class T>
  static View<parameter_t<T>, Tokens<Width>> folded_bias(auto& c, const auto& p) {
    const auto bias = c.arena.template scratch<parameter_t<T>, Tokens<Width>>(1);
    run(c, op::linear_forward<parameter_t<T>>{.y = bias, .x = row(linear(p).bias), .weight = adapter(p).F});
    run(c, op::scaled_add<parameter_t<T>>{.y = bias,
                                          .x = row(linear(p).bias),
                                          .z = bias,
                                          .factor = branch::factor(c.phase),
                                          .scale = Adapter::scale_of(adapter(p))});
    return bias;
  }

  template <class T, class X>
  static void forward_folded(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y,
                             const op::KeptRows& kept) {
    const auto weight = folded_weight<T>(c, p);
    const auto bias = folded_bias<T>(c, p);
    run(c, op::linear_forward<T>{.y = y, .x = x, .weight = weight, .bias = bias, .kept = kept});
    if (kept.keeps_all()) { return; }
    run(c, op::linear_forward<T>{
               .y = y, .x = x, .weight = linear(p).weight, .bias = linear(p).bias, .kept = op::dropped_rows(kept)});
  }
  template <class T, class X>
  static void forward_in_place(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y,
                               const op::KeptRows& kept) {
    const auto z = c.arena.template scratch<T, output<X>>(x.rows);
    run(c, op::linear_forward<T>{.y = y, .x = x, .weight = linear(p).weight, .bias = linear(p).bias});
    run(c, op::linear_forward<T>{.y = z, .x = y, .weight = adapter(p).F, .kept = kept});
    run(c, op::scaled_add<T>{.y = y,
                             .x = y,
                             .z = z,
                             .factor = branch::factor(c.phase),
                             .scale = Adapter::scale_of(adapter(p)),
                             .kept = kept});
  }

  template <class T, class X>
  static void backward_folded(auto& c, const auto& p, auto& g, auto x, const op::KeptRows& kept,
                              View<const T, output<X>> dy, auto dx) {
    View<parameter_t<T>, Tokens<In>> weight;  // W', and M when that is done with
    if constexpr (wanted<decltype(dx)>) {
      weight = folded_weight<T>(c, p);
      run(c, op::linear_backward_input<T>{.dx = dx, .dy = dy, .weight = weight, .kept = kept});
      if (!kept.keeps_all()) {
        run(c, op::linear_backward_input<T>{
                   .dx = dx, .dy = dy, .weight = linear(p).weight, .kept = op::dropped_rows(kept)});
      }
    } else {
      weight = c.arena.template scratch<parameter_t<T>, Tokens<In>>(Width);
    }
    auto& da = detail::child_at<1>(g);
    if constexpr (wanted<std::remove_cvref_t<decltype(da.F)>>) {
      const double factor = branch::factor(c.phase);
      const auto sum = c.arena.template scratch<parameter_t<T>, Tokens<Width>>(1);
      const auto products = c.arena.template scratch<parameter_t<T>, Tokens<Width>>(Width);
      run(c, op::clear<parameter_t<T>>{.x = Vector<parameter_t<T>>(weight)});
      run(c, op::clear<parameter_t<T>>{.x = Vector<parameter_t<T>>(sum)});
      run(c, op::linear_backward_weight<T>{.dw = weight, .dy = dy, .x = x, .kept = kept});
      run(c, op::linear_backward_bias<T>{.db = sum, .dy = dy, .kept = kept});
      run(c, op::linear_forward<parameter_t<T>>{.y = products, .x = weight, .weight = linear(p).weight});
      run(c, op::linear_backward_weight<parameter_t<T>>{.dw = products, .dy = sum, .x = row(linear(p).bias)});
      if constexpr (Adapter::learns_scale) {
        run(c, op::scaled_add_backward_scale<parameter_t<T>>{
                   .dscale = da.s.data, .a = adapter(p).F, .b = products, .factor = factor});
      }
      run(c, op::scaled_add<parameter_t<T>>{
                 .y = da.F, .x = da.F, .z = products, .factor = factor, .scale = Adapter::scale_of(adapter(p))});
    }
  }
  template <class T, class X>
  static void backward_in_place(auto& c, const auto& p, auto& g, auto x, const op::KeptRows& kept,
                                View<const T, output<X>> dy, auto dx) {
    const double factor = branch::factor(c.phase);
    const auto scale = Adapter::scale_of(adapter(p));
    auto& da = detail::child_at<1>(g);
    constexpr bool trains = wanted<std::remove_cvref_t<decltype(da.F)>>;
    View<T, output<X>> u;
    if constexpr (reads_u<trains, wanted<decltype(dx)>>) {
      u = c.arena.template scratch<T, output<X>>(dy.rows);
      run(c, op::linear_backward_input<T>{.dx = u, .dy = dy, .weight = adapter(p).F, .kept = kept});
    }
    if constexpr (trains) {
      const auto y = c.arena.template scratch<T, output<X>>(dy.rows);
      run(c, op::linear_forward<T>{.y = y, .x = x, .weight = linear(p).weight, .bias = linear(p).bias, .kept = kept});
      if constexpr (Adapter::learns_scale) {
        run(c, op::scaled_add_backward_scale<T>{.dscale = da.s.data, .a = u, .b = y, .factor = factor, .kept = kept});
      }
      run(c,
          op::linear_backward_weight<T>{.dw = da.F, .dy = dy, .x = y, .factor = factor, .scale = scale, .kept = kept});
    }
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::scaled_add<T>{.y = u, .x = dy, .z = u, .factor = factor, .scale = scale, .kept = kept});
      run(c, op::linear_backward_input<T>{.dx = dx, .dy = u, .weight = linear(p).weight});
    }
  }
};

}  // namespace radapt
