#pragma once
/// CUDA kernels of op/norm.hpp: a warp for each row, which it holds in registers, so that x is read once.
///
/// Layer norm forward moves 8 bytes for each element, backward 12, at some 8 and 12 flops: bound by memory.
#include "radapt/backend/cuda/kernels/column_sums.cuh"

namespace radapt {

namespace detail::gpu {

inline constexpr unsigned norm_threads = 128;
inline constexpr Index rows_of_a_norm_block = norm_threads / warp_size;

/// A row spread over the lanes of a warp: lane l holds the elements l, l + 32, .. Rows that are wider than `Held` warps
/// of elements are read again by each pass over them; 0 is the widest.
template <unsigned Held>
struct LaneRow {
  float held[Held];
  template <class F>
  __device__ void load(Index width, unsigned lane, const F& f) {
    RADAPT_UNROLL
    for (unsigned j = 0; j < Held; ++j) { held[j] = lane + j * warp_size < width ? f(lane + j * warp_size) : 0.0F; }
  }
  /// use(column, value) for every element of this lane.
  template <class F, class U>
  __device__ void each(Index width, unsigned lane, const F&, const U& use) const {
    RADAPT_UNROLL
    for (unsigned j = 0; j < Held; ++j) {
      if (lane + j * warp_size < width) { use(lane + j * warp_size, held[j]); }
    }
  }
};
template <>
struct LaneRow<0> {
  template <class F>
  __device__ void load(Index, unsigned, const F&) {}
  template <class F, class U>
  __device__ void each(Index width, unsigned lane, const F& f, const U& use) const {
    for (Index i = lane; i < width; i += warp_size) { use(i, f(i)); }
  }
};

template <unsigned Held>
__global__ void __launch_bounds__(norm_threads) layer_norm_kernel(op::layer_norm_forward<float> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.x.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.x.rows) { return; }
  const auto x = [&](Index i) { return o.x.data[row * width + i]; };
  LaneRow<Held> in;
  in.load(width, lane, x);
  float sum = 0, squares = 0;
  in.each(width, lane, x, [&](Index, float v) { sum += v; });
  const float mean = warp_sum(sum) / static_cast<float>(width);
  in.each(width, lane, x, [&](Index, float v) { squares += (v - mean) * (v - mean); });
  const float variance = warp_sum(squares) / static_cast<float>(width);
  const float rstd = 1.0F / std::sqrt(variance + static_cast<float>(o.eps));
  in.each(width, lane, x,
          [&](Index i, float v) { o.y.data[row * width + i] = (v - mean) * rstd * o.weight.data[i] + o.bias.data[i]; });
  if (lane == 0 && o.mean) { o.mean.data[row] = mean; }
  if (lane == 0 && o.rstd) { o.rstd.data[row] = rstd; }
}

template <unsigned Held>
__global__ void __launch_bounds__(norm_threads) layer_norm_backward_kernel(op::layer_norm_backward_input<float> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.x.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.x.rows) { return; }
  const float mean = o.mean.data[row], rstd = o.rstd.data[row];
  const auto g = [&](Index i) { return o.dy.data[row * width + i] * o.weight.data[i]; };
  const auto normalised = [&](Index i) { return (o.x.data[row * width + i] - mean) * rstd; };
  LaneRow<Held> gradients, xhat;
  gradients.load(width, lane, g);
  xhat.load(width, lane, normalised);
  float sum = 0, along = 0;
  gradients.each(width, lane, g, [&](Index, float v) { sum += v; });
  if constexpr (Held == 0) {
    gradients.each(width, lane, g, [&](Index i, float v) { along += v * normalised(i); });
  } else {
    RADAPT_UNROLL
    for (unsigned j = 0; j < Held; ++j) { along += gradients.held[j] * xhat.held[j]; }
  }
  const float mean_g = warp_sum(sum) / static_cast<float>(width);
  const float mean_gx = warp_sum(along) / static_cast<float>(width);
  if constexpr (Held == 0) {
    gradients.each(width, lane, g, [&](Index i, float v) {
      o.dx.data[row * width + i] = rstd * (v - mean_g - normalised(i) * mean_gx);
    });
  } else {
    RADAPT_UNROLL
    for (unsigned j = 0; j < Held; ++j) {
      const Index i = lane + j * warp_size;
      if (i < width) { o.dx.data[row * width + i] = rstd * (gradients.held[j] - mean_g - xhat.held[j] * mean_gx); }
    }
  }
}

template <unsigned Held>
__global__ void __launch_bounds__(norm_threads) l2_normalize_kernel(op::l2_normalize_forward<float> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.x.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.x.rows) { return; }
  const auto x = [&](Index i) { return o.x.data[row * width + i]; };
  LaneRow<Held> in;
  in.load(width, lane, x);
  float squares = 0;
  in.each(width, lane, x, [&](Index, float v) { squares += v * v; });
  const float length = std::sqrt(warp_sum(squares)), eps = static_cast<float>(o.eps);
  const float norm = length > eps ? length : eps;
  in.each(width, lane, x, [&](Index i, float v) { o.y.data[row * width + i] = v / norm; });
  if (lane == 0 && o.norm) { o.norm.data[row] = norm; }
}

template <class T>
__global__ void __launch_bounds__(norm_threads) l2_normalize_backward_kernel(op::l2_normalize_backward<T> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.y.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.y.rows) { return; }
  const float *const dy = o.dy.data + row * width, *const y = o.y.data + row * width;
  const float norm = o.norm.data[row];
  float along = 0;
  if (norm > static_cast<float>(o.eps)) {
    for (Index i = lane; i < width; i += warp_size) { along += dy[i] * y[i]; }
  }
  along = warp_sum(along);
  for (Index i = lane; i < width; i += warp_size) { o.dx.data[row * width + i] = (dy[i] - y[i] * along) / norm; }
}

inline dim3 norm_blocks(Index rows) { return blocks_for(rows, rows_of_a_norm_block); }

/// Calls f.template operator()<Held>() with the fewest registers that hold a row of that width.
template <class F>
void for_held_rows(Index width, const F& f) {
  const Index needed = (width + warp_size - 1) / warp_size;
  if (needed <= 8) { return f.template operator()<8>(); }
  if (needed <= 16) { return f.template operator()<16>(); }
  if (needed <= 24) { return f.template operator()<24>(); }
  if (needed <= 40) { return f.template operator()<40>(); }
  return f.template operator()<0>();
}

struct WeightGradient {
  op::layer_norm_backward_weight<float> o;
  __device__ float operator()(Index r, Index i) const {
    const Index at = r * o.x.columns + i;
    return o.dy.data[at] * (o.x.data[at] - o.mean.data[r]) * o.rstd.data[r];
  }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::layer_norm_forward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  op::layer_norm_forward<T> p = o;
  p.y = call.out(o.y);
  p.x = call.in(o.x);
  p.weight = call.in(o.weight);
  p.bias = call.in(o.bias);
  p.mean = call.out(o.mean);
  p.rstd = call.out(o.rstd);
  for_held_rows(o.x.columns, [&]<unsigned Held>() {
    call.run(o.name, norm_blocks(o.x.rows), norm_threads, layer_norm_kernel<Held>, p);
  });
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::layer_norm_backward_input<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  op::layer_norm_backward_input<T> p = o;
  p.dx = call.out(o.dx);
  p.dy = call.in(o.dy);
  p.x = call.in(o.x);
  p.weight = call.in(o.weight);
  p.mean = call.in(o.mean);
  p.rstd = call.in(o.rstd);
  for_held_rows(o.x.columns, [&]<unsigned Held>() {
    call.run(o.name, norm_blocks(o.x.rows), norm_threads, layer_norm_backward_kernel<Held>, p);
  });
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::layer_norm_backward_weight<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  op::layer_norm_backward_weight<T> p = o;
  p.dweight = call.updated(o.dweight);
  p.dbias = call.updated(o.dbias);
  p.dy = call.in(o.dy);
  p.x = call.in(o.x);
  p.mean = call.in(o.mean);
  p.rstd = call.in(o.rstd);
  add_column_sums(call, o.name, p.dweight.data, o.x.rows, o.x.columns, WeightGradient{p});
  add_column_sums(call, o.name, p.dbias.data, o.x.rows, o.x.columns, Element{p.dy});
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::l2_normalize_forward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  op::l2_normalize_forward<T> p = o;
  p.y = call.out(o.y);
  p.x = call.in(o.x);
  p.norm = call.out(o.norm);
  for_held_rows(o.x.columns, [&]<unsigned Held>() {
    call.run(o.name, norm_blocks(o.x.rows), norm_threads, l2_normalize_kernel<Held>, p);
  });
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::l2_normalize_backward<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  op::l2_normalize_backward<T> p = o;
  p.dx = call.out(o.dx);
  p.dy = call.in(o.dy);
  p.y = call.in(o.y);
  p.norm = call.in(o.norm);
  call.run(o.name, norm_blocks(o.y.rows), norm_threads, l2_normalize_backward_kernel<T>, p);
  call.done();
}

}  // namespace radapt
