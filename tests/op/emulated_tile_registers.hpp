#pragma once
/// Intel AMX in plain C++, for processors that have none: what is written for tile registers runs, and is checked, on
/// any processor with AVX512-BF16. Comes in front of everything else in a file (-include), and stands in for the
/// intrinsics.
///
/// What the hardware would refuse ends the program: registers without sizes, and products of sizes that do not fit.
#include <immintrin.h>
#include <oneapi/dnnl/dnnl_types.h>

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace radapt_test::emulated_tiles {

struct Register {
  int rows = 0, row_bytes = 0;
  unsigned char data[16][64] = {};
};
inline thread_local Register registers[8];
inline thread_local bool configured = false;
inline long products = 0;  // of one thread, to say that there were some

[[noreturn]] inline void refuse(const char* what) {
  std::fprintf(stderr, "emulated tile registers: %s\n", what);
  std::abort();
}
inline Register& at(int number) {
  if (!configured) { refuse("used without sizes"); }
  return registers[number];
}

inline void configure(const void* sizes) {
  unsigned char bytes[64];
  std::memcpy(bytes, sizes, sizeof bytes);
  if (bytes[0] != 1 || bytes[1] != 0) { refuse("no palette 1"); }
  for (int i = 0; i < 8; ++i) {
    std::uint16_t row_bytes;
    std::memcpy(&row_bytes, bytes + 16 + 2 * i, 2);
    if (bytes[48 + i] > 16 || row_bytes > 64) { refuse("a register of more than 16 rows of 64 bytes"); }
    registers[i] = Register{.rows = bytes[48 + i], .row_bytes = row_bytes};
  }
  configured = true;
}
inline void release() { configured = false; }
inline void zero(int number) {
  Register& t = at(number);
  std::memset(t.data, 0, sizeof t.data);
}
inline void load(int number, const void* base, long stride) {
  zero(number);
  Register& t = at(number);
  for (int r = 0; r < t.rows; ++r) {
    std::memcpy(t.data[r], static_cast<const char*>(base) + r * stride, static_cast<std::size_t>(t.row_bytes));
  }
}
inline void store(int number, void* base, long stride) {
  const Register& t = at(number);
  for (int r = 0; r < t.rows; ++r) {
    std::memcpy(static_cast<char*>(base) + r * stride, t.data[r], static_cast<std::size_t>(t.row_bytes));
  }
}

/// The bf16 numbers of a register, row by row; subnormal ones count as zero.
inline void widen(float (&x)[16][32], const Register& t) {
  for (int r = 0; r < 16; ++r) {
    for (int i = 0; i < 32; ++i) {
      std::uint16_t bits;
      std::memcpy(&bits, t.data[r] + 2 * i, 2);
      const bool subnormal = (bits & 0x7F80) == 0;
      x[r][i] = subnormal ? 0.0F : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }
  }
}
/// c += a b; a sum takes its terms in the order of the inner extent, each by a fused multiply-add.
__attribute__((target("avx2,fma"))) inline void multiply(int sums, int left, int right) {
  Register& c = at(sums);
  const Register &a = at(left), &b = at(right);
  if (c.rows != a.rows || b.rows != a.row_bytes / 4 || c.row_bytes != b.row_bytes) { refuse("sizes that do not fit"); }
  ++products;
  float x[16][32], pairs[16][32], totals[16];
  widen(x, a);
  widen(pairs, b);
  for (int m = 0; m < c.rows; ++m) {
    std::memcpy(totals, c.data[m], sizeof totals);
    for (int k = 0; k < a.row_bytes / 4; ++k) {
      const float even = x[m][2 * k], odd = x[m][2 * k + 1];
#pragma omp simd
      for (int n = 0; n < 16; ++n) {
        totals[n] = __builtin_fmaf(odd, pairs[k][2 * n + 1], __builtin_fmaf(even, pairs[k][2 * n], totals[n]));
      }
    }
    std::memcpy(c.data[m], totals, static_cast<std::size_t>(c.row_bytes));
  }
}

}  // namespace radapt_test::emulated_tiles

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stream_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig(sizes) radapt_test::emulated_tiles::configure(sizes)
#define _tile_release() radapt_test::emulated_tiles::release()
#define _tile_zero(number) radapt_test::emulated_tiles::zero(number)
#define _tile_loadd(number, base, stride) radapt_test::emulated_tiles::load(number, base, stride)
#define _tile_stream_loadd(number, base, stride) radapt_test::emulated_tiles::load(number, base, stride)
#define _tile_stored(number, base, stride) radapt_test::emulated_tiles::store(number, base, stride)
#define _tile_dpbf16ps(sums, left, right) radapt_test::emulated_tiles::multiply(sums, left, right)

// oneDNN is asked whether there are tiles, and says yes where there are pairs of bf16.
#define dnnl_cpu_isa_avx512_core_amx dnnl_cpu_isa_avx512_core_bf16
