#pragma once
/// What a pass over a layer does and takes: the only place that decides whether backward runs, what is kept for it, and
/// how many bytes that is. The planner and the layers read the same constants.
#include "radapt/core/memory.hpp"
#include "radapt/core/random.hpp"
#include "radapt/core/tree.hpp"

namespace radapt {

/// The type of statistics and sums for element T: what a reduction over T is accumulated in.
template <class T>
using statistic_t = std::conditional_t<sizeof(T) == 8, double, float>;

/// What an inference pass keeps of a layer, and a training pass of a layer whose backward never runs.
struct Unsaved {
  static constexpr void each(auto&&, auto&...) {}
};
template <class S>
inline constexpr bool is_saved = !std::is_same_v<std::remove_const_t<S>, Unsaved>;

/// What a layer needs to write its output a second time, with the same bits, without another forward pass.
enum class Rebuild {
  impossible,
  from_saved,        ///< what forward saved
  from_saved_and_x,  ///< that, and its input
};

/// Base of every layer: answers for a layer without parameters that reads nothing back, needs no memory of its own and
/// drops nothing.
///
/// All members are asked only when backward runs. X is the row type of the input, Tune the tuning policy, Dx whether
/// the gradient of the input is wanted, T the element type of activations.
struct layer_defaults {
  /// Gives the parameters their first values. A layer whose values always come from a checkpoint leaves them alone.
  static void initialise(auto&, Random&) {}
  /// Whether a training pass drops single elements, so that equal sequences of a batch come out differently. Adapters
  /// that are dropped as a whole do not count: Phase says whether they are.
  static constexpr bool drops_elements = false;
  /// Whether `forward_onto` writes the sum of a residual stream and the output in one pass.
  static constexpr bool adds_to_stream = false;
  /// Whether there is a `backward_over`, which does what backward does and may write over dy, View<T, output<X>>; and
  /// `backward_over_scratch`, the bytes of scratch at its peak. A chain has it run where dy is an edge of its own.
  static constexpr bool overwrites_dy = false;
  template <template <class, class> class Slot>
  struct Params {
    static constexpr void each(auto&&, auto&...) {}
  };
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = false;  ///< backward reads the input
  template <class X, class Tune, bool Dx>
  static constexpr bool reads_y = false;  ///< backward reads the output
  template <class T, class X, class Tune, bool Dx>
  using Saved = Unsaved;  ///< anything else that forward keeps for backward
  /// Whether `rebuild(c, parameters, x, saved, y)` can write what forward put out, which then need not be kept; and
  /// `rebuild_scratch`, the bytes of scratch at its peak. A layer that inherits from another and runs forward in
  /// another way needs its own answer.
  template <class X, class Tune, bool Dx>
  static constexpr Rebuild rebuilds = Rebuild::impossible;
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent) {
    return 0;
  }  ///< bytes of scratch at the peak of forward
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent) {
    return 0;
  }  ///< bytes of scratch at the peak of backward
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent) {
    return 0;
  }  ///< bytes that backward takes on the kept stack for a while, above what forward left there
};

/// Bytes of an activation.
template <class T, class X>
[[gnu::always_inline]] constexpr Index bytes_of(Extent e, Index width = X::width) {
  return padded(X::rows(e) * width * sizeof(T));
}

namespace detail {
template <class L, class X, class T, class Tune, bool Dx, bool RunsBackward>
struct saved_by {
  using type = Unsaved;
};
template <class L, class X, class T, class Tune, bool Dx>
struct saved_by<L, X, T, Tune, Dx, true> {
  using type = typename L::template Saved<T, X, Tune, Dx>;
};
template <class S>
concept counts_its_bytes = requires(Extent e) {
  S::bytes(e);
};

template <class S>
[[gnu::always_inline]] constexpr Index saved_bytes(Extent e) {
  if constexpr (counts_its_bytes<S>) {
    return S::bytes(e);
  } else {
    Index n = 0;
    const S saved{};
    S::each([&]<class T, class X>(const View<T, X>&) { n += bytes_of<T, X>(e); }, saved);
    return n;
  }
}
}  // namespace detail

/// The plan of layer L on input X: see the file's comment.
template <class L, class X, class T, class Tune, bool Dx>
struct Plan {
  static constexpr bool trains = trains_any<L, Tune>;
  static constexpr bool runs_backward = trains || Dx;
  static constexpr bool reads_x = [] {
    if constexpr (runs_backward) {
      return L::template reads_x<X, Tune, Dx>;
    } else {
      return false;
    }
  }();
  static constexpr bool reads_y = [] {
    if constexpr (runs_backward) {
      return L::template reads_y<X, Tune, Dx>;
    } else {
      return false;
    }
  }();
  static constexpr Rebuild rebuilds = [] {
    if constexpr (runs_backward) {
      return L::template rebuilds<X, Tune, Dx>;
    } else {
      return Rebuild::impossible;
    }
  }();
  using Saved = typename detail::saved_by<L, X, T, Tune, Dx, runs_backward>::type;

  /// Bytes that forward leaves on the kept stack, the edges between L and its neighbours not counted.
  [[gnu::always_inline]] static constexpr Index kept(Extent e) { return detail::saved_bytes<Saved>(e); }
  /// Peak bytes of scratch, the layer's input and output not counted.
  [[gnu::always_inline]] static constexpr Index forward_scratch(Extent e) {
    return L::template forward_scratch<T, X, Tune, Dx>(e);
  }
  [[gnu::always_inline]] static constexpr Index backward_scratch(Extent e) {
    if constexpr (runs_backward) {
      return L::template backward_scratch<T, X, Tune, Dx>(e);
    } else {
      return 0;
    }
  }
  [[gnu::always_inline]] static constexpr Index rebuild_scratch(Extent e) {
    if constexpr (rebuilds != Rebuild::impossible) {
      return L::template rebuild_scratch<T, X, Tune, Dx>(e);
    } else {
      return 0;
    }
  }
  /// Most bytes that backward takes on the kept stack, above what all of forward left there; 0 at its end.
  [[gnu::always_inline]] static constexpr Index backward_kept(Extent e) {
    if constexpr (runs_backward) {
      return L::template backward_kept<T, X, Tune, Dx>(e);
    } else {
      return 0;
    }
  }
};

/// Takes the buffers of a leaf layer's Saved from the kept stack. Empty when nothing is saved.
template <class Saved>
[[gnu::always_inline]] inline void keep_buffers(auto& c, Saved& saved) {
  if constexpr (is_saved<Saved>) {
    const Extent e = c.sequences.extent();
    Saved::each([&]<class T, class X>(View<T, X>& v) { v = c.arena.template keep<T, X>(X::rows(e)); }, saved);
  }
}

}  // namespace radapt
