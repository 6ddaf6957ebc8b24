#pragma once
/// Products of bf16 with sums in float, on tiles, and what follows them in the same pass.
///
/// 32 rows of the left factor at a time pass through a group of columns (see Blocking), one block of 32 x 32 sums after
/// the other. Long sums are added up in pieces, of which a group has one after the other in the second-level cache:
/// a span of row blocks passes through a piece before the next piece comes, and its sums wait.
#include "radapt/backend/onednn/bf16_tiles/block.hpp"
#include "radapt/backend/onednn/bf16_tiles/left_factor.hpp"
#include "radapt/backend/onednn/bf16_tiles/right_factor.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// The floats that a thread needs beside a piece of the left factor. Sums of one piece need not wait: they are read
/// where they were just written, in the first cache.
inline Index sums_of_span(const Blocking& cut) {
  return cut.pieces() == 1 ? 4 * tile_sums : cut.span * cut.group() * row_block;
}

/// One task: blocks of rows, and columns of one group.
struct Part {
  Index first_block, end_block, begin, end;
  float* sums;
  bf16* left;  ///< room for a piece of the left factor
};

/// `steps` of the sums of the block of rows `block`, from element `from` on.
struct Unit {
  Index block, from, steps;
};

/// The unit that is multiplied after `unit`, of a span that ends with block `end`; of no steps where there is none.
inline Unit unit_behind(const Unit& unit, Index first, Index end, const Blocking& cut, const Part& part) {
  const auto piece = [&](Index block, Index from) { return Unit{block, from, cut.steps_from(from)}; };
  if (unit.block + 1 < end) { return piece(unit.block + 1, unit.from); }
  if (unit.from + cut.depth() < cut.padded_inner()) { return piece(first, unit.from + cut.depth()); }
  return end < part.end_block ? piece(end, 0) : Unit{};
}

/// Rows of a unit that will be read from where they lie; of none where there is no unit.
template <class T>
Lines lines_of(const LeftFactor<T>& a, const Unit& unit) {
  if (!a.has_rows() || unit.steps == 0) { return {}; }
  const Index first = unit.block * row_block;
  return {reinterpret_cast<const char*>(a.x + first * a.stride + unit.from), a.stride * static_cast<Index>(sizeof(T)),
          std::min(row_block, a.rows - first), unit.steps};
}

/// The lines of a matrix like y that hold a block of sums.
template <class Y>
Lines lines_of(const Y* matrix, const Result<Y>& result, Index first_row, Index rows, Index column) {
  if (matrix == nullptr) { return {}; }
  return {reinterpret_cast<const char*>(matrix + first_row * result.stride + column),
          result.stride * static_cast<Index>(sizeof(Y)), rows,
          static_cast<Index>(2 * tile_columns * sizeof(Y)) / line_bytes};
}

/// What vectors do while tile registers multiply: they write the block that was multiplied before, and ask for what
/// comes next.
template <class Y>
struct BesideTiles {
  const Ahead& ahead;
  const Finish<Y>& before;
  Index rows_a_step;  ///< so many that all 32 are written when the last step is done

  RADAPT_AVX512_PART void operator()(Index k) const {
    ahead.ask_in_step(k, 0, 1);
    before.write(k * rows_a_step, (k + 1) * rows_a_step);
  }
};

/// One unit with all columns of its part; `sums` are of its block. `cold`: the unit's part of b is in no cache.
/// `before` is what waits to be written. Its sums may lie where the next ones will: they are read before those are put
/// away.
template <class Y>
RADAPT_AVX512 void multiply_unit(const Result<Y>& result, const LeftTiles& a, Index rows, const bf16* b, float* sums,
                                 const Blocking& cut, const Part& part, const Unit& unit, const Lines& next, bool cold,
                                 Finish<Y>& before) {
  constexpr Index panel = 2 * tile_columns;
  const bool first_piece = unit.from == 0, last_piece = unit.from + cut.depth() >= cut.padded_inner();
  const Index first = unit.block * row_block, panels = (part.end - part.begin) / panel;
  const Index rows_a_panel = (next.rows + panels - 1) / panels;
  const Index inner = std::min(unit.steps * tile_depth, cut.inner - unit.from);
  const bf16* tiles = b + cut.place(part.begin, unit.from);
  Ahead ahead;
  for (Index i = 0; i < panels; ++i) {
    const Index column = part.begin + i * panel;
    float* const s = sums + (first_piece && last_piece ? 0 : i * panel * row_block);
    const BlockSize size{rows, std::min(panel, cut.columns - column), inner};
    const Finish<Y> done = last_piece ? Finish<Y>{&result, s, first, rows, column, cut.columns} : Finish<Y>{};
    const bf16* const behind = tiles + unit.steps * 2 * tile_elements;
    ahead.next = next.part(i * rows_a_panel, rows_a_panel);
    ahead.right = cold ? behind : nullptr;
    if (has_tile_registers()) {
      const Index rows_a_step = (row_block + unit.steps - 1) / unit.steps;
      multiply_on_registers<true>(sums_of_tiles(s), a, tiles, size, !first_piece,
                                  BesideTiles<Y>{ahead, before, rows_a_step});
      before = done;
    } else {
      if (last_piece) {  // with tile registers, asking for the lines of a result costs more than waiting for them
        ahead.residual = lines_of(result.residual, result, first, rows, column);
        ahead.y = lines_of<Y>(result.y, result, first, rows, column);
      }
      multiply_on_vectors(sums_of_tiles(s), a, tiles, size, !first_piece, &ahead);
      done.write(0, done.rows);
    }
    tiles = behind;
  }
}

template <class Y, class T>
RADAPT_AVX512 void multiply_part(const Result<Y>& result, const LeftFactor<T>& a, const bf16* b, const Blocking& cut,
                                 const Part& part) {
  TileRegisters registers;
  Finish<Y> before;
  const bool in_place = a.lies_well(), all_stays = cut.pieces() == 1 || cut.span == 1;
  for (Index first = part.first_block, end; first < part.end_block; first = end) {
    end = std::min(first + cut.span, part.end_block);
    for (Index from = 0; from < cut.padded_inner(); from += cut.depth()) {
      for (Index block = first; block < end; ++block) {
        const Unit unit{block, from, cut.steps_from(from)};
        const Index row = block * row_block, rows = std::min(row_block, a.rows - row);
        LeftTiles left = packed_left(part.left);
        if (rows == row_block && in_place) {
          left = tiles_in_place(a, row, from);
        } else {
          take_left_piece(part.left, a, row, from, unit.steps);
        }
        registers.set_rows(rows);
        const Lines next = lines_of(a, unit_behind(unit, first, end, cut, part));
        float* const sums = part.sums + (cut.pieces() == 1 ? 0 : (block - first) * cut.group() * row_block);
        const bool cold = block == first && (first == part.first_block || !all_stays);
        multiply_unit(result, left, rows, b, sums, cut, part, unit, next, cold, before);
      }
    }
  }
  before.write(0, before.rows);
}

/// Bytes that one thread works in.
template <class T>
Index product_room(const LeftFactor<T>&, const Blocking& cut) {
  return padded(sums_of_span(cut) * sizeof(float)) + padded(row_block * cut.depth() * sizeof(bf16));
}

/// Blocks of rows that all groups of columns pass through before the next ones do: of such a band as many bytes stay in
/// the third-level cache, where the next group finds them. Of spans a band has a few, since each reads all of b.
template <class T>
Index blocks_of_band(const LeftFactor<T>& a, const Blocking& cut) {
  const Index blocks = cut.band_bytes / (row_block * a.inner * sizeof(T));
  return std::max(blocks, cut.span == 1 ? 1 : 2 * cut.span * cut.pieces());
}

/// y = a b in the way of `result`; `room` has product_room bytes for each thread. Every element is written by one task
/// in one order: the number of threads does not show.
template <class Y, class T>
void multiply(const Result<Y>& result, const LeftFactor<T>& a, const bf16* b, const Blocking& cut, char* room) {
  constexpr Index panel = 2 * tile_columns;
  const Index blocks = (a.rows + row_block - 1) / row_block, threads = cpu::thread_count();
  const Index groups = (cut.padded_columns() + cut.group() - 1) / cut.group();
  const Index chunks = std::min(blocks, threads);
  const Index bands = std::max(Index{1}, blocks / (blocks_of_band(a, cut) * chunks));
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
                   .left = reinterpret_cast<bf16*>(here + padded(sums_of_span(cut) * sizeof(float)))});
  });
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
