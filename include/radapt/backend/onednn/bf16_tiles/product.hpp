#pragma once
/// Products of bf16 with sums in float, on tiles, and what follows them in the same pass.
///
/// A block of 32 x 32 sums is in four tile registers. For 32 rows of the left factor, a group of columns (see Blocking)
/// is passed through in pieces of `depth`, whose sums wait in a buffer of the size of the second-level cache. Per step
/// four tiles are loaded for four multiplied.
#include <optional>

#include "radapt/backend/onednn/avx512/vector_math.hpp"
#include "radapt/backend/onednn/bf16_tiles/block.hpp"
#include "radapt/backend/onednn/bf16_tiles/right_factor.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// What becomes of the sums s (rows, columns) of a product: y = h = s + bias, y = residual + h, or y = act(h), where h
/// is rounded to what is stored; or y += factor s.
template <class Y>
struct Result {
  Y* y;
  Index stride;                 ///< elements of y, and of residual, from row to row
  const float* bias = nullptr;  ///< (columns) or null
  const Y* residual = nullptr;  ///< (rows, columns) or null
  std::optional<Activation> activation{};
  Y* h = nullptr;  ///< (rows, columns), rows like those of y; or null
  bool add = false;
  float factor = 1.0F;
};

/// A left factor (rows, inner) whose rows are read where they lie, or copied a block of 32 at a time; rows of x lie
/// `stride` elements apart.
template <class T>
struct LeftFactor {
  const T* x;
  Index rows, inner, stride;
  bool turned = false;  ///< x is (inner, rows): the factor is x^T

  /// Whether a full block of rows is read where it lies.
  bool lies_well() const { return std::is_same_v<T, bf16> && !turned && inner % tile_depth == 0; }
};

/// The 32 rows from `first` on where they lie.
template <class T>
LeftTiles tiles_in_place(const LeftFactor<T>& a, Index first) {
  if constexpr (std::is_same_v<T, bf16>) {
    return {a.x + first * a.stride, tile_depth, static_cast<int>(a.stride * sizeof(bf16))};
  } else {
    return {};
  }
}

/// The rows from `first` on, at most 32, as row tiles: [steps][2].
template <class T>
RADAPT_AVX512 void take_left_block(bf16* tiles, const LeftFactor<T>& a, Index first) {
  for (Index k = 0; k < a.inner; k += tile_depth) {
    const Index depth = std::min(tile_depth, a.inner - k);
    for (Index r = first; r < first + row_block; r += tile_rows, tiles += tile_elements) {
      const Index rows = r < a.rows ? std::min(tile_rows, a.rows - r) : 0;
      if (a.turned) {
        take_pair_tile(tiles, rows == 0 ? a.x : a.x + k * a.stride + r, a.stride, rows == 0 ? 0 : depth, rows);
        turn_tile(tiles);
      } else {
        take_row_tile(tiles, rows == 0 ? a.x : a.x + r * a.stride + k, a.stride, rows, depth);
      }
    }
  }
}

/// Sixteen floats of a row, and the sixteen beside them.
struct Halves {
  __m512 left, right;
};

/// x[0 .. n - 1] as floats; n >= 32 is 32, and other lanes are 0.
template <class T>
RADAPT_AVX512_PART Halves load_halves(const T* x, Index n) {
  return {load_as_floats(x, n), n > 16 ? load_as_floats(x + 16, n - 16) : _mm512_setzero_ps()};
}

/// y[0 .. n - 1] = the first lanes of v; 32 of bf16 are one store, of a whole line of the cache where rows begin with
/// one.
template <class T>
RADAPT_AVX512_PART void store_halves(T* y, Halves v, Index n) {
  if constexpr (std::is_same_v<T, bf16>) {
    if (n >= 32) { return _mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(v.right, v.left)); }
  }
  store_floats(y, v.left, n);
  if (n > 16) { store_floats(y + 16, v.right, n - 16); }
}

/// Writes the sums of one block: `rows` of them, the columns from `column` on.
template <class Y>
RADAPT_AVX512 void finish_panel(const Result<Y>& result, const float* sums, Index first_row, Index rows, Index column,
                                Index columns) {
  const Index n = columns - column;
  const Halves bias =
      result.bias == nullptr ? Halves{_mm512_setzero_ps(), _mm512_setzero_ps()} : load_halves(result.bias + column, n);
  const __m512 factor = _mm512_set1_ps(result.factor);
  for (Index r = 0; r < rows; ++r) {
    const float* const from = sums + r / tile_rows * 2 * tile_sums + r % tile_rows * tile_columns;
    const Index at = (first_row + r) * result.stride + column;
    Halves v{_mm512_loadu_ps(from), _mm512_loadu_ps(from + tile_sums)};
    if (result.add) {
      const Halves y = load_halves(result.y + at, n);
      v = {_mm512_fmadd_ps(v.left, factor, y.left), _mm512_fmadd_ps(v.right, factor, y.right)};
    } else {
      v = {_mm512_add_ps(v.left, bias.left), _mm512_add_ps(v.right, bias.right)};
      if (result.activation || result.residual != nullptr) { v = {rounded_to<Y>(v.left), rounded_to<Y>(v.right)}; }
      if (result.activation) {
        if (result.h != nullptr) { store_halves(result.h + at, v, n); }
        v = {activated(*result.activation, v.left), activated(*result.activation, v.right)};
      }
      if (result.residual != nullptr) {
        const Halves residual = load_halves(result.residual + at, n);
        v = {_mm512_add_ps(v.left, residual.left), _mm512_add_ps(v.right, residual.right)};
      }
    }
    store_halves(result.y + at, v, n);
  }
}

/// Asks for what finish_panel will read besides sums: it is in no near cache, and a block takes long to multiply.
template <class Y>
RADAPT_AVX512_PART void ask_for_residual(const Result<Y>& result, Index first_row, Index rows, Index column) {
  if (result.residual == nullptr) { return; }
  for (Index r = 0; r < rows; ++r) {
    _mm_prefetch(reinterpret_cast<const char*>(result.residual + (first_row + r) * result.stride + column),
                 _MM_HINT_T0);
  }
}

/// The floats that a thread needs beside the tiles of a left block.
inline Index sums_of_group(const Blocking& cut) { return cut.group() * row_block; }

/// One task: blocks of rows, and columns of one group.
struct Part {
  Index first_block, end_block, begin, end;
  float* sums;
  bf16* left;  ///< room for a block of the left factor
};

/// Rows of a left factor that will be read where they lie, after those that are being multiplied.
struct NextRows {
  const bf16* data = nullptr;  ///< null: there are none, or they would take too much of the cache
  Index stride = 0;
};

/// Asks for the rows [begin, end) of a piece of a sum.
RADAPT_AVX512_PART void ask_for(const NextRows& rows, Index begin, Index end, Index from, Index steps) {
  for (Index r = begin; r < end; ++r) {
    for (Index k = 0; k < steps; ++k) {
      const bf16* const line = rows.data + r * rows.stride + from + k * tile_depth;
      _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T1);
    }
  }
}

/// The block of rows from `first` on.
template <bool Cold, class Y>
RADAPT_AVX512 void multiply_rows(const Result<Y>& result, const LeftTiles& a, Index first, Index rows, const bf16* b,
                                 const Blocking& cut, const Part& part, const NextRows& next) {
  constexpr Index panel = 2 * tile_columns;
  const Index inner = cut.padded_inner(), depth = cut.depth();
  const Index panels = (part.end - part.begin) / panel, rows_a_panel = (row_block + panels - 1) / panels;
  for (Index from = 0; from < inner; from += depth) {
    const Index steps = std::min(depth, inner - from) / tile_depth;
    const bool first_piece = from == 0, last_piece = from + depth >= inner;
    const LeftTiles here{a.data + from / tile_depth * a.step, a.step, a.row_bytes};
    const bf16* tiles = b + cut.place(part.begin, from);
    Index asked = 0;  // rows of the next block
    for (Index column = part.begin; column < part.end; column += panel) {
      if (next.data != nullptr) {
        const Index end = std::min(row_block, asked + rows_a_panel);
        ask_for(next, asked, end, from, steps);
        asked = end;
      }
      if (last_piece) { ask_for_residual(result, first, rows, column); }
      // Sums of one piece need not wait: they are read where they were just written, in the first cache.
      float* const sums = part.sums + (first_piece && last_piece ? 0 : (column - part.begin) * row_block);
      multiply_block<Cold>(sums_of_tiles(sums), here, rows, tiles, steps, !first_piece);
      if (last_piece) { finish_panel(result, sums, first, rows, column, cut.columns); }
      tiles += steps * 2 * tile_elements;
    }
  }
}

template <class Y, class T>
RADAPT_AVX512 void multiply_part(const Result<Y>& result, const LeftFactor<T>& a, const bf16* b, const Blocking& cut,
                                 const Part& part) {
  TileRegisters registers;
  for (Index block = part.first_block; block < part.end_block; ++block) {
    const Index first = block * row_block, rows = std::min(row_block, a.rows - first);
    LeftTiles left = packed_left(part.left);
    if (rows == row_block && a.lies_well()) {
      left = tiles_in_place(a, first);
    } else {
      take_left_block(part.left, a, first);
    }
    registers.set_rows(rows);
    NextRows next;
    constexpr Index most_ahead = 1024;  // deep: 64 KB of the cache that holds the group
    if (left.data != part.left && block + 1 < part.end_block && first + 2 * row_block <= a.rows &&
        a.inner <= most_ahead) {
      next = {left.data + row_block * a.stride, a.stride};
    }
    if (block == part.first_block) {
      multiply_rows<true>(result, left, first, rows, b, cut, part, next);
    } else {
      multiply_rows<false>(result, left, first, rows, b, cut, part, next);
    }
  }
}

/// Bytes that one thread works in.
template <class T>
Index product_room(const LeftFactor<T>&, const Blocking& cut) {
  return padded(sums_of_group(cut) * sizeof(float)) + padded(row_block * cut.padded_inner() * sizeof(bf16));
}

/// Rows of the left factor that all groups of columns pass through before the next ones do: of such a band as many
/// bytes stay in the third-level cache, where the next group finds them.
inline constexpr Index band_bytes = 1 << 20;

/// y = a b in the way of `result`; `room` has product_room bytes for each thread. Every element is written by one task
/// in one order: the number of threads does not show.
template <class Y, class T>
void multiply(const Result<Y>& result, const LeftFactor<T>& a, const bf16* b, const Blocking& cut, char* room) {
  constexpr Index panel = 2 * tile_columns;
  const Index blocks = (a.rows + row_block - 1) / row_block, threads = cpu::thread_count();
  const Index groups = (cut.padded_columns() + cut.group() - 1) / cut.group();
  const Index least_band = std::max(Index{1}, band_bytes / (row_block * a.inner * sizeof(T)));  // blocks of a thread
  const Index chunks = std::min(blocks, threads), bands = std::max(Index{1}, blocks / (least_band * chunks));
  const Index tasks = groups * chunks, chunks_of_all = bands * chunks;
  const Index parts = tasks >= threads ? 1 : std::min(cut.group() / panel, (threads + tasks - 1) / tasks);
  const Index bytes = product_room(a, cut), share = rounded_up((cut.group() + parts - 1) / parts, panel);
  cpu::parallel_tasks(bands * tasks * parts, [&](Index i, Index thread) {
    const Index part = i / chunks % parts, group = i / chunks / parts % groups;
    const Index chunk = i / (tasks * parts) * chunks + i % chunks;
    const Index begin = group * cut.group() + part * share;
    const Index end = std::min({begin + share, (group + 1) * cut.group(), cut.padded_columns()});
    if (begin >= end) { return; }
    char* const here = room + thread * bytes;
    multiply_part(result, a, b, cut,
                  {.first_block = chunk * blocks / chunks_of_all,
                   .end_block = (chunk + 1) * blocks / chunks_of_all,
                   .begin = begin,
                   .end = end,
                   .sums = reinterpret_cast<float*>(here),
                   .left = reinterpret_cast<bf16*>(here + padded(sums_of_group(cut) * sizeof(float)))});
  });
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
