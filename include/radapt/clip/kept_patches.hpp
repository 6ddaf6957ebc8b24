#pragma once
/// The image tower on some of an image's patches: the others are not there, in attention either (methods.md 7.11, "no
/// fill").
#include <cstdint>
#include <span>
#include <vector>

#include "radapt/clip/clip.hpp"
#include "radapt/op/pool.hpp"

namespace radapt {

/// A patch embedding whose output holds the class token and the kept patches of every image, with their own positions.
///
/// The input is (N, 3 Size Size) pixels and behind all of them (N, patches) flags, 0 for a patch that is left out; a
/// row of it is counted as both together. The sequences of the context are the kept tokens, packed: see kept_sequences.
template <class Embedding>
struct KeptPatchEmbedding : Embedding {
  static constexpr auto name = "kept_patch_embedding";
  static constexpr Index patches = Embedding::patches, tokens = Embedding::tokens;
  static constexpr Index pixels = Embedding::input_width, input_width = pixels + patches;
  using Row = Samples<input_width>;
  using PixelRow = Samples<pixels>;
  using Token = typename Embedding::template output<PixelRow>;
  using AllTokens = Samples<tokens * Token::width>;  // those of one image, none left out

  template <class X>
  using output = typename detail::embeds<X, Row, Token::width>::type;

  template <class T, class X, class Tune, bool Dx>
  static constexpr Index forward_scratch(Extent e) {
    return bytes_of<T, AllTokens>(e) + Embedding::template forward_scratch<T, PixelRow, Tune, Dx>(e);
  }
  template <class T, class X, class Tune, bool Dx>
  static constexpr Index backward_scratch(Extent e) {
    return bytes_of<T, AllTokens>(e) + Embedding::template backward_scratch<T, PixelRow, Tune, Dx>(e);
  }

  template <class T, class X>
  static void forward(auto& c, const auto& p, View<const parameter_t<T>, X> x, View<T, Token> y, auto& saved) {
    const Arena::Mark before = c.arena.mark();
    const auto all = all_tokens(c.arena.template scratch<T, AllTokens>(x.rows));
    on_all_tokens(c, x.rows, [&] {
      Embedding::template forward<T, PixelRow>(c, p, View<const parameter_t<T>, PixelRow>{x.data, x.rows}, all, saved);
    });
    const std::vector<Index> kept = kept_rows(x);
    run(c, op::pool_forward<T>{.y = y, .x = all, .sequences = single_rows(kept)});
    c.arena.release_scratch(before);
  }

  template <class T, class X>
  static void backward(auto& c, const auto& p, auto& g, View<const parameter_t<T>, X> x, auto, const auto& saved,
                       View<const T, Token> dy, auto dx) {
    const Arena::Mark before = c.arena.mark();
    const auto all = all_tokens(c.arena.template scratch<T, AllTokens>(x.rows));
    const std::vector<Index> kept = kept_rows(x);
    run(c, op::pool_backward<T>{.dx = all, .dy = dy, .sequences = single_rows(kept)});
    on_all_tokens(c, x.rows, [&] {
      Embedding::template backward<T, PixelRow>(c, p, g, View<const parameter_t<T>, PixelRow>{x.data, x.rows},
                                                Dropped{}, saved, View<const T, Token>{all.data, all.rows}, dx);
    });
    c.arena.release_scratch(before);
  }

 private:
  template <class T>
  static View<T, Token> all_tokens(View<T, AllTokens> v) {
    return {v.data, v.rows * tokens};
  }
  /// Runs `f` with the sequences of whole images.
  static void on_all_tokens(auto& c, Index images, auto&& f) {
    const Sequences packed = c.sequences;
    c.sequences = {.count = images, .uniform_length = tokens};
    f();
    c.sequences = packed;
  }
  /// Rows of all tokens that are kept: the class token of every image and its patches whose flag is not 0.
  template <class T, class X>
  static std::vector<Index> kept_rows(View<const T, X> x) {
    const T* const flags = x.data + x.rows * pixels;
    std::vector<Index> kept;
    for (Index i = 0; i < x.rows; ++i) {
      kept.push_back(i * tokens);
      for (Index k = 0; k < patches; ++k) {
        if (flags[i * patches + k] != T{0}) { kept.push_back(i * tokens + 1 + k); }
      }
    }
    return kept;
  }
  /// A sequence for each kept row: see op::pools_single_rows.
  static Sequences single_rows(const std::vector<Index>& kept) {
    return {.count = kept.size(), .uniform_length = 0, .pooled = kept.data()};
  }
};

namespace detail {
template <class Embedding, class... Rest>
Sequential<Named<"", KeptPatchEmbedding<Embedding>>, Rest...> with_kept_patches(
    const Sequential<Named<"", Embedding>, Rest...>*);
}  // namespace detail

/// The tower that takes kept patches in the place of images; its weights are those of Tower.
template <class Tower>
using KeptPatchTower = decltype(detail::with_kept_patches(static_cast<const Tower*>(nullptr)));

/// Where the kept tokens of each image begin, packed: (images + 1) rows from 0. `kept` is (images, patches).
inline std::vector<Index> kept_offsets(std::span<const std::uint8_t> kept, Index patches) {
  std::vector<Index> offsets{0};
  for (Index i = 0; i < kept.size(); i += patches) {
    Index tokens = 1;
    for (Index k = 0; k < patches; ++k) { tokens += kept[i + k] != 0 ? 1U : 0U; }
    offsets.push_back(offsets.back() + tokens);
  }
  return offsets;
}

}  // namespace radapt
