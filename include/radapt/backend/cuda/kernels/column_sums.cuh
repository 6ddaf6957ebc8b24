#pragma once
/// Sums over the rows of a matrix, one for each column: gradients of biases, of norms and of position tables.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/rows.cuh"

namespace radapt::detail::gpu {

/// Rows that one thread adds up before its sum goes to memory; threads of a warp take neighbouring columns.
inline constexpr Index column_sum_rows = 64;

/// Neighbouring columns of bf16 that a thread adds up: 4 bytes.
inline constexpr unsigned column_neighbours = 2;

/// partial[chunk][column] = sum of f.operator()<N>(row, column) over the rows of the chunk, N columns at a time.
template <unsigned N, class F>
struct ColumnChunk {
  F f;
  Index rows, columns;
  float* partial;
  __device__ void operator()(Index i) const {
    const Index chunk = i / (columns / N), column = i % (columns / N) * N;
    const Index begin = chunk * column_sum_rows, end = begin + column_sum_rows < rows ? begin + column_sum_rows : rows;
    Floats<N> sums{};
    for (Index r = begin; r < end; ++r) {
      const Floats<N> row = f.template operator()<N>(r, column);
      RADAPT_UNROLL
      for (unsigned e = 0; e < N; ++e) { sums.x[e] += row.x[e]; }
    }
    store(partial + chunk * columns + column, sums);
  }
};
template <class T>
struct AddChunks {
  T* target;
  const float* partial;
  Index chunks, columns;
  __device__ void operator()(Index column) const {
    double sum = 0;
    for (Index chunk = 0; chunk < chunks; ++chunk) { sum += static_cast<double>(partial[chunk * columns + column]); }
    target[column] += static_cast<T>(sum);
  }
};

/// target[column] += sum over rows of f(row, column), in an order that depends on the extents and on whether rows of T
/// at the pointers may be read in pairs.
template <class T, class F, class... Pointers>
void add_column_sums(Call& call, const char* name, float* target, Index rows, Index columns, const F& f,
                     const Pointers*... pointers) {
  const Index chunks = (rows + column_sum_rows - 1) / column_sum_rows;
  float* const partial = call.workspace<float>(chunks * columns);
  with_neighbours<T, column_neighbours>(
      columns,
      [&]<unsigned N>() {
        map(call, name, chunks * (columns / N), ColumnChunk<N, F>{f, rows, columns, partial});
      },
      pointers...);
  map(call, name, columns, AddChunks<float>{target, partial, chunks, columns});
}

/// The elements themselves.
template <class T>
struct Element {
  Matrix<const T> x;
  template <unsigned N>
  __device__ Floats<N> operator()(Index r, Index i) const {
    return load<N>(x.data + r * x.columns + i);
  }
};
/// Those of kept rows, and 0 of others.
template <class T>
struct KeptElement {
  Matrix<const T> x;
  op::KeptRows kept;
  template <unsigned N>
  __device__ Floats<N> operator()(Index r, Index i) const {
    return keeps_row(kept, r) ? load<N>(x.data + r * x.columns + i) : Floats<N>{};
  }
};

}  // namespace radapt::detail::gpu
