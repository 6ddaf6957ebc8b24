#pragma once
/// One product of a warp on the tensor cores: 16 x 16 by 16 x 8, bf16 factors, sums in f32 (mma.sync, sm_80 and newer).
///
/// With g = lane / 4 and t = lane % 4, a lane holds
///   of a (16 x 16): word 0 at row g, columns 2t and 2t+1; word 1 at row g+8; words 2 and 3 eight columns further;
///   of b (16 x 8):  word 0 at rows 2t and 2t+1 of column g; word 1 eight rows further;
///   of c (16 x 8):  0 and 1 at row g, columns 2t and 2t+1; 2 and 3 at row g+8.
/// A word holds two bf16, the one of the lower index in its lower half.
#include <cstdint>

#include "radapt/backend/cuda/kernels/runtime.cuh"

namespace radapt::detail::gpu {

#ifndef RADAPT_CUDA_ON_HOST

/// Two floats, rounded to nearest, ties to even.
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

/// c += a b.
__device__ __forceinline__ void multiply_accumulate(float (&c)[4], const std::uint32_t (&a)[4],
                                                    const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Four matrices of 8 x 8 bf16 in shared memory, m = 0 .. 3. Lane 8m + r says where row r of matrix m is: 16 bytes,
/// aligned. Word m of a lane is row g, columns 2t and 2t+1 of matrix m.
__device__ __forceinline__ void load_matrices(std::uint32_t (&words)[4], const std::uint32_t* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(row))));
}
/// The same of the transposed matrices: rows 2t and 2t+1 of column g.
__device__ __forceinline__ void load_transposed_matrices(std::uint32_t (&words)[4], const std::uint32_t* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(row))));
}

#endif

}  // namespace radapt::detail::gpu
