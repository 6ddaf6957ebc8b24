#pragma once
/// RepAdapter (Luo et al., 2023; methods.md 7.8): a linear bottleneck in front of in_proj and c_fc, which folds into
/// the layer behind it.
#include <cmath>
#include <type_traits>

#include "radapt/adapter/branch.hpp"
#include "radapt/adapter/foldable_layers.hpp"
#include "radapt/adapter/site.hpp"
#include "radapt/layer/dropout.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/op/columns.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/update.hpp"

namespace radapt {

/// y = W (x + c s t) + b with t = B dropout(A x + a) + beta.   x (rows, In) -> y (rows, Out).
///
/// A (Hidden, In), a (Hidden); B is grouped: output group g of In / Groups reads hidden group g alone, so that it is
/// stored as (In, Hidden / Groups), beta (In). c is that of every adapter: 1/(1-p) on kept rows while adapters are
/// dropped, alpha of the ensemble in evaluation.
template <Index In, Index Out, Index Hidden, Index Groups, class Role, class AdapterRole, class ConstantRole>
struct RepAdapterLinear : detail::AdapterBranch {
  using Base = Linear<In, Out, Role>;
  using branch = detail::AdapterBranch;
  static_assert(Hidden % Groups == 0 && In % Groups == 0,
                "radapt: the groups of a RepAdapter must divide its hidden width and the width of its site; to fix: "
                "change Hidden or Groups of RepAdapter<...>.");
  static constexpr auto name = "rep_adapter_linear";
  static constexpr bool drops_elements = true;
  static constexpr Index input_width = In;
  static constexpr Host folds_into = Host::itself;
  static constexpr bool folds_in_double = true;
  static constexpr Index group_out = In / Groups, group_in = Hidden / Groups;

  template <class X>
  using output = typename Base::template output<X>;

  template <template <class, class> class Slot>
  struct Params : Base::template Params<Slot> {
    Slot<Shape<>, ConstantRole> adapter_scale;             // s ()
    Slot<Shape<Hidden, In>, AdapterRole> conv_A;           // A (Hidden, In)
    Slot<Shape<Hidden>, AdapterRole> conv_A_bias;          // a (Hidden)
    Slot<Shape<In, Hidden / Groups>, AdapterRole> conv_B;  // B (In, Hidden / Groups)
    Slot<Shape<In>, AdapterRole> conv_B_bias;              // beta (In)
    static constexpr void each(auto&& f, auto&... t) {
      Base::template Params<Slot>::each(f, t...);
      f("adapter_scale", t.adapter_scale...);
      f("conv_A.weight", t.conv_A...);
      f("conv_A.bias", t.conv_A_bias...);
      f("conv_B.weight", t.conv_B...);
      f("conv_B.bias", t.conv_B_bias...);
    }
  };

  /// A uniform in +-sqrt(6 / (In + Hidden)), which is Xavier's; B and both biases 0; s = 1.
  static void initialise(auto& p, Random& random) {
    using T = std::remove_reference_t<decltype(*p.conv_A.data)>;
    const double bound = std::sqrt(6.0 / static_cast<double>(In + Hidden));
    for (Index i = 0; i < p.conv_A.size(); ++i) { p.conv_A.data[i] = static_cast<T>(random.uniform(-bound, bound)); }
    for (Index i = 0; i < p.conv_A_bias.size(); ++i) { p.conv_A_bias.data[i] = 0; }
    for (Index i = 0; i < p.conv_B.size(); ++i) { p.conv_B.data[i] = 0; }
    for (Index i = 0; i < p.conv_B_bias.size(); ++i) { p.conv_B_bias.data[i] = 0; }
    *p.adapter_scale.data = T{1};
  }

  /// W += alpha s W B A and b += alpha s W (B a + beta), with B written out; untouched when alpha is 0.
  template <class T>
  static void fold(double alpha, const auto& p, Matrix<T> weight, Vector<T> bias) {
    if (alpha == 0.0) { return; }
    const double coefficient = alpha * static_cast<double>(*p.adapter_scale.data);
    detail::DoubleMatrix B(In, Hidden);
    for (Index i = 0; i < In; ++i) {
      for (Index j = 0; j < group_in; ++j) {
        B.data()[i * Hidden + i / group_out * group_in + j] = static_cast<double>(p.conv_B.data[i * group_in + j]);
      }
    }
    const detail::DoubleMatrix W = detail::in_double(weight), WB = detail::multiply(W, B);
    using Own = std::remove_reference_t<decltype(*p.conv_A.data)>;  // of the parameters, which the host need not share
    const detail::DoubleMatrix a = detail::in_double(Matrix<const Own>(p.conv_A_bias.data, Hidden, 1));
    const detail::DoubleMatrix beta = detail::in_double(Matrix<const Own>(p.conv_B_bias.data, In, 1));
    detail::add_to(weight, coefficient, detail::multiply(WB, detail::in_double(detail::matrix_of(p.conv_A))));
    if (bias) {
      const Matrix<T> b(bias.data, bias.size, 1);
      detail::add_to(b, coefficient, detail::multiply(WB, a));
      detail::add_to(b, coefficient, detail::multiply(W, beta));
    }
  }

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<AdapterRole>;
  template <class X>
  using Inner = typename X::template with<Hidden>;
  template <class X>
  using InnerGroup = typename X::template with<group_in>;
  template <class X>
  using OuterGroup = typename X::template with<group_out>;

  template <class T, class X, class Tune, bool Dx>
  struct SavedParts {
    static constexpr bool keeps_shifted = Tune::template trains<Role>;  // the frozen product reads nothing back
    View<std::uint8_t, branch::Mask> mask;
    View<T, Inner<X>> z;  // behind the dropout (rows, Hidden)
    View<T, X> shifted;   // what W sees (rows, In)
    std::uint32_t dropout_site = 0;
    static constexpr void each(auto&& f, auto&... s) {
      (f(s.mask), ...);
      (f(s.z), ...);
      if constexpr (keeps_shifted) { (f(s.shifted), ...); }
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedParts<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    constexpr bool saved = Dx || trains_any<RepAdapterLinear, Tune>;
    constexpr bool shifted_is_kept = saved && Tune::template trains<Role>;
    return (shifted_is_kept ? 0 : bytes_of<T, X>(e)) + (saved ? 0 : branch::mask_bytes(e) + bytes_of<T, Inner<X>>(e)) +
           bytes_of<T, Inner<X>>(e) + bytes_of<T, InnerGroup<X>>(e) + bytes_of<T, OuterGroup<X>>(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return 2 * bytes_of<T, X>(e) + 2 * bytes_of<T, Inner<X>>(e) + 2 * bytes_of<T, InnerGroup<X>>(e) +
           bytes_of<T, OuterGroup<X>>(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    using S = std::remove_reference_t<decltype(saved)>;
    const Arena::Mark before = c.arena.mark();
    View<std::uint8_t, branch::Mask> mask;
    View<T, Inner<X>> z;
    View<T, X> shifted;
    if constexpr (is_saved<S>) {
      keep_buffers(c, saved);
      mask = saved.mask;
      z = saved.z;
      shifted = saved.shifted;
    } else {
      mask = c.arena.template scratch<std::uint8_t, branch::Mask>(x.rows);
      z = c.arena.template scratch<T, Inner<X>>(x.rows);
    }
    if (shifted.data == nullptr) { shifted = c.arena.template scratch<T, X>(x.rows); }
    const auto kept = branch::template draw<T>(c, mask.data);
    const std::uint32_t site = c.phase.next_site++;
    if constexpr (is_saved<S>) { saved.dropout_site = site; }

    const auto inner = c.arena.template scratch<T, Inner<X>>(x.rows);
    const auto z_group = c.arena.template scratch<T, InnerGroup<X>>(x.rows);
    const auto t_group = c.arena.template scratch<T, OuterGroup<X>>(x.rows);
    run(c, op::linear_forward<T>{.y = inner, .x = x, .weight = p.conv_A, .bias = p.conv_A_bias});
    run(c, op::dropout<T>{.y = z, .x = inner, .draws = element_draws(c.phase, site), .sequences = c.sequences});
    run(c, op::take_columns<T>{.y = shifted, .x = x});
    for (Index g = 0; g < Groups; ++g) {
      run(c, op::take_columns<T>{.y = z_group, .x = z, .first = g * group_in});
      run(c, op::linear_forward<T>{.y = t_group,
                                   .x = z_group,
                                   .weight = group_of(p.conv_B, g),
                                   .bias = {p.conv_B_bias.data + g * group_out, group_out}});
      run(c, op::add_columns<T>{.y = shifted,
                                .z = t_group,
                                .first = g * group_out,
                                .factor = branch::factor(c.phase),
                                .scale = p.adapter_scale.data,
                                .kept = kept});
    }
    Unsaved none;
    Base::template forward<T, X>(c, p, shifted, y, none);
    c.arena.release_scratch(before);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto y, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    constexpr bool trains = wanted<std::remove_cvref_t<decltype(g.conv_A)>>;
    const Arena::Mark before = c.arena.mark();
    const auto dshifted = c.arena.template scratch<T, X>(dy.rows);
    Unsaved none;
    if constexpr (wanted<std::remove_cvref_t<decltype(g.weight)>>) {
      Base::template backward<T, X>(c, p, g, View<const T, X>(saved.shifted), y, none, dy, dshifted);
    } else {
      Base::template backward<T, X>(c, p, g, Dropped{}, y, none, dy, dshifted);
    }
    const auto dt = c.arena.template scratch<T, X>(dy.rows);  // c s dshifted on kept rows, then the share of A in dx
    run(c, op::clear<T>{.x = Vector<T>(dt)});
    run(c, op::add_columns<T>{.y = dt,
                              .z = dshifted,
                              .factor = branch::factor(c.phase),
                              .scale = p.adapter_scale.data,
                              .kept = branch::drawn(c, saved.mask.data)});
    const auto dz = c.arena.template scratch<T, Inner<X>>(dy.rows);
    const auto dinner = c.arena.template scratch<T, Inner<X>>(dy.rows);
    const auto z_group = c.arena.template scratch<T, InnerGroup<X>>(dy.rows);
    const auto dz_group = c.arena.template scratch<T, InnerGroup<X>>(dy.rows);
    const auto dt_group = c.arena.template scratch<T, OuterGroup<X>>(dy.rows);
    run(c, op::clear<T>{.x = Vector<T>(dz)});
    for (Index k = 0; k < Groups; ++k) {
      run(c, op::take_columns<T>{.y = dt_group, .x = dt, .first = k * group_out});
      if constexpr (trains) {
        run(c, op::take_columns<T>{.y = z_group, .x = saved.z, .first = k * group_in});
        run(c, op::linear_backward_weight<T>{.dw = group_of(g.conv_B, k), .dy = dt_group, .x = z_group});
        run(c, op::linear_backward_bias<T>{.db = {g.conv_B_bias.data + k * group_out, group_out}, .dy = dt_group});
      }
      run(c, op::linear_backward_input<T>{.dx = dz_group, .dy = dt_group, .weight = group_of(p.conv_B, k)});
      run(c, op::add_columns<T>{.y = dz, .z = dz_group, .first = k * group_in});
    }
    run(c, op::dropout<T>{
               .y = dinner, .x = dz, .draws = element_draws(c.phase, saved.dropout_site), .sequences = c.sequences});
    if constexpr (trains) {
      run(c, op::linear_backward_weight<T>{.dw = g.conv_A, .dy = dinner, .x = x});
      run(c, op::linear_backward_bias<T>{.db = g.conv_A_bias, .dy = dinner});
    }
    if constexpr (wanted<decltype(dx)>) {
      run(c, op::linear_backward_input<T>{.dx = dt, .dy = dinner, .weight = p.conv_A});
      run(c, op::scaled_add<T>{.y = dx, .x = dshifted, .z = dt});
    }
    c.arena.release_scratch(before);
  }

 private:
  /// The rows of B that make output group g.
  template <class T>
  static Matrix<T> group_of(const Parameter<T, Shape<In, group_in>>& B, Index g) {
    return {B.data + g * group_out * group_in, group_out, group_in};
  }
};

namespace detail {
template <class L, class Tower, bool Adapted, Index Hidden, Index Groups>
struct rep_adapter_layer {
  using type = L;
};
template <Index In, Index Out, class Role, class Tower, Index Hidden, Index Groups>
struct rep_adapter_layer<Linear<In, Out, Role>, Tower, true, Hidden, Groups> {
  using type = RepAdapterLinear<In, Out, Hidden, Groups, Role, role::in<role::adapter, Tower>,
                                role::in<role::adapter_constant, Tower>>;
};
}  // namespace detail

/// The policy: a bottleneck in front of in_proj and of c_fc of the chosen towers. TrainOptions::dropout is its dropout.
template <Index Hidden = 8, Index Groups = 2, class Towers = both_towers>
struct RepAdapter {
  template <class Site, Index D>
  using at = Identity;
  template <class Site, class L>
  using wrap = typename detail::rep_adapter_layer<L, typename Site::tower,
                                                  Towers::template has<typename Site::tower> &&
                                                      (std::is_same_v<typename Site::place, site::in_proj> ||
                                                       std::is_same_v<typename Site::place, site::c_fc>),
                                                  Hidden, Groups>::type;
};

}  // namespace radapt
