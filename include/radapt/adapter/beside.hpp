#pragma once
/// An adapter beside a sub-layer: y = main(x) + c s branch(x).
#include "radapt/adapter/branch.hpp"
#include "radapt/layer/sequential.hpp"
#include "radapt/layer/visit.hpp"
#include "radapt/op/columns.hpp"
#include "radapt/op/elementwise.hpp"
#include "radapt/op/update.hpp"

namespace radapt {

namespace detail {
template <class Main, class Branch, class X>
struct beside_output {
  using type = typename Main::template output<X>;
  static constexpr bool the_branch_puts_out_what_the_sublayer_does =
      std::is_same_v<type, typename Branch::template output<X>>;
  static_assert(the_branch_puts_out_what_the_sublayer_does,
                "radapt: a branch beside a sub-layer must put out the width that the sub-layer does; to fix: make the "
                "policy's beside<Site, D> a layer from D to D.");
};
}  // namespace detail

/// y = main(x) + c s branch(x).   x (tokens, In) -> y (tokens, Out); the branch has a scalar parameter `scale`, s.
///
/// c is that of every adapter: 1/(1-p) on kept rows while adapters are dropped, alpha of the ensemble in evaluation.
/// Main and Branch are layers, or Named ones.
template <class Main, class Branch>
struct Beside : detail::AdapterBranch {
  using branch = detail::AdapterBranch;
  using main_layer = detail::layer_of<Main>;
  using branch_layer = detail::layer_of<Branch>;
  static constexpr auto name = "beside";

  template <class X>
  using output = typename detail::beside_output<main_layer, branch_layer, X>::type;

  template <template <class, class> class Slot>
  struct Params {
    typename main_layer::template Params<Slot> main;
    typename branch_layer::template Params<Slot> branch;
    static constexpr void each(auto&& f, auto&... t) {
      f(Label(detail::unnamed<Main>::label), t.main...);
      f(Label(detail::unnamed<Branch>::label), t.branch...);
    }
  };
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    detail::visit_layer<main_layer>(f, join(path, Label(detail::unnamed<Main>::label)), p.main...);
    detail::visit_layer<branch_layer>(f, join(path, Label(detail::unnamed<Branch>::label)), p.branch...);
  }
  template <class Tune>
  static constexpr bool trains = trains_any<main_layer, Tune> || trains_any<branch_layer, Tune>;
  static constexpr bool drops_elements = main_layer::drops_elements || branch_layer::drops_elements;
  static void initialise(auto& p, Random& random) {
    main_layer::initialise(p.main, random);
    branch_layer::initialise(p.branch, random);
  }

  template <class X, class T, class Tune, bool Dx>
  struct Plans {
    using main = Plan<main_layer, X, T, Tune, Dx>;
    using branch = Plan<branch_layer, X, T, Tune, Dx>;
    static_assert(!main::reads_y && !branch::reads_y,
                  "radapt: what stands beside an adapter branch may not read its output in backward, because the sum "
                  "overwrites it; to fix: end it with a linear layer.");
  };
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x =
      Plans<X, float, Tune, Dx>::main::reads_x || Plans<X, float, Tune, Dx>::branch::reads_x;
  template <class T, class X, class Tune, bool Dx>
  struct SavedBoth {
    using plans = Plans<X, T, Tune, Dx>;
    [[no_unique_address]] typename plans::main::Saved main;
    [[no_unique_address]] typename plans::branch::Saved branch;
    View<std::uint8_t, detail::AdapterBranch::Mask> mask;
    static constexpr Index bytes(Extent e) {
      return plans::main::kept(e) + plans::branch::kept(e) + detail::AdapterBranch::mask_bytes(e);
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedBoth<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    using plans = Plans<X, T, Tune, Dx>;
    constexpr bool saved = Dx || trains<Tune>;
    const Index of_main = plans::main::forward_scratch(e);
    const Index of_branch =
        bytes_of<T, output<X>>(e) + (saved ? 0 : branch::mask_bytes(e)) + plans::branch::forward_scratch(e);
    return of_main > of_branch ? of_main : of_branch;
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    using plans = Plans<X, T, Tune, Dx>;
    const Index of_main = plans::main::backward_scratch(e);
    const Index of_branch = plans::branch::runs_backward ? bytes_of<T, output<X>>(e) + (Dx ? bytes_of<T, X>(e) : 0) +
                                                               plans::branch::backward_scratch(e)
                                                         : 0;
    return of_main > of_branch ? of_main : of_branch;
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    using plans = Plans<X, T, Tune, Dx>;
    const Index of_main = plans::main::backward_kept(e), of_branch = plans::branch::backward_kept(e);
    return of_main > of_branch ? of_main : of_branch;
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    using S = std::remove_reference_t<decltype(saved)>;
    if constexpr (is_saved<S>) {
      main_layer::template forward<T, X>(c, p.main, x, y, saved.main);
    } else {
      main_layer::template forward<T, X>(c, p.main, x, y, saved);
    }
    const Arena::Mark before = c.arena.mark();
    View<std::uint8_t, branch::Mask> mask;
    if constexpr (is_saved<S>) {
      mask = saved.mask = c.arena.template keep<std::uint8_t, branch::Mask>(x.rows);
    } else {
      mask = c.arena.template scratch<std::uint8_t, branch::Mask>(x.rows);
    }
    const auto kept = branch::template draw<T>(c, mask.data);
    const auto u = c.arena.template scratch<T, output<X>>(x.rows);
    if constexpr (is_saved<S>) {
      branch_layer::template forward<T, X>(c, p.branch, x, u, saved.branch);
    } else {
      branch_layer::template forward<T, X>(c, p.branch, x, u, saved);
    }
    run(c, op::add_columns<T>{
               .y = y, .z = u, .factor = branch::factor(c.phase), .scale = p.branch.scale.data, .kept = kept});
    c.arena.release_scratch(before);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    using S = std::remove_cvref_t<decltype(saved)>;
    if constexpr (S::plans::main::runs_backward) {
      main_layer::template backward<T, X>(c, p.main, g.main, x, Dropped{}, saved.main, dy, dx);
    }
    if constexpr (S::plans::branch::runs_backward) {
      const Arena::Mark before = c.arena.mark();
      const auto du = c.arena.template scratch<T, output<X>>(dy.rows);
      run(c, op::clear<T>{.x = Vector<T>(du)});
      run(c, op::add_columns<T>{.y = du,
                                .z = dy,
                                .factor = branch::factor(c.phase),
                                .scale = p.branch.scale.data,
                                .kept = branch::drawn(c, saved.mask.data)});
      if constexpr (wanted<decltype(dx)>) {
        const auto from_branch = c.arena.template scratch<T, X>(dy.rows);
        branch_layer::template backward<T, X>(c, p.branch, g.branch, x, Dropped{}, saved.branch, du, from_branch);
        run(c, op::add<T>{.y = dx, .x = from_branch});
      } else {
        branch_layer::template backward<T, X>(c, p.branch, g.branch, x, Dropped{}, saved.branch, du, dx);
      }
      c.arena.release_scratch(before);
    }
  }
};

}  // namespace radapt
