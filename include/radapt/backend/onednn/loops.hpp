#pragma once
/// How this backend's own loops run: over rows or blocks in parallel, with sums whose order no thread count changes.
#include <array>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "radapt/backend/onednn/elementary.hpp"
#include "radapt/backend/onednn/engine.hpp"
#include "radapt/core/element.hpp"
#include "radapt/core/view.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt {

/// What activations are made of on the CPU: kernels of loops read and write either, and compute in float.
template <class T>
concept cpu_element = std::is_same_v<T, float> || std::is_same_v<T, bf16>;

}  // namespace radapt

namespace radapt::detail::cpu {

/// Elements of a flat buffer that one task handles: 64 KiB, so that several streams of it stay in a core's cache.
inline constexpr Index block_elements = 16384;

constexpr Index block_count(Index n, Index block) { return (n + block - 1) / block; }

// An element of an activation as a float, and a float as an element. On the bits of a bf16: GCC leaves a loop that
// copies objects of a class out of vector registers.
template <class T>
[[gnu::always_inline]] inline float load(const T* x, Index i) {
  if constexpr (std::is_same_v<T, bf16>) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(x[i].bits) << 16);
  } else {
    return x[i];
  }
}
template <class T>
[[gnu::always_inline]] inline void store(T* y, Index i, float value) {
  if constexpr (std::is_same_v<T, bf16>) {
    y[i].bits = element_detail::bf16_bits(value);
  } else {
    y[i] = value;
  }
}

// Loops over runs of floats, in vector registers at any level of optimisation but -O0 (RADAPT_VECTOR_LOOP). Expressions
// of Eigen say the same in less text, at half a second for the compiler of every program.

/// y += x.
template <class Y, class X>
void add_to(Y* y, const X* x, Index n) {
  RADAPT_VECTOR_LOOP
  for (Index i = 0; i < n; ++i) { store(y, i, load(y, i) + load(x, i)); }
}

template <class T>
float sum(const T* x, Index n) {
  float total = 0;
  RADAPT_VECTOR_SUM(total)
  for (Index i = 0; i < n; ++i) { total += load(x, i); }
  return total;
}
template <class T>
float dot(const T* a, const T* b, Index n) {
  float total = 0;
  RADAPT_VECTOR_SUM(total)
  for (Index i = 0; i < n; ++i) { total += load(a, i) * load(b, i); }
  return total;
}

/// The largest of n > 0 floats.
inline float largest(const float* x, Index n) {
  float most = x[0];
  RADAPT_VECTOR_MAX(most)
  for (Index i = 1; i < n; ++i) { most = x[i] > most ? x[i] : most; }
  return most;
}

/// Floats that a loop must touch before a second thread pays: threads take a few microseconds to start and to wait for
/// each other, and far longer when other programs want the processors, too. 512 KiB take some 30 microseconds.
inline constexpr Index elements_worth_threads = 131072;

/// The most threads that a parallel loop started now would use.
inline Index thread_count() {
#ifdef _OPENMP
  return static_cast<Index>(omp_get_max_threads());
#else
  return 1;
#endif
}

/// Calls f(i) for i < n, on several threads when all of it is worth more than starting them. `elements` says how many
/// floats one call touches. f must not throw, and calls must not write the same memory.
template <class F>
void parallel_for(Index n, [[maybe_unused]] Index elements, F&& f) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (n > 1 && n * elements > elements_worth_threads)
#endif
  for (Index i = 0; i < n; ++i) { f(i); }
}

/// Calls f(i, thread) for i < n, for calls of different lengths that multiply matrices. The parallel region is entered
/// even for one call: inside it oneDNN's products stay on their thread, whose order of summation is always the same.
template <class F>
void parallel_tasks(Index n, F&& f) {
#ifdef _OPENMP
#pragma omp parallel
  {
    const auto thread = static_cast<Index>(omp_get_thread_num());
#pragma omp for schedule(dynamic, 1)
    for (Index i = 0; i < n; ++i) { f(i, thread); }
  }
#else
  for (Index i = 0; i < n; ++i) { f(i, Index{0}); }
#endif
}

/// Calls f(begin, size) for consecutive blocks of a flat buffer of n elements.
template <class F>
void parallel_blocks(Index n, F&& f) {
  parallel_for(block_count(n, block_elements), block_elements, [&](Index i) {
    const Index begin = i * block_elements;
    f(begin, std::min(block_elements, n - begin));
  });
}

/// Sum of f(i) for i < n, added up in ascending order of i whatever thread computed them.
template <class F>
double ordered_sum(onednn& device, Index n, Index elements, F&& f) {
  double* const partial = device.workspace<double>(n);
  parallel_for(n, elements, [&](Index i) { partial[i] = f(i); });
  double sum = 0;
  for (Index i = 0; i < n; ++i) { sum += partial[i]; }
  return sum;
}

/// into[s] += sum over rows, for `Sums` vectors of `width` floats. add_row(row, sums) adds one row to sums[s]. Rows are
/// summed in blocks of fixed size and the blocks in ascending order: no thread count shows, and rounding errors grow
/// with the block and the number of blocks only, not with the number of rows.
template <std::size_t Sums, class F>
void sum_rows(onednn& device, Index rows, Index width, const std::array<float*, Sums>& into, F&& add_row) {
  if (rows == 0) { return; }
  constexpr Index rows_per_block = 64, columns_per_task = 256;
  const Index blocks = block_count(rows, rows_per_block), block_floats = Sums * width;
  float* const partial = device.workspace<float>(blocks * block_floats);
  parallel_for(blocks, rows_per_block * width, [&](Index b) {
    std::array<float*, Sums> sums;
    for (Index s = 0; s < Sums; ++s) { sums[s] = partial + b * block_floats + s * width; }
    std::memset(sums[0], 0, block_floats * sizeof(float));
    for (Index r = b * rows_per_block; r < std::min(rows, (b + 1) * rows_per_block); ++r) { add_row(r, sums); }
  });
  parallel_for(block_count(width, columns_per_task), blocks * Sums * columns_per_task, [&](Index task) {
    const Index begin = task * columns_per_task, n = std::min(columns_per_task, width - begin);
    for (Index s = 0; s < Sums; ++s) {
      float* const total = partial + s * width + begin;
      for (Index b = 1; b < blocks; ++b) { add_to(total, total + b * block_floats, n); }
      add_to(into[s] + begin, total, n);
    }
  });
}

/// The kept rows of a batch as a table, ascending, and how many runs of neighbours they form.
struct RowTable {
  const Index* rows;
  Index count, runs;
};
inline RowTable kept_rows(onednn& device, const op::KeptRows& kept, Index rows) {
  Index* const table = device.row_table(rows);
  Index count = 0, runs = 0;
  op::for_each_kept_run(kept, rows, [&](Index begin, Index end) {
    for (Index r = begin; r < end; ++r) { table[count++] = r; }
    ++runs;
  });
  return {table, count, runs};
}

}  // namespace radapt::detail::cpu
