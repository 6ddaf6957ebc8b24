#pragma once
/// Where data becomes tokens: the patch embedding of images and the token embedding of captions.
#include "radapt/backend/run.hpp"
#include "radapt/core/plan.hpp"
#include "radapt/op/embed.hpp"
#include "radapt/op/linear.hpp"

namespace radapt {

/// A batch of normalised square images: (sequences, 3 Size Size), channels first.
template <Index Size>
using Pixels = Samples<3 * Size * Size>;

/// Token ids, one int32 per token: (tokens, 1).
struct TokenRow {
  static constexpr Index width = 1;
  static constexpr bool per_token = true;
  static constexpr Index rows(Extent e) { return e.tokens; }
};

namespace detail {
template <class X, class Wanted, Index Width>
struct embeds {};
template <class X, Index Width>
struct embeds<X, X, Width> {
  using type = Tokens<Width>;
};
}  // namespace detail

/// Patches times the convolution's weight (no bias), the class embedding in front, plus position embeddings.
/// pixels (N, 3 Size Size) -> y (N (1 + g g), Width), g = Size / Patch.
template <Index Size, Index Patch, Index Width, class Role = role::embedding>
struct PatchEmbedding : layer_defaults {
  static_assert(Size % Patch == 0,
                "radapt: the image size must be a multiple of the patch size; to fix: change one of them in the "
                "architecture.");
  static constexpr auto name = "patch_embedding";
  static constexpr Index grid = Size / Patch;
  static constexpr Index patches = grid * grid;
  static constexpr Index tokens = patches + 1;
  static constexpr Index input_width = Pixels<Size>::width;

  template <class X>
  using output = typename detail::embeds<X, Pixels<Size>, Width>::type;

  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<Width>, Role> class_embedding;               // (Width)
    Slot<Shape<Width, 3, Patch, Patch>, Role> conv1;        // (Width, 3, Patch, Patch)
    Slot<Shape<tokens, Width>, Role> positional_embedding;  // (1 + g g, Width)
    static constexpr void each(auto&& f, auto&... t) {
      f("class_embedding", t.class_embedding...);
      f("conv1.weight", t.conv1...);
      f("positional_embedding", t.positional_embedding...);
    }
  };

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;

  using CutOut = Samples<patches * 3 * Patch * Patch>;  // the patches of one image
  using Embedded = Samples<patches * Width>;            // the same, embedded

  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return bytes_of<T, CutOut>(e) + bytes_of<T, Embedded>(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return forward_scratch<T, X, Tune, Dx>(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const parameter_t<T>, X> x, View<T, Tokens<Width>> y, auto&) {
    const Arena::Mark before = c.arena.mark();
    const auto cut = cut_out<T>(c, x);
    const auto embedded = rows_of<Width>(c.arena.template scratch<T, Embedded>(x.rows));
    run(c, op::linear_forward<T>{.y = embedded, .x = cut, .weight = p.conv1});
    run(c, op::assemble_tokens_forward<T>{.y = y,
                                          .patches = embedded,
                                          .class_embedding = p.class_embedding,
                                          .positions = p.positional_embedding,
                                          .sequences = c.sequences});
    c.arena.release_scratch(before);
  }

  template <class T, class X>
  static void backward(auto& c, const auto&, auto& g, auto x, auto, const auto&, View<const T, Tokens<Width>> dy,
                       auto dx) {
    static_assert(!wanted<decltype(dx)>, "radapt: pixels have no gradient; to fix: pass Discard for dx.");
    if constexpr (wanted<decltype(g.conv1)>) {
      const Arena::Mark before = c.arena.mark();
      const auto cut = cut_out<T>(c, x);
      const auto dembedded = rows_of<Width>(c.arena.template scratch<T, Embedded>(x.rows));
      run(c, op::assemble_tokens_backward<T>{.dpatches = dembedded,
                                             .dclass_embedding = g.class_embedding,
                                             .dpositions = g.positional_embedding,
                                             .dy = dy,
                                             .sequences = c.sequences});
      run(c, op::linear_backward_weight<T>{.dw = g.conv1, .dy = dembedded, .x = cut});
      c.arena.release_scratch(before);
    }
  }

 private:
  /// (N, patches * W) seen as (N * patches, W).
  template <Index W, class T, class X>
  static Matrix<T> rows_of(View<T, X> v) {
    return {v.data, v.rows * patches, W};
  }
  template <class T, class X>
  static Matrix<T> cut_out(auto& c, View<const parameter_t<T>, X> x) {
    const auto cut = rows_of<3 * Patch * Patch>(c.arena.template scratch<T, CutOut>(x.rows));
    run(c, op::extract_patches<T>{.patches = cut, .pixels = x, .size = Size, .patch = Patch});
    return cut;
  }
};

/// y_t = table[id_t] + positions[t].   ids (tokens, 1) -> y (tokens, Width).
template <Index Vocabulary, Index Context, Index Width, class Role = role::embedding>
struct TokenEmbedding : layer_defaults {
  static constexpr auto name = "token_embedding";
  static constexpr Index input_width = 1;

  template <class X>
  using output = typename detail::embeds<X, TokenRow, Width>::type;

  template <template <class, class> class Slot>
  struct Params {
    Slot<Shape<Vocabulary, Width>, Role> table;              // (Vocabulary, Width)
    Slot<Shape<Context, Width>, Role> positional_embedding;  // (Context, Width)
    static constexpr void each(auto&& f, auto&... t) {
      f("token_embedding.weight", t.table...);
      f("positional_embedding", t.positional_embedding...);
    }
  };

  template <class X, class Tune, bool Dx>
  static constexpr bool reads_x = Tune::template trains<Role>;

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const std::int32_t, X> ids, View<T, Tokens<Width>> y, auto&) {
    run(c,
        op::embed_tokens_forward<T>{
            .y = y, .ids = ids.data, .table = p.table, .positions = p.positional_embedding, .sequences = c.sequences});
  }
  template <class T, class X>
  static void backward(auto& c, const auto&, auto& g, auto ids, auto, const auto&, View<const T, Tokens<Width>> dy,
                       auto dx) {
    static_assert(!wanted<decltype(dx)>, "radapt: token ids have no gradient; to fix: pass Discard for dx.");
    if constexpr (wanted<decltype(g.table)>) {
      run(c, op::embed_tokens_backward<T>{.dtable = g.table,
                                          .dpositions = g.positional_embedding,
                                          .dy = dy,
                                          .ids = ids.data,
                                          .sequences = c.sequences});
    }
  }
};

}  // namespace radapt
