#pragma once
/// The second factor of products as pair tiles, in the order in which they are read.
#include "radapt/backend/onednn/bf16_tiles/tile_registers.hpp"
#ifdef RADAPT_HAS_AVX512
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/core/memory.hpp"

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// Elements of a sum that are added up before it is put away: of a layer of ViT-L/14, 1,024 wide, all. Putting away
/// counts for more than that the rows' piece, 64 KB, passes the first cache: on tile registers one piece was 1.1 times
/// as good as pieces of 256, 1.25 times before an activation (Xeon with AMX, 768 and 1,024 wide), and on vectors 1024
/// was 1.02 to 1.03 times as good as 768, and 768 1.05 times as 256 (Zen 5).
inline constexpr Index depth_of_sums = 1024;

/// Blocks of 32 rows that pass through a piece of the right factor before the next piece comes. One where there are
/// tile registers: the second cache of those processors, of 2 MB, keeps all pieces of a group.
inline Index blocks_of_span() { return has_tile_registers() ? 1 : 4; }

/// Bytes of the left factor that all groups of columns pass through before the next ones do. Tile registers are done
/// with 1 MB so soon that reading the right factor again counts for more.
inline Index bytes_of_band() { return Index{1} << (has_tile_registers() ? 24 : 20); }

/// How a right factor (inner, columns) is cut. A group of columns, or a piece of one, stays in the second-level cache
/// while rows of the left factor pass by; of a row block, `depth` elements stay near while the group passes by.
struct Blocking {
  Index inner = 0, columns = 0;
  Index most_depth = depth_of_sums, span = blocks_of_span(), band_bytes = bytes_of_band();

  static constexpr Index group_elements = 300'000, most_group_elements = 600'000;  ///< of 1 M that a core's cache holds
  static constexpr Index least_group = 192;  ///< fewer columns read the left factor too often

  constexpr Index padded_inner() const { return rounded_up(inner, tile_depth); }
  constexpr Index padded_columns() const { return rounded_up(columns, 2 * tile_columns); }
  constexpr Index elements() const { return padded_inner() * padded_columns(); }
  constexpr Index depth() const {
    const Index blocks = (padded_inner() + most_depth - 1) / most_depth;
    return rounded_up((padded_inner() + blocks - 1) / blocks, tile_depth);
  }
  constexpr Index pieces() const { return (padded_inner() + depth() - 1) / depth(); }
  /// Steps of the piece from element `from` on.
  constexpr Index steps_from(Index from) const { return std::min(depth(), padded_inner() - from) / tile_depth; }
  constexpr Index group() const {
    constexpr Index panel = 2 * tile_columns;
    const Index near = span == 1 ? padded_inner() : depth();  // elements of a column that the cache keeps
    const Index wanted = std::max(group_elements / near, least_group);
    const Index group = std::min(wanted, most_group_elements / near) / panel * panel;
    return std::min(padded_columns(), std::max(group, panel));
  }
  /// Where the tiles of the panel of 32 columns from `column` on begin, for the sum from `from` on.
  constexpr Index place(Index column, Index from) const {
    const Index first = column / group() * group(), width = std::min(group(), padded_columns() - first);
    return first * padded_inner() + from * width + (column - first) * steps_from(from) * tile_depth;
  }
};

/// Writes panel by panel of w, or of w^T when it is `turned`: then w is (columns, inner). Rows of w lie `stride` apart.
template <class T>
RADAPT_AVX512 void take_right_panel(bf16* tiles, const Blocking& cut, const T* w, Index stride, bool turned,
                                    Index column) {
  for (Index from = 0; from < cut.padded_inner(); from += cut.depth()) {
    bf16* to = tiles + cut.place(column, from);
    for (Index k = from; k < std::min(from + cut.depth(), cut.padded_inner()); k += tile_depth) {
      const Index depth = k < cut.inner ? std::min(tile_depth, cut.inner - k) : 0;
      for (Index c = column; c < column + 2 * tile_columns; c += tile_columns, to += tile_elements) {
        const Index width = c < cut.columns ? std::min(tile_columns, cut.columns - c) : 0;
        const bool empty = depth == 0 || width == 0;
        if (turned) {
          take_row_tile(to, empty ? w : w + c * stride + k, stride, empty ? 0 : width, depth);
          turn_tile(to);
        } else {
          take_pair_tile(to, empty ? w : w + k * stride + c, stride, empty ? 0 : depth, width);
        }
      }
    }
  }
}

/// Writes all tiles of a right factor.
template <class T>
void take_right_factor(bf16* tiles, const Blocking& cut, const T* w, Index stride, bool turned) {
  constexpr Index panel = 2 * tile_columns;
  cpu::parallel_for(cut.padded_columns() / panel, cut.padded_inner() * panel,
                    [&](Index i) { take_right_panel(tiles, cut, w, stride, turned, i * panel); });
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
