#pragma once
/// Products of tiles on Intel AMX, whose registers hold a tile each.
#include "radapt/backend/onednn/bf16_tiles/tiles.hpp"
#ifdef RADAPT_HAS_AVX512
#include <cstdint>

// In front of a function that is compiled for AMX, too: it is called where `has_tile_registers` is true.
#define RADAPT_AMX \
  __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,avx2,prfchw")))

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// Whether this processor has AMX, and the system lets this process use it.
inline bool has_tile_registers() {
  static const bool answer = avx512::has(dnnl_cpu_isa_avx512_core_amx);
  return answer;
}

/// While it lives, the tile registers of this thread, if there are any, have their sizes: 16 rows of 64 bytes, or, in
/// those of the left factor (4, 5) and of sums (0 to 3), fewer for the last rows of a matrix. A product takes as many
/// cycles as rows.
class TileRegisters {
 public:
  TileRegisters() { set_rows(row_block); }
  ~TileRegisters() {
    if (has_tile_registers()) { release(); }
  }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;

  /// From 1 to 32 rows of sums; the registers lose what they hold.
  void set_rows(Index rows) {
    if (rows == rows_) { return; }
    rows_ = rows;
    if (has_tile_registers()) { configure(rows); }
  }

 private:
  RADAPT_AMX static void release() { _tile_release(); }
  RADAPT_AMX static void configure(Index rows) {
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

  Index rows_ = 0;
};

/// c = or += a b over `steps` of 32, b being [steps][2] pair tiles. With `Tiles` = 1 only the upper 16 rows. `Streams`:
/// b comes from the second cache and passes by, so that a stays in the first. Calls `beside(k)` after step k: the tiles
/// are multiplied while it runs.
template <int Tiles, bool Streams, class Beside>
RADAPT_AMX void multiply_on_registers(const SumBlock& c, const LeftTiles& a, const bf16* b, Index steps, bool add,
                                      const Beside& beside) {
  const int row_bytes = static_cast<int>(c.stride * sizeof(float));
  if (add) {
    _tile_loadd(0, c.data, row_bytes);
    _tile_loadd(1, c.data + c.right, row_bytes);
    if constexpr (Tiles == 2) {
      _tile_loadd(2, c.data + c.below, row_bytes);
      _tile_loadd(3, c.data + c.below + c.right, row_bytes);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (Tiles == 2) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  const bf16 *upper = a.data, *lower = a.lower();
  for (Index k = 0; k < steps; ++k) {
    _tile_loadd(4, upper, a.row_bytes);
    if constexpr (Streams) {
      _tile_stream_loadd(6, b, tile_row_bytes);
      _tile_stream_loadd(7, b + tile_elements, tile_row_bytes);
    } else {
      _tile_loadd(6, b, tile_row_bytes);
      _tile_loadd(7, b + tile_elements, tile_row_bytes);
    }
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (Tiles == 2) {
      _tile_loadd(5, lower, a.row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    beside(k);
    upper += a.step;
    lower += a.step;
    b += 2 * tile_elements;
  }
  _tile_stored(0, c.data, row_bytes);
  _tile_stored(1, c.data + c.right, row_bytes);
  if constexpr (Tiles == 2) {
    _tile_stored(2, c.data + c.below, row_bytes);
    _tile_stored(3, c.data + c.below + c.right, row_bytes);
  }
}

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
