#pragma once
/// Intel AMX: registers of two dimensions, and tiles in memory in the two forms that a product of bf16 takes them in.
///
/// A tile is 1 KiB: 16 rows of 64 bytes. One product takes a *row tile* of the left factor, 16 rows of 32 elements, and
/// a *pair tile* of the right factor, 32 rows of 16 elements in which the two rows 2p and 2p + 1 lie element by element
/// side by side, and adds to 16 x 16 floats. Sums over 32 elements are the hardware's: it rounds to nearest, and takes
/// subnormal numbers for zero.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__CUDACC__)
#define RADAPT_HAS_AMX 1
#include <immintrin.h>

#include <dnnl.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "radapt/core/element.hpp"
#include "radapt/core/shape.hpp"

// In front of a function that is compiled for AMX and AVX-512 whatever the file is compiled for: it is called where
// `available` is true.
#define RADAPT_AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,avx2")))
// The same, as a part of its caller: of loops that keep numbers in registers.
#define RADAPT_AMX_PART RADAPT_AMX __attribute__((always_inline)) inline
// Around such functions: g++ 12 warns of what its own intrinsics leave undefined, and of their masks without
// optimisation.
#ifdef __clang__
#define RADAPT_AMX_BEGIN
#define RADAPT_AMX_END
#else
#define RADAPT_AMX_BEGIN                                                               \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wuninitialized\"") \
      _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")                      \
          _Pragma("GCC diagnostic ignored \"-Wsign-conversion\"")
#define RADAPT_AMX_END _Pragma("GCC diagnostic pop")
#endif

RADAPT_AMX_BEGIN
namespace radapt::detail::amx {

/// Whether this processor has AMX, the system lets this process use it, and oneDNN has not been told to leave it
/// (ONEDNN_MAX_CPU_ISA). oneDNN asks the system when it is asked.
inline bool available() {
  static const bool has = [] {
    const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
    constexpr auto needed = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_amx);
    return (isa & needed) == needed;
  }();
  return has;
}

inline constexpr Index tile_rows = 16, tile_columns = 16, tile_depth = 32;
inline constexpr Index tile_elements = 512;                   // of bf16
inline constexpr Index tile_sums = tile_rows * tile_columns;  // floats
inline constexpr int tile_row_bytes = 64;
inline constexpr Index row_block = 2 * tile_rows;  ///< rows of a left factor that are multiplied at a time

constexpr Index rounded_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

/// While it lives, the tile registers of this thread have their sizes: 16 rows of 64 bytes, or, in those of the left
/// factor (4, 5) and of sums (0 to 3), fewer for the last rows of a matrix. A product takes as many cycles as rows.
class TileRegisters {
 public:
  RADAPT_AMX TileRegisters() { set_rows(row_block); }
  RADAPT_AMX ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;

  /// From 1 to 32 rows of sums; the registers lose what they hold.
  RADAPT_AMX void set_rows(Index rows) {
    if (rows == rows_) { return; }
    rows_ = rows;
    const auto upper = static_cast<std::uint8_t>(std::min(rows, tile_rows));
    const auto lower = static_cast<std::uint8_t>(rows > tile_rows ? rows - tile_rows : tile_rows);
    struct alignas(64) {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {};
    } shape;
    const std::uint8_t all[8] = {upper, upper, lower, lower, upper, lower, tile_rows, tile_rows};
    std::copy_n(all, 8, shape.rows);
    asm volatile("" : : "r"(&shape) : "memory");  // g++'s intrinsic says that it reads the first 8 bytes only
    _tile_loadconfig(&shape);
  }

 private:
  Index rows_ = 0;
};

/// The mask of the first n of sixteen lanes; of more than sixteen it is all.
constexpr __mmask16 first_lanes(Index n) { return static_cast<__mmask16>(n >= 16 ? 0xffffU : (1U << n) - 1); }

/// x[0 .. n - 1] as bf16, rounded to nearest, ties to even; n >= 16 is 16, and other lanes are 0.
template <class T>
RADAPT_AMX_PART __m256i load_as_bf16(const T* x, Index n) {
  if constexpr (std::is_same_v<T, bf16>) {
    return _mm256_maskz_loadu_epi16(first_lanes(n), x);
  } else {
    return (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(first_lanes(n), x));
  }
}
/// x[0 .. n - 1] as floats; n >= 16 is 16, and other lanes are 0.
template <class T>
RADAPT_AMX_PART __m512 load_as_floats(const T* x, Index n) {
  if constexpr (std::is_same_v<T, float>) {
    return _mm512_maskz_loadu_ps(first_lanes(n), x);
  } else {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_as_bf16(x, n)), 16));
  }
}
/// y[0 .. n - 1] = the first lanes of v.
template <class T>
RADAPT_AMX_PART void store_floats(T* y, __m512 v, Index n) {
  if constexpr (std::is_same_v<T, float>) {
    _mm512_mask_storeu_ps(y, first_lanes(n), v);
  } else {
    _mm256_mask_storeu_epi16(y, first_lanes(n), (__m256i)_mm512_cvtneps_pbh(v));
  }
}

/// The row tile of a matrix x whose rows are `stride` apart: `rows` of at most 16, `columns` of at most 32 are there,
/// and the rest is 0.
template <class T>
RADAPT_AMX void take_row_tile(bf16* tile, const T* x, Index stride, Index rows, Index columns) {
  for (Index r = 0; r < tile_rows; ++r) {
    const Index n = r < rows ? columns : 0;
    const T* const row = n == 0 ? x : x + r * stride;
    const __m256i low = load_as_bf16(row, n), high = load_as_bf16(n > 16 ? row + 16 : row, n > 16 ? n - 16 : 0);
    _mm512_storeu_si512(tile + r * tile_depth, _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
  }
}

/// The pair tile of x: `rows` of at most 32, `columns` of at most 16 are there.
template <class T>
RADAPT_AMX void take_pair_tile(bf16* tile, const T* x, Index stride, Index rows, Index columns) {
  for (Index p = 0; p < tile_depth / 2; ++p) {
    const Index r = 2 * p, even = r < rows ? columns : 0, odd = r + 1 < rows ? columns : 0;
    const __m512i a = _mm512_cvtepu16_epi32(load_as_bf16(even == 0 ? x : x + r * stride, even));
    const __m512i b = _mm512_cvtepu16_epi32(load_as_bf16(odd == 0 ? x : x + (r + 1) * stride, odd));
    _mm512_storeu_si512(tile + p * tile_depth, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
  }
}

/// Turns the 16 x 16 pairs of a tile: of the row tile of x it makes the pair tile of x^T, and of the pair tile of x the
/// row tile of x^T.
RADAPT_AMX inline void turn_tile(bf16* tile) {
  // With masks that keep everything: g++ warns of what its header leaves undefined for the others.
  constexpr __mmask16 all = 0xffff;
  constexpr __mmask8 all_pairs = 0xff;
  __m512i a[16], b[16];
  for (int i = 0; i < 16; ++i) { a[i] = _mm512_loadu_si512(tile + static_cast<Index>(i) * tile_depth); }
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_maskz_unpacklo_epi32(all, a[i], a[i + 1]);
    b[i + 1] = _mm512_maskz_unpackhi_epi32(all, a[i], a[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_maskz_unpacklo_epi64(all_pairs, b[i], b[i + 2]);
    a[i + 1] = _mm512_maskz_unpackhi_epi64(all_pairs, b[i], b[i + 2]);
    a[i + 2] = _mm512_maskz_unpacklo_epi64(all_pairs, b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_maskz_unpackhi_epi64(all_pairs, b[i + 1], b[i + 3]);
  }
  // Now lane l of a[4 g + j] is column 4 l + j of the rows 4 g .. 4 g + 3.
  for (int j = 0; j < 4; ++j) {
    const __m512i low = _mm512_maskz_shuffle_i32x4(all, a[j], a[4 + j], 0x88),
                  high = _mm512_maskz_shuffle_i32x4(all, a[8 + j], a[12 + j], 0x88);
    const __m512i low1 = _mm512_maskz_shuffle_i32x4(all, a[j], a[4 + j], 0xdd),
                  high1 = _mm512_maskz_shuffle_i32x4(all, a[8 + j], a[12 + j], 0xdd);
    b[j] = _mm512_maskz_shuffle_i32x4(all, low, high, 0x88);
    b[8 + j] = _mm512_maskz_shuffle_i32x4(all, low, high, 0xdd);
    b[4 + j] = _mm512_maskz_shuffle_i32x4(all, low1, high1, 0x88);
    b[12 + j] = _mm512_maskz_shuffle_i32x4(all, low1, high1, 0xdd);
  }
  for (int i = 0; i < 16; ++i) { _mm512_storeu_si512(tile + static_cast<Index>(i) * tile_depth, b[i]); }
}

/// Tiles of a left factor: step k of a sum has its two row tiles at data + k * step and `second` elements behind.
struct LeftTiles {
  const bf16* data;
  Index step, second;
  int row_bytes;  ///< between rows of a tile
};
/// Left tiles that lie one behind the other: [steps][2].
inline LeftTiles packed_left(const bf16* data) { return {data, 2 * tile_elements, tile_elements, tile_row_bytes}; }

/// Where the 32 x 32 sums of four tile registers lie.
struct SumBlock {
  float* data;
  Index stride;        ///< floats between rows of a tile
  Index right, below;  ///< floats to the tile beside, and to the one below
};
inline SumBlock sums_of_matrix(float* data, Index stride) { return {data, stride, tile_columns, tile_rows * stride}; }

/// Four tiles one behind the other, 1,024 floats: upper left, upper right, lower left, lower right.
inline SumBlock sums_of_tiles(float* data) { return {data, tile_columns, tile_sums, 2 * tile_sums}; }

/// What is read for the first time by a product of few rows is asked for so many bytes ahead.
inline constexpr Index bytes_ahead = 8192;

/// c = or += a b over `steps` of 32, b being [steps][2] pair tiles. With `Rows` = 1 only the upper 16 rows. `Cold`: the
/// tiles of b are in no cache, and those of the next block follow.
template <int Rows, bool Cold = false>
RADAPT_AMX_PART void multiply_block(const SumBlock& c, LeftTiles a, const bf16* b, Index steps, bool add) {
  const int row_bytes = static_cast<int>(c.stride * sizeof(float));
  if (add) {
    _tile_loadd(0, c.data, row_bytes);
    _tile_loadd(1, c.data + c.right, row_bytes);
    if constexpr (Rows == 2) {
      _tile_loadd(2, c.data + c.below, row_bytes);
      _tile_loadd(3, c.data + c.below + c.right, row_bytes);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (Rows == 2) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  for (Index k = 0; k < steps; ++k) {
    _tile_loadd(4, a.data, a.row_bytes);
    _tile_loadd(6, b, tile_row_bytes);
    _tile_loadd(7, b + tile_elements, tile_row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (Rows == 2) {
      _tile_loadd(5, a.data + a.second, a.row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    if constexpr (Cold) {
      const char* const soon = reinterpret_cast<const char*>(b) + bytes_ahead;
      for (Index line = 0; line < 2 * tile_rows; ++line) { _mm_prefetch(soon + 64 * line, _MM_HINT_T0); }
    }
    a.data += a.step;
    b += 2 * tile_elements;
  }
  _tile_stored(0, c.data, row_bytes);
  _tile_stored(1, c.data + c.right, row_bytes);
  if constexpr (Rows == 2) {
    _tile_stored(2, c.data + c.below, row_bytes);
    _tile_stored(3, c.data + c.below + c.right, row_bytes);
  }
}

}  // namespace radapt::detail::amx
RADAPT_AMX_END
#endif
