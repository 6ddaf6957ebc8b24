#pragma once
/// N blocks of one type, one behind the other: compiled once, however many there are.
#include <algorithm>

#include "radapt/core/plan.hpp"
#include "radapt/layer/residual.hpp"

namespace radapt {

/// y = block_{N-1}(... block_0(x)). Tensors of block i carry the number First + i. Nothing below block 0 may want a
/// gradient, so block 0 has a plan of its own.
template <Index N, class Block, Index First = 0>
struct Repeat : layer_defaults {
  static_assert(N > 0, "radapt: a Repeat needs at least one block; to fix: leave it out of the chain.");
  static constexpr auto name = "repeat";
  static constexpr Index blocks = N;
  static constexpr bool overwrites_dy = N > 2;
  using block_layer = Block;

  template <class X>
  using output = typename detail::residual_output<Block, X>::type;

  template <template <class, class> class Slot>
  struct Params {
    typename Block::template Params<Slot> block[N];
    static constexpr void each(auto&& f, auto&... t) {
      for (Index i = 0; i < N; ++i) { f(Label(First + i), t.block[i]...); }
    }
  };

  template <class Tune>
  static constexpr bool trains = trains_any<Block, Tune>;
  static constexpr bool drops_elements = Block::drops_elements;
  template <class... P>
  static void each_layer(auto&& f, const std::string& path, P&... p) {
    for (Index i = 0; i < N; ++i) { detail::visit_layer<Block>(f, join(path, Label(First + i)), p.block[i]...); }
  }
  static void initialise(auto& p, Random& random) {
    for (Index i = 0; i < N; ++i) { Block::initialise(p.block[i], random); }
  }

  template <class X, class T, class Tune, bool Dx>
  struct BlockPlans {
    using first = Plan<Block, X, T, Tune, Dx>;
    using rest = Plan<Block, X, T, Tune, Dx || trains_any<Block, Tune>>;
    static_assert(!rest::reads_y && !first::reads_y,
                  "radapt: a block of a Repeat may not read its output in backward; to fix: end it with a Residual.");
    /// Whether the input of a block is written again from what the block in front of it saved.
    static constexpr bool rebuilds_edges =
        rest::reads_x && first::rebuilds == Rebuild::from_saved && rest::rebuilds == Rebuild::from_saved;
    static constexpr bool keeps_edges = rest::reads_x && !rebuilds_edges;
  };

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = BlockPlans<X, float, Tune, Dx>::first::reads_x;
  template <class T, class X, class Tune, bool Dx>
  struct SavedBlocks {
    using plans = BlockPlans<X, T, Tune, Dx>;
    [[no_unique_address]] typename plans::first::Saved first;
    typename plans::rest::Saved rest[N];           // entry i belongs to block i; entry 0 is unused
    View<T, X> input[plans::keeps_edges ? N : 1];  // entry i is the input of block i; entry 0 is the caller's
    static constexpr Index bytes(Extent e) {
      return plans::first::kept(e) + (N - 1) * (plans::rest::kept(e) + (plans::keeps_edges ? bytes_of<T, X>(e) : 0));
    }
  };
  template <class T, class X, class Tune, bool Dx>
  using Saved = SavedBlocks<T, X, Tune, Dx>;

  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    using plans = BlockPlans<X, T, Tune, Dx>;
    const Index edge = plans::keeps_edges ? 0 : bytes_of<T, X>(e);
    return peak(plans::first::forward_scratch(e), plans::rest::forward_scratch(e), edge);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return most_of_a_block_backward<T, X, Tune, Dx>(e) + std::min(N - 1, Index{2}) * bytes_of<T, X>(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_over_scratch(Extent e) {
    return most_of_a_block_backward<T, X, Tune, Dx>(e) + bytes_of<T, X>(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_kept(Extent e) {
    using plans = BlockPlans<X, T, Tune, Dx>;
    const Index first = plans::first::backward_kept(e), rest = N > 1 ? plans::rest::backward_kept(e) : 0;
    return first > rest ? first : rest;
  }

  template <class T, class X, class S>
  static void forward(auto& c, const auto& p, View<const T, X> x, View<T, X> y, S& saved) {
    const Index rows = x.rows;
    View<const T, X> in = x;
    Arena::Mark before_in = c.arena.mark();
    for (Index i = 0; i < N; ++i) {
      const Arena::Mark before_out = c.arena.mark();
      View<T, X> out = y;
      if constexpr (keeps_edges<S>) {
        if (i + 1 < N) { out = saved.input[i + 1] = c.arena.template keep<T, X>(rows); }
      } else {
        if (i + 1 < N) { out = c.arena.template scratch<T, X>(rows, end_of_input(i + 1)); }
      }
      if constexpr (is_saved<S>) {
        if (i == 0) {
          Block::template forward<T, X>(c, p.block[0], in, out, saved.first);
        } else {
          Block::template forward<T, X>(c, p.block[i], in, out, saved.rest[i]);
        }
      } else {
        Block::template forward<T, X>(c, p.block[i], in, out, saved);
      }
      if (!keeps_edges<S> && i > 0) { c.arena.release_scratch(before_in, end_of_input(i)); }
      before_in = before_out;
      in = out;
    }
  }

  template <class T, class X, class S>
  static void backward(auto& c, const auto& p, auto& g, auto x, auto, const S& saved, View<const T, X> dy, auto dx) {
    const Arena::Mark before = c.arena.mark();
    View<T, X> gradients[2];  // of a block's input and output, in turn
    for (Index i = 0; i + 1 < N && i < 2; ++i) { gradients[i] = c.arena.template scratch<T, X>(dy.rows); }
    backward_through<T, X>(c, p, g, x, saved, dy, dx, gradients);
    c.arena.release_scratch(before);
  }
  /// Every other gradient between blocks lies where dy was.
  template <class T, class X, class S>
  static void backward_over(auto& c, const auto& p, auto& g, auto x, auto, const S& saved, View<T, X> dy, auto dx) {
    const Arena::Mark before = c.arena.mark();
    const View<T, X> gradients[2] = {c.arena.template scratch<T, X>(dy.rows), dy};
    backward_through<T, X>(c, p, g, x, saved, View<const T, X>(dy), dx, gradients);
    c.arena.release_scratch(before);
  }

 private:
  template <class T, class X, class S>
  static void backward_through(auto& c, const auto& p, auto& g, auto x, const S& saved, View<const T, X> dy, auto dx,
                               const View<T, X> (&gradients)[2]) {
    View<const T, X> dout = dy;
    for (Index i = N; i-- > 1;) {
      const View<T, X> din = gradients[(N - 1 - i) % 2];
      const Arena::Mark before = c.arena.mark();
      const auto in = input<T, X>(c, p, i, dy.rows, saved);
      Block::template backward<T, X>(c, p.block[i], g.block[i], in, Dropped{}, saved.rest[i], dout, din);
      c.arena.release_scratch(before);
      dout = din;
    }
    Block::template backward<T, X>(c, p.block[0], g.block[0], x, Dropped{}, saved.first, dout, dx);
  }
  /// The input of block i > 0 for its backward.
  template <class T, class X, class S>
  static auto input(auto& c, const auto& p, Index i, Index rows, const S& saved) {
    if constexpr (S::plans::keeps_edges) {
      return View<T, X>(saved.input[i]);
    } else if constexpr (S::plans::rebuilds_edges) {
      const auto x = c.arena.template scratch<T, X>(rows);
      if (i == 1) {
        Block::template rebuild<T, X>(c, p.block[0], Dropped{}, saved.first, x);
      } else {
        Block::template rebuild<T, X>(c, p.block[i - 1], Dropped{}, saved.rest[i - 1], x);
      }
      return x;
    } else {
      return Dropped{};
    }
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index most_of_a_block_backward(Extent e) {
    using plans = BlockPlans<X, T, Tune, Dx>;
    if (N == 1) { return plans::first::backward_scratch(e); }
    Index rest = plans::rest::backward_scratch(e);
    if constexpr (plans::rebuilds_edges) {
      rest = bytes_of<T, X>(e) +
             std::max({rest, plans::first::rebuild_scratch(e), N > 2 ? plans::rest::rebuild_scratch(e) : 0});
    }
    return std::max(plans::first::backward_scratch(e), rest);
  }
  template <class S>
  static constexpr bool keeps_edges = [] {
    if constexpr (is_saved<S>) {
      return S::plans::keeps_edges;
    } else {
      return false;
    }
  }();
  static constexpr End end_of_input(Index i) { return i % 2 == 0 ? End::low : End::high; }

  /// Most bytes alive at once: a block's own, its input and its output, where the two ends of the chain are the
  /// caller's.
  static constexpr Index peak(Index first, Index rest, Index edge) {
    Index most = first + (N > 1 ? edge : 0);
    if (N > 1 && rest + edge > most) { most = rest + edge; }
    if (N > 2 && rest + 2 * edge > most) { most = rest + 2 * edge; }
    return most;
  }
};

}  // namespace radapt
