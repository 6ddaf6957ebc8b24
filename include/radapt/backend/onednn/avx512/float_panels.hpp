#pragma once
/// Products of floats with constant weights on AVX-512, and what follows them in the same pass.
///
/// Weights lie as panels of 32 columns. A band of rows is copied once, so that rows lie apart in the first cache, and
/// passes through one panel after the other, up to fourteen rows at a time, whose sums stay in registers. While all
/// rows of the band meet a panel, the next one is asked for: one image reads each weight once, from memory.
#include "radapt/backend/onednn/avx512/result.hpp"
#include "radapt/backend/onednn/loops.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::avx512 {

inline constexpr Index panel_columns = 2 * tile_columns;
/// Elements of a sum between requests for the next panel: with 8 and 16 one image of B/32 was 1.05 to 1.15 times as
/// fast as with 4 or as with requests into the second cache alone (Zen 5).
inline constexpr Index panel_step = 8;
/// Rows whose sums are in registers: 28 of 32 vectors, with two of the panel and one element of a row beside them.
inline constexpr Index most_rows_at_a_time = 14;
/// Elements of a sum that are added up before it is put away. On Zen 5 1,024 was at least as good as 512 and 768.
inline constexpr Index panel_depth = 1024;
/// Rows that pass through all panels before the next ones do: a piece of them, 1 MB, stays in the second cache.
inline constexpr Index most_rows_of_band = 280;

/// Rows that are multiplied next where so many are left: even, since a row of zeros lies behind an odd number; and of
/// less than two times fourteen half, since sums of few rows wait for each other.
constexpr Index rows_at_a_time(Index left) {
  if (left >= 2 * most_rows_at_a_time) { return most_rows_at_a_time; }
  return rounded_up(left > most_rows_at_a_time ? (left + 1) / 2 : left, 2);
}

/// The panels of a right factor (inner, columns), one behind the other. What the last has too much is 0.
class FloatPanels {
 public:
  static constexpr Index elements(Index inner, Index columns) { return inner * rounded_up(columns, panel_columns); }

  /// From a row-major w (columns, inner) if it is `turned`, or else (inner, columns).
  static void take(float* to, const float* w, Index inner, Index columns, bool turned) {
    cpu::parallel_for((columns + panel_columns - 1) / panel_columns, inner * panel_columns, [&](Index p) {
      const Index first = p * panel_columns;
      float* const panel = to + first * inner;
      if (!turned) { return take_rows(panel, w + first, columns, inner, columns - first); }
      take_columns(panel, w + first * inner, inner, columns - first);
      const Index half = first + tile_columns;
      take_columns(panel + tile_columns, w + std::min(half, columns) * inner, inner, columns - std::min(half, columns));
    });
  }

 private:
  /// 32 columns of which there are `n`, from rows that are `stride` apart.
  RADAPT_AVX512 static void take_rows(float* to, const float* w, Index stride, Index inner, Index n) {
    for (Index k = 0; k < inner; ++k, w += stride, to += panel_columns) {
      const Halves row = load_halves(w, n);
      _mm512_storeu_ps(to, row.left);
      _mm512_storeu_ps(to + tile_columns, row.right);
    }
  }
  /// 16 columns of which there are `n`, rows of w: sixteen elements of each at a time, turned.
  RADAPT_AVX512 static void take_columns(float* to, const float* w, Index inner, Index n) {
    for (Index k = 0; k < inner; k += tile_rows) {
      const Index rows = std::min(inner - k, tile_rows);
      __m512i tile[tile_columns];
      for (Index c = 0; c < tile_columns; ++c) {
        tile[c] = c < n ? _mm512_castps_si512(load_as_floats(w + c * inner + k, rows)) : _mm512_setzero_si512();
      }
      turn(tile);
      for (Index r = 0; r < rows; ++r) { _mm512_storeu_si512(to + (k + r) * panel_columns, tile[r]); }
    }
  }
};

/// What is asked for while rows meet a panel: a share of what comes behind its piece in memory, in each step.
struct NextPanel {
  const float* data = nullptr;  ///< null where nothing follows
  Index begin = 0, end = 0;     ///< of a step's lines, two for each element of the sum

  RADAPT_AVX512_PART void ask_in_step(Index k) const {
    if (data == nullptr) { return; }
    const float* const step = data + k * panel_columns;
    for (Index line = begin; line < end; ++line) { _mm_prefetch(step + line * tile_columns, _MM_HINT_T0); }
  }
};

/// c = or += x w for `Rows` rows of x, `stride` apart, and `inner` rows of a panel; c are the sums of two tiles. Not
/// inlined: each of seven needs all registers.
template <Index Rows>
RADAPT_AVX512 __attribute__((noinline)) void multiply_rows(const SumBlock& c, const float* x, Index stride,
                                                           const float* w, Index inner, bool add,
                                                           const NextPanel& next) {
  __m512 left[Rows], right[Rows];
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    left[r] = add ? _mm512_loadu_ps(c.data + r * c.stride) : _mm512_setzero_ps();
    right[r] = add ? _mm512_loadu_ps(c.data + r * c.stride + c.right) : _mm512_setzero_ps();
  }
  for (Index k = 0; k < inner; k += panel_step) {
    next.ask_in_step(k);
    const Index n = std::min(inner - k, panel_step);
    for (Index i = 0; i < n; ++i, ++x, w += panel_columns) {
      const __m512 w_left = _mm512_loadu_ps(w), w_right = _mm512_loadu_ps(w + tile_columns);
      RADAPT_UNROLLED
      for (Index r = 0; r < Rows; ++r) {
        const __m512 spread = _mm512_set1_ps(x[r * stride]);
        left[r] = _mm512_fmadd_ps(spread, w_left, left[r]);
        right[r] = _mm512_fmadd_ps(spread, w_right, right[r]);
      }
    }
  }
  RADAPT_UNROLLED
  for (Index r = 0; r < Rows; ++r) {
    _mm512_storeu_ps(c.data + r * c.stride, left[r]);
    _mm512_storeu_ps(c.data + r * c.stride + c.right, right[r]);
  }
}

/// The same for a number of rows that `rows_at_a_time` gives.
template <Index Most = most_rows_at_a_time>
RADAPT_AVX512 void multiply_some_rows(Index rows, const SumBlock& c, const float* x, Index stride, const float* w,
                                      Index inner, bool add, const NextPanel& next) {
  if constexpr (Most > 2) {
    if (rows < Most) { return multiply_some_rows<Most - 2>(rows, c, x, stride, w, inner, add, next); }
  }
  multiply_rows<Most>(c, x, stride, w, inner, add, next);
}

/// A product y = x w, with x (rows, inner) and w as FloatPanels has it, cut into bands of rows and, where there are
/// fewer of those than threads, into parts of columns.
class PanelProduct {
 public:
  PanelProduct(Index rows, Index inner, Index columns, Index threads)
      : rows_(rows),
        inner_(inner),
        columns_(columns),
        panels_((columns + panel_columns - 1) / panel_columns),
        bands_((rows + most_rows_of_band - 1) / most_rows_of_band),
        parts_(std::min(panels_, (threads + bands_ - 1) / bands_)) {}

  /// Floats that each thread works in.
  Index room() const { return rounded_up(rows_of_band(), 2) * stride() + sums_of_band(); }

  /// `room` has room() floats for each thread. Every element is one sum in ascending order of `inner`: neither threads
  /// nor the other rows show.
  void run(const Result<float>& y, const float* x, const float* w, float* room) const {
    cpu::parallel_tasks(bands_ * parts_, [&](Index i, Index thread) {
      const Index band = i / parts_, part = i % parts_;
      run_part(y, x, w, {band * rows_ / bands_, (band + 1) * rows_ / bands_},
               {part * panels_ / parts_, (part + 1) * panels_ / parts_}, room + thread * this->room());
    });
  }

 private:
  static constexpr Index sums_of_block = 2 * tile_sums;
  struct Range {
    Index begin, end;
  };

  Index rows_of_band() const { return (rows_ + bands_ - 1) / bands_; }
  /// Between copied rows: an odd number of lines, so that they do not meet in few sets of a cache.
  Index stride() const { return (rounded_up(inner_, tile_columns) / tile_columns | 1) * tile_columns; }
  Index sums_of_band() const {
    return (rows_of_band() + most_rows_at_a_time - 1) / most_rows_at_a_time * sums_of_block;
  }

  /// Asks for what will be added to a block of sums, which is in no near cache: 2 % of 32 images, and 7 % of the
  /// product with out_proj, on Zen 5. Asking for the lines of y as well was worse.
  RADAPT_AVX512_PART static void ask_for_residual(const Result<float>& y, Index row, Index rows, Index column) {
    if (y.residual == nullptr) { return; }
    for (Index r = row; r < row + rows; ++r) {
      _mm_prefetch(y.residual + r * y.stride + column, _MM_HINT_T0);
      _mm_prefetch(y.residual + r * y.stride + column + tile_columns, _MM_HINT_T0);
    }
  }

  RADAPT_AVX512 void run_part(const Result<float>& y, const float* x, const float* w, Range band, Range panels,
                              float* room) const {
    float* const copy = room;
    float* const sums = room + rounded_up(rows_of_band(), 2) * stride();
    const Index rows = band.end - band.begin, blocks = (rows + most_rows_at_a_time - 1) / most_rows_at_a_time;
    for (Index r = 0; r < rows; ++r) {
      std::memcpy(copy + r * stride(), x + (band.begin + r) * inner_, inner_ * sizeof(float));
    }
    if (rows % 2 != 0) { std::fill_n(copy + rows * stride(), inner_, 0.0F); }
    for (Index panel = panels.begin; panel < panels.end; ++panel) {
      for (Index from = 0; from < inner_; from += panel_depth) {
        const Index depth = std::min(inner_ - from, panel_depth);
        const float* const piece = w + (panel * inner_ + from) * panel_columns;
        const bool last = from + depth == inner_, ends = last && panel + 1 == panels.end;
        for (Index r = 0, block = 0; r < rows; ++block) {
          const Index step = rows_at_a_time(rows - r), here = std::min(step, rows - r);
          const NextPanel next{ends ? nullptr : piece + depth * panel_columns, block * 2 * panel_step / blocks,
                               (block + 1) * 2 * panel_step / blocks};
          float* const s = sums + block * sums_of_block;
          if (last) { ask_for_residual(y, band.begin + r, here, panel * panel_columns); }
          multiply_some_rows(step, sums_of_tiles(s), copy + r * stride() + from, stride(), piece, depth, from > 0,
                             next);
          if (last) { Finish<float>{&y, s, band.begin + r, here, panel * panel_columns, columns_}.write(0, here); }
          r += here;
        }
      }
    }
  }

  Index rows_, inner_, columns_, panels_, bands_, parts_;
};

}  // namespace radapt::detail::avx512
RADAPT_AVX512_END
#endif
