#pragma once
/// How kernels read and write what tensors are stored in: float or bf16 in memory, float in registers.
///
/// A kernel is written once, for N neighbours at a time: `load<N>(x)` and `store(y, values)`. N is 1 for float, where a
/// warp's elements fill a whole access as they are, and more for bf16 where everything is aligned (`with_neighbours`).
#include <cstdint>
#include <type_traits>

#include "radapt/backend/cuda/kernels/tensor_core.cuh"
#include "radapt/core/element.hpp"

namespace radapt::detail::gpu {

/// N neighbours in memory that are read or written in accesses of up to 16 bytes.
template <class T, unsigned N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Pack {
  T x[N];
};

/// The pack that begins at x. The tests' stand-in for a GPU looks whether it may.
template <class P, class T>
__device__ __forceinline__ P* as_pack(T* x) {
#ifdef RADAPT_CUDA_ON_HOST
  check_alignment(x, alignof(P));
#endif
  return reinterpret_cast<P*>(x);
}

/// N elements in registers.
template <unsigned N>
struct Floats {
  float x[N];
};

/// Two neighbours as a word and back; the one of the lower index is in the lower half.
__device__ __forceinline__ float low_of(std::uint32_t word) { return std::bit_cast<float>(word << 16); }
__device__ __forceinline__ float high_of(std::uint32_t word) { return std::bit_cast<float>(word & 0xFFFF0000U); }

template <class T>
__device__ __forceinline__ float load(const T* x) {
  return static_cast<float>(*x);
}
/// x[0] .. x[N - 1], where `in_packs<N>(x)`.
template <unsigned N, class T>
__device__ __forceinline__ Floats<N> load(const T* x) {
  Floats<N> out;
  if constexpr (N == 1) {
    out.x[0] = load(x);
  } else if constexpr (std::is_same_v<T, bf16>) {
    const auto words = *as_pack<const Pack<std::uint32_t, N / 2>>(x);
    RADAPT_UNROLL
    for (unsigned i = 0; i < N / 2; ++i) {
      out.x[2 * i] = low_of(words.x[i]);
      out.x[2 * i + 1] = high_of(words.x[i]);
    }
  } else {
    const auto pack = *as_pack<const Pack<T, N>>(x);
    RADAPT_UNROLL
    for (unsigned i = 0; i < N; ++i) { out.x[i] = pack.x[i]; }
  }
  return out;
}

/// Four words to an address where they may be written at once. Said to the GPU in its own words: of a structure the
/// compiler makes four stores in some loops.
__device__ __forceinline__ void store_four(void* y, const std::uint32_t (&words)[4]) {
#ifdef RADAPT_CUDA_ON_HOST
  *as_pack<Pack<std::uint32_t, 4>>(y) = {{words[0], words[1], words[2], words[3]}};
#else
  asm volatile("st.v4.b32 [%0], {%1, %2, %3, %4};"
               :
               : "l"(y), "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3])
               : "memory");
#endif
}

/// A value as elements of T are stored.
template <class T>
__device__ __forceinline__ float rounded_to(float value) {
  if constexpr (std::is_same_v<T, bf16>) {
    return low_of(pack_bf16(value, 0.0F));
  } else {
    return value;
  }
}

/// Rounded to nearest, ties to even, where T is bf16.
template <class T>
__device__ __forceinline__ void store(T* y, float value) {
  if constexpr (std::is_same_v<T, bf16>) {
    y->bits = static_cast<std::uint16_t>(pack_bf16(value, 0.0F));
  } else {
    *y = value;
  }
}
/// y[0] .. y[N - 1], where `in_packs<N>(y)`.
template <class T, unsigned N>
__device__ __forceinline__ void store(T* y, const Floats<N>& values) {
  if constexpr (N == 1) {
    store(y, values.x[0]);
  } else if constexpr (std::is_same_v<T, bf16>) {
    Pack<std::uint32_t, N / 2> words;
    RADAPT_UNROLL
    for (unsigned i = 0; i < N / 2; ++i) { words.x[i] = pack_bf16(values.x[2 * i], values.x[2 * i + 1]); }
    if constexpr (N == 8) {
      store_four(y, words.x);
    } else {
      *as_pack<Pack<std::uint32_t, N / 2>>(y) = words;
    }
  } else {
    Pack<T, N> pack;
    RADAPT_UNROLL
    for (unsigned i = 0; i < N; ++i) { pack.x[i] = values.x[i]; }
    *as_pack<Pack<T, N>>(y) = pack;
  }
}

/// y[0] .. y[N - 1] = x[0] .. x[N - 1], bit for bit.
template <unsigned N, class T>
__device__ __forceinline__ void copy(T* y, const T* x) {
  if constexpr (N == 1) {
    *y = *x;
  } else {
    *as_pack<Pack<T, N>>(y) = *as_pack<const Pack<T, N>>(x);
  }
}

/// Whether N neighbours may be read and written at once where every pointer points; null is never read.
template <unsigned N, class... T>
bool in_packs(const T*... pointers) {
  return (... && (reinterpret_cast<std::uintptr_t>(pointers) % alignof(Pack<T, N>) == 0));
}

/// Calls use.template operator()<N>() for rows of bf16 that are whole packs of Most at aligned addresses, and with 1
/// for others and for float.
template <class T, unsigned Most, class F, class... Pointers>
void with_neighbours(Index columns, const F& use, const Pointers*... pointers) {
  if constexpr (std::is_same_v<T, bf16>) {
    if (columns % Most == 0 && in_packs<Most>(pointers...)) { return use.template operator()<Most>(); }
  }
  use.template operator()<1>();
}

}  // namespace radapt::detail::gpu
