#pragma once
/// LoRA (Hu et al., ICLR 2022; methods.md 7.4) on the linear layers of a block: W' = W + s B A, with B = 0 at first.
#include <cmath>

#include "radapt/adapter/branch.hpp"
#include "radapt/adapter/foldable_layers.hpp"
#include "radapt/adapter/site.hpp"
#include "radapt/core/weights.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/op/columns.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

/// s = alpha / r, the published scale, and alpha / sqrt(r), that of rsLoRA (Kalajdzievski, 2023), under which large
/// ranks learn as fast as small ones.
struct lora_scale {
  static double of(double alpha, Index rank) { return alpha / static_cast<double>(rank); }
};
struct rank_stabilised_scale {
  static double of(double alpha, Index rank) { return alpha / std::sqrt(static_cast<double>(rank)); }
};

namespace detail {

/// Which of `Count` equal slices of a layer's outputs have a LoRA of their own.
template <bool... Adapted>
struct adapted_slices {
  static constexpr Index count = sizeof...(Adapted);
  static constexpr bool has[count] = {Adapted...};
  static constexpr Index adapted = (Index{0} + ... + Index{Adapted});
  /// The slice that the n-th LoRA is for.
  static constexpr Index slice_of(Index n) {
    Index slice = 0;
    for (; !has[slice] || n > 0; ++slice) { n -= has[slice] ? 1 : 0; }
    return slice;
  }
};

}  // namespace detail

/// y = x W^T + b + c s (B (A x) on every adapted slice of y).   x (rows, In) -> y (rows, Out).
///
/// Slices are equal parts of the outputs: q, k and v of a fused projection. Each adapted one has A (R, In) and
/// B (Out / slices, R); s = alpha / r is a number of the layer. c is that of every adapter: 1/(1-p) on kept rows while
/// adapters are dropped, alpha of the ensemble in evaluation.
/// Backward, z = A x: dB += c s dy^T z, dz = dy B, dA += c s dz^T x, dx = dy W + c s dz A.
template <Index In, Index Out, Index R, class Slices, class Scale, class Role, class AdapterRole, class ConstantRole>
struct LoraLinear : detail::AdapterBranch {
  using Base = Linear<In, Out, Role>;
  using branch = detail::AdapterBranch;
  static_assert(R > 0, "radapt: the rank of a LoRA must be at least 1; to fix: give Lora<...> a rank.");
  static constexpr auto name = "lora_linear";
  static constexpr Index input_width = In;
  static constexpr Host folds_into = Host::itself;
  static constexpr Index adapted = Slices::adapted, slice_width = Out / Slices::count;

  template <class X>
  using output = typename Base::template output<X>;

  template <template <class, class> class Slot>
  struct Params : Base::template Params<Slot> {
    Slot<Shape<>, ConstantRole> lora_scaling;                          // s ()
    Slot<Shape<R, In>, AdapterRole> lora_A[Slices::adapted];           // (R, In)
    Slot<Shape<slice_width, R>, AdapterRole> lora_B[Slices::adapted];  // (Out / slices, R)
    static constexpr void each(auto&& f, auto&... t) {
      Base::template Params<Slot>::each(f, t...);
      f("lora_scaling", t.lora_scaling...);
      for (Index n = 0; n < Slices::adapted; ++n) {
        constexpr std::string_view A[] = {"q.lora_A", "k.lora_A", "v.lora_A"};
        constexpr std::string_view B[] = {"q.lora_B", "k.lora_B", "v.lora_B"};
        f(Slices::count == 1 ? Label("lora_A") : Label(A[Slices::slice_of(n)]), t.lora_A[n]...);
        f(Slices::count == 1 ? Label("lora_B") : Label(B[Slices::slice_of(n)]), t.lora_B[n]...);
      }
    }
  };

  /// A uniform in +-1 / sqrt(In), which is Kaiming's with a = sqrt(5); B = 0; alpha = r, PEFT's default.
  static void initialise(auto& p, Random& random) {
    using T = std::remove_reference_t<decltype(*p.lora_A[0].data)>;
    const double bound = 1.0 / std::sqrt(static_cast<double>(In));
    *p.lora_scaling.data = static_cast<T>(Scale::of(static_cast<double>(R), R));
    for (Index n = 0; n < adapted; ++n) {
      for (Index i = 0; i < p.lora_A[n].size(); ++i) {
        p.lora_A[n].data[i] = static_cast<T>(random.uniform(-bound, bound));
      }
      for (Index i = 0; i < p.lora_B[n].size(); ++i) { p.lora_B[n].data[i] = 0; }
    }
  }

  /// What is added to W as factors: s B (Out, adapted R), zero off the slices, and A (adapted R, In), in double.
  static ProductFactors factors(const auto& p) {
    const auto s = static_cast<double>(*p.lora_scaling.data);
    ProductFactors f{detail::DoubleMatrix(Out, adapted * R), detail::DoubleMatrix(adapted * R, In)};
    for (Index n = 0; n < adapted; ++n) {
      for (Index i = 0; i < R * In; ++i) { f.A.data()[n * R * In + i] = static_cast<double>(p.lora_A[n].data[i]); }
      for (Index i = 0; i < slice_width; ++i) {
        double* const row = f.B.data() + (Slices::slice_of(n) * slice_width + i) * adapted * R + n * R;
        for (Index j = 0; j < R; ++j) { row[j] = s * static_cast<double>(p.lora_B[n].data[i * R + j]); }
      }
    }
    return f;
  }
  /// The same as one matrix (Out, In).
  static detail::DoubleMatrix product(const auto& p) {
    const ProductFactors f = factors(p);
    return detail::multiply(f.B, f.A);
  }
  /// W += alpha s B A on every adapted slice; untouched when alpha is 0. The bias stays.
  template <class T>
  static void fold(double alpha, const auto& p, Matrix<T> weight, Vector<T>) {
    if (alpha != 0.0) { detail::add_to(weight, alpha, product(p)); }
  }

  template <class Tune>
  static constexpr bool trains_lora = Tune::template trains<AdapterRole>;
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = trains_lora<Tune> || Base::template reads_x<X, Tune, Dx>;
  template <class X>
  using Inner = typename X::template with<R>;
  template <class X>
  using Slice = typename X::template with<slice_width>;
  template <class T, class X, class, bool>
  struct SavedInner {
    View<std::uint8_t, branch::Mask> mask;
    View<T, Inner<X>> z[Slices::adapted];  // (rows, R) each
    static constexpr void each(auto&& f, auto&... s) {
      (f(s.mask), ...);
      for (Index n = 0; n < Slices::adapted; ++n) { f(s.z[n]...); }
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedInner<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    constexpr bool saved = Dx || trains_any<LoraLinear, Tune>;
    return bytes_of<T, Slice<X>>(e) + (saved ? 0 : branch::mask_bytes(e) + bytes_of<T, Inner<X>>(e));
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return (Slices::count > 1 ? bytes_of<T, Slice<X>>(e) : 0) + bytes_of<T, Inner<X>>(e) + (Dx ? bytes_of<T, X>(e) : 0);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    constexpr bool keeps = is_saved<std::remove_reference_t<decltype(saved)>>;
    Unsaved none;
    Base::template forward<T, X>(c, p, x, y, none);
    const Arena::Mark before = c.arena.mark();
    View<std::uint8_t, branch::Mask> mask;
    View<T, Inner<X>> z;
    if constexpr (keeps) {
      keep_buffers(c, saved);
      mask = saved.mask;
    } else {
      mask = c.arena.template scratch<std::uint8_t, branch::Mask>(x.rows);
      z = c.arena.template scratch<T, Inner<X>>(x.rows);
    }
    const auto kept = branch::template draw<T>(c, mask.data);
    const auto u = c.arena.template scratch<T, Slice<X>>(x.rows);
    for (Index n = 0; n < adapted; ++n) {
      if constexpr (keeps) { z = saved.z[n]; }
      run(c, op::linear_forward<T>{.y = z, .x = x, .weight = p.lora_A[n], .kept = kept});
      run(c, op::linear_forward<T>{.y = u, .x = z, .weight = p.lora_B[n], .kept = kept});
      run(c, op::add_columns<T>{.y = y,
                                .z = u,
                                .first = Slices::slice_of(n) * slice_width,
                                .factor = branch::factor(c.phase),
                                .scale = p.lora_scaling.data,
                                .kept = kept});
    }
    c.arena.release_scratch(before);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto y, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    constexpr bool trains = wanted<std::remove_cvref_t<decltype(g.lora_B[0])>>;
    Unsaved none;
    Base::template backward<T, X>(c, p, g, x, y, none, dy, dx);
    const auto kept = branch::drawn(c, saved.mask.data);
    const double factor = branch::factor(c.phase);
    const auto* const scale = p.lora_scaling.data;
    const Arena::Mark before = c.arena.mark();
    View<const T, Slice<X>> du;
    View<T, Slice<X>> slice;
    if constexpr (Slices::count > 1) {
      du = slice = c.arena.template scratch<T, Slice<X>>(dy.rows);
    } else {
      du = {dy.data, dy.rows};
    }
    const auto dz = c.arena.template scratch<T, Inner<X>>(dy.rows);
    [[maybe_unused]] const auto from_branch = [&] {
      if constexpr (wanted<decltype(dx)>) {
        return c.arena.template scratch<T, X>(dy.rows);
      } else {
        return Discard{};
      }
    }();
    for (Index n = 0; n < adapted; ++n) {
      if constexpr (Slices::count > 1) {
        run(c, op::take_columns<T>{.y = slice, .x = dy, .first = Slices::slice_of(n) * slice_width});
      }
      run(c, op::linear_backward_input<T>{.dx = dz, .dy = du, .weight = p.lora_B[n], .kept = kept});
      if constexpr (trains) {
        run(c, op::linear_backward_weight<T>{
                   .dw = g.lora_B[n], .dy = du, .x = saved.z[n], .factor = factor, .scale = scale, .kept = kept});
        run(c, op::linear_backward_weight<T>{
                   .dw = g.lora_A[n], .dy = dz, .x = x, .factor = factor, .scale = scale, .kept = kept});
      }
      if constexpr (wanted<decltype(dx)>) {
        run(c, op::linear_backward_input<T>{.dx = from_branch, .dy = dz, .weight = p.lora_A[n], .kept = kept});
        run(c, op::scaled_add<T>{.y = dx, .x = dx, .z = from_branch, .factor = factor, .scale = scale, .kept = kept});
      }
    }
    c.arena.release_scratch(before);
  }
};

namespace detail {
/// Whether all of them are linear layers, or the q, k and v that in_proj holds.
template <class... Sites>
inline constexpr bool are_linear_sites = sizeof...(Sites) > 0 &&
                                         ((std::is_same_v<Sites, site::q> || std::is_same_v<Sites, site::k> ||
                                           std::is_same_v<Sites, site::v> || std::is_same_v<Sites, site::in_proj> ||
                                           std::is_same_v<Sites, site::out_proj> || std::is_same_v<Sites, site::c_fc> ||
                                           std::is_same_v<Sites, site::c_proj>)&&...);
}  // namespace detail

/// Linear layers by their sites: `on<site::q, site::v>`.
template <class... Sites>
struct on {
  static_assert(detail::are_linear_sites<Sites...>,
                "radapt: LoRA adapts linear layers; to fix: name any of site::q, k, v, in_proj, out_proj, c_fc and "
                "c_proj in on<...>.");
  template <class Site>
  static constexpr bool has = (std::is_same_v<Site, Sites> || ...);
};

namespace detail {

/// The layer in the place of L at a site of which Targets adapt some slices or none.
template <class L, class Tower, class Slices, Index R, class Scale>
struct lora_layer {
  using type = L;
};
template <Index In, Index Out, class Role, class Tower, class Slices, Index R, class Scale>
requires(Slices::adapted > 0) struct lora_layer<Linear<In, Out, Role>, Tower, Slices, R, Scale> {
  using type = LoraLinear<In, Out, R, Slices, Scale, Role, role::in<role::adapter, Tower>,
                          role::in<role::adapter_constant, Tower>>;
};

template <class Targets, class Place>
struct lora_slices {
  using type = adapted_slices<Targets::template has<Place>>;
};
template <class Targets>
struct lora_slices<Targets, site::in_proj> {
  static constexpr bool all = Targets::template has<site::in_proj>;
  using type = adapted_slices<all || Targets::template has<site::q>, all || Targets::template has<site::k>,
                              all || Targets::template has<site::v>>;
};

}  // namespace detail

/// The policy: LoRA of rank R on the linear layers that Targets names, any of site::q, k, v (site::in_proj is all
/// three), out_proj, c_fc and c_proj, of the chosen towers. alpha is data (set_lora_alpha).
template <Index R, class Targets = on<site::q, site::v>, class Scale = lora_scale, class Towers = both_towers>
struct Lora {
  static_assert(
      requires { Targets::template has<site::q>; },
      "radapt: the layers that LoRA adapts are a list; to fix: write on<site::q, ...> around them.");
  static constexpr Index rank = R;
  using scale = Scale;
  template <class Site, Index D>
  using at = Identity;
  template <class Site, class L>
  using wrap =
      typename detail::lora_layer<L, typename Site::tower,
                                  std::conditional_t<Towers::template has<typename Site::tower>,
                                                     typename detail::lora_slices<Targets, typename Site::place>::type,
                                                     detail::adapted_slices<false>>,
                                  R, Scale>::type;
};

/// Sets alpha of every LoRA of `weights`: s = alpha / r or alpha / sqrt(r), as the policy says. Error: alpha is no
/// finite number above 0.
template <class M, class T>
void set_lora_alpha(Weights<M, T>& weights, double alpha) {
  if (!(std::isfinite(alpha) && alpha > 0.0)) {
    fail({.what = "set_lora_alpha",
          .expected = "a finite number above 0",
          .got = std::to_string(alpha),
          .hint = "PEFT calls it lora_alpha; common values are r and 2 r"});
  }
  const double scaling = M::policy::scale::of(alpha, M::policy::rank);
  for (const Tensor<T>& tensor : weights.tensors()) {
    if (tensor.name().ends_with("lora_scaling")) { *tensor.data = static_cast<T>(scaling); }
  }
}

}  // namespace radapt
