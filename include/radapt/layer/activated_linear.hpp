#pragma once
/// y = act(x W^T + b): a linear layer and the activation behind it as one layer, in one pass where nobody reads what is
/// between them.
#include "radapt/layer/activation.hpp"
#include "radapt/layer/linear.hpp"
#include "radapt/layer/visit.hpp"

namespace radapt {

/// L is a Linear. The names of the tensors are L's own. In training h = x W^T + b is kept, for the derivative of the
/// activation; in inference it never exists in memory, on backends that have a kernel for that.
template <class L, Activation Kind>
struct ActivatedLinear : layer_defaults {
  static constexpr auto name = "activated_linear";
  static constexpr Index input_width = L::input_width;
  static constexpr bool overwrites_dy = true;

  template <class X>
  using output = typename L::template output<X>;
  template <template <class, class> class Slot>
  using Params = typename L::template Params<Slot>;

  template <class Tune>
  static constexpr bool trains = trains_any<L, Tune>;
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    detail::visit_layer<L>(f, path, p...);
  }

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = L::template reads_x<X, Tune, Dx>;
  template <class T, class X, class, bool>
  struct SavedHidden {
    View<T, output<X>> h;  // (rows, Out)
    static constexpr void each(auto&& f, auto&... s) { (f(s.h), ...); }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedHidden<T, X, Tune, Dx>;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return bytes_of<T, output<X>>(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_over_scratch(Extent) {
    return 0;
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, output<X>> y, auto& saved) {
    constexpr bool keeps = is_saved<std::remove_reference_t<decltype(saved)>>;
    View<T, output<X>> h = y;
    if constexpr (keeps) {
      keep_buffers(c, saved);
      h = saved.h;
    }
    if constexpr (has_kernel<op::linear_activation_forward<T>, backend_of<decltype(c)>>) {
      const Matrix<T> kept = keeps ? Matrix<T>(h) : Matrix<T>{};
      run(c, op::linear_activation_forward<T>{
                 .y = y, .x = x, .weight = p.weight, .bias = p.bias, .kind = Kind, .h = kept});
    } else {
      Unsaved none;
      L::template forward<T, X>(c, p, x, h, none);
      run(c, op::activation_forward<T>{.y = y, .x = h, .kind = Kind});
    }
  }
  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<const T, output<X>> dy,
                       auto dx) {
    const Arena::Mark before = c.arena.mark();
    const auto dh = c.arena.template scratch<T, output<X>>(dy.rows);
    run(c, op::activation_backward<T>{.dx = dh, .dy = dy, .x = saved.h, .kind = Kind});
    const Unsaved none;
    L::template backward<T, X>(c, p, g, x, Dropped{}, none, dh, dx);
    c.arena.release_scratch(before);
  }
  template <class T, class X>
  static void backward_over(auto& c, const auto& p, auto& g, auto x, auto, const auto& saved, View<T, output<X>> dy,
                            auto dx) {
    run(c, op::activation_backward<T>{.dx = dy, .dy = dy, .x = saved.h, .kind = Kind});
    const Unsaved none;
    L::template backward<T, X>(c, p, g, x, Dropped{}, none, dy, dx);
  }
};

}  // namespace radapt
