#pragma once
/// Sums over the rows of a matrix, one for each column: gradients of biases, of norms and of position tables.
#include "radapt/backend/cuda/kernels/map.cuh"
#include "radapt/backend/cuda/kernels/rows.cuh"

namespace radapt::detail::gpu {

/// Rows that one thread adds up before its sum goes to memory; threads of a warp take neighbouring columns.
inline constexpr Index column_sum_rows = 64;

/// partial[chunk][column] = sum of f(row, column) over the rows of the chunk.
template <class F>
struct ColumnChunk {
  F f;
  Index rows, columns;
  float* partial;
  __device__ void operator()(Index i) const {
    const Index chunk = i / columns, column = i % columns;
    const Index begin = chunk * column_sum_rows, end = begin + column_sum_rows < rows ? begin + column_sum_rows : rows;
    float sum = 0;
    for (Index r = begin; r < end; ++r) { sum += f(r, column); }
    partial[i] = sum;
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

/// target[column] += sum over rows of f(row, column), in an order that depends on the extents alone.
template <class T, class F>
void add_column_sums(Call& call, const char* name, T* target, Index rows, Index columns, const F& f) {
  const Index chunks = (rows + column_sum_rows - 1) / column_sum_rows;
  float* const partial = call.workspace<float>(chunks * columns);
  map(call, name, chunks * columns, ColumnChunk<F>{f, rows, columns, partial});
  map(call, name, columns, AddChunks<T>{target, partial, chunks, columns});
}

/// The elements themselves.
struct Element {
  Matrix<const float> x;
  __device__ float operator()(Index r, Index i) const { return x.data[r * x.columns + i]; }
};
/// Those of kept rows, and 0 of others.
struct KeptElement {
  Matrix<const float> x;
  op::KeptRows kept;
  __device__ float operator()(Index r, Index i) const { return keeps_row(kept, r) ? x.data[r * x.columns + i] : 0.0F; }
};

}  // namespace radapt::detail::gpu
