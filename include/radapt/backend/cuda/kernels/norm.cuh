#pragma once
/// CUDA kernels of op/norm.hpp: a warp for each row, which it holds in registers, so that x is read once.
///
/// Layer norm forward reads and writes an element, backward reads two and writes one, at some 8 and 12 flops: bound by
/// memory.
#include "radapt/backend/cuda/kernels/column_sums.cuh"

namespace radapt {

namespace detail::gpu {

inline constexpr unsigned norm_threads = 128;
inline constexpr Index rows_of_a_norm_block = norm_threads / warp_size;

/// A row spread over the lanes of a warp, N neighbours at a time: lane l holds the packs l, l + 32, .. Rows with more
/// elements than `Held` for each lane are read again by each pass over them; 0 is the widest. N divides the width.
template <unsigned Held, unsigned N>
struct LaneRow {
  Floats<N> held[Held / N];
  static_assert(Held % N == 0);
  __device__ static Index column(unsigned lane, unsigned j) { return (lane + j * warp_size) * N; }
  /// f(column) gives N elements.
  template <class F>
  __device__ void load(Index width, unsigned lane, const F& f) {
    RADAPT_UNROLL
    for (unsigned j = 0; j < Held / N; ++j) { held[j] = column(lane, j) < width ? f(column(lane, j)) : Floats<N>{}; }
  }
  /// use(column, values) for every pack of this lane.
  template <class F, class U>
  __device__ void each(Index width, unsigned lane, const F&, const U& use) const {
    RADAPT_UNROLL
    for (unsigned j = 0; j < Held / N; ++j) {
      if (column(lane, j) < width) { use(column(lane, j), held[j]); }
    }
  }
};
template <unsigned N>
struct LaneRow<0, N> {
  template <class F>
  __device__ void load(Index, unsigned, const F&) {}
  template <class F, class U>
  __device__ void each(Index width, unsigned lane, const F& f, const U& use) const {
    for (Index i = lane * N; i < width; i += warp_size * N) { use(i, f(i)); }
  }
};

template <class T, unsigned Held, unsigned N>
__global__ void __launch_bounds__(norm_threads) layer_norm_kernel(op::layer_norm_forward<T> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.x.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.x.rows) { return; }
  const auto x = [&](Index i) { return load<N>(o.x.data + row * width + i); };
  LaneRow<Held, N> in;
  in.load(width, lane, x);
  float sum = 0, squares = 0;
  in.each(width, lane, x, [&](Index, const Floats<N>& values) {
    RADAPT_UNROLL
    for (const float v : values.x) { sum += v; }
  });
  const float mean = warp_sum(sum) / static_cast<float>(width);
  in.each(width, lane, x, [&](Index, const Floats<N>& values) {
    RADAPT_UNROLL
    for (const float v : values.x) { squares += (v - mean) * (v - mean); }
  });
  const float variance = warp_sum(squares) / static_cast<float>(width);
  const float rstd = 1.0F / std::sqrt(variance + static_cast<float>(o.eps));
  in.each(width, lane, x, [&](Index i, Floats<N> values) {
    const Floats<N> weight = load<N>(o.weight.data + i), bias = load<N>(o.bias.data + i);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { values.x[e] = (values.x[e] - mean) * rstd * weight.x[e] + bias.x[e]; }
    store(o.y.data + row * width + i, values);
  });
  if (lane == 0 && o.mean) { o.mean.data[row] = mean; }
  if (lane == 0 && o.rstd) { o.rstd.data[row] = rstd; }
}

template <class T, unsigned Held, unsigned N>
__global__ void __launch_bounds__(norm_threads) layer_norm_backward_kernel(op::layer_norm_backward_input<T> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.x.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.x.rows) { return; }
  const float mean = o.mean.data[row], rstd = o.rstd.data[row];
  const auto g = [&](Index i) {
    Floats<N> values = load<N>(o.dy.data + row * width + i);
    const Floats<N> weight = load<N>(o.weight.data + i);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { values.x[e] *= weight.x[e]; }
    return values;
  };
  const auto normalised = [&](Index i) {
    Floats<N> values = load<N>(o.x.data + row * width + i);
    RADAPT_UNROLL
    for (float& v : values.x) { v = (v - mean) * rstd; }
    return values;
  };
  LaneRow<Held, N> gradients, xhat;
  gradients.load(width, lane, g);
  xhat.load(width, lane, normalised);
  float sum = 0, along = 0;
  gradients.each(width, lane, g, [&](Index, const Floats<N>& values) {
    RADAPT_UNROLL
    for (const float v : values.x) { sum += v; }
  });
  // use(column, gradients, xhat) for every pack of this lane.
  const auto each_pair = [&](const auto& use) {
    if constexpr (Held == 0) {
      gradients.each(width, lane, g, [&](Index i, const Floats<N>& values) { use(i, values, normalised(i)); });
    } else {
      RADAPT_UNROLL
      for (unsigned j = 0; j < Held / N; ++j) {
        const Index i = gradients.column(lane, j);
        if (i < width) { use(i, gradients.held[j], xhat.held[j]); }
      }
    }
  };
  each_pair([&](Index, const Floats<N>& gradient, const Floats<N>& at) {
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { along += gradient.x[e] * at.x[e]; }
  });
  const float mean_g = warp_sum(sum) / static_cast<float>(width);
  const float mean_gx = warp_sum(along) / static_cast<float>(width);
  each_pair([&](Index i, const Floats<N>& gradient, const Floats<N>& at) {
    Floats<N> values;
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { values.x[e] = rstd * (gradient.x[e] - mean_g - at.x[e] * mean_gx); }
    store(o.dx.data + row * width + i, values);
  });
}

template <class T, unsigned Held, unsigned N>
__global__ void __launch_bounds__(norm_threads) l2_normalize_kernel(op::l2_normalize_forward<T> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.x.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.x.rows) { return; }
  const auto x = [&](Index i) { return load<N>(o.x.data + row * width + i); };
  LaneRow<Held, N> in;
  in.load(width, lane, x);
  float squares = 0;
  in.each(width, lane, x, [&](Index, const Floats<N>& values) {
    RADAPT_UNROLL
    for (const float v : values.x) { squares += v * v; }
  });
  const float length = std::sqrt(warp_sum(squares)), eps = static_cast<float>(o.eps);
  const float norm = length > eps ? length : eps;
  in.each(width, lane, x, [&](Index i, Floats<N> values) {
    RADAPT_UNROLL
    for (float& v : values.x) { v = v / norm; }
    store(o.y.data + row * width + i, values);
  });
  if (lane == 0 && o.norm) { o.norm.data[row] = norm; }
}

/// Features of a batch: too few for packs to matter.
template <class T>
__global__ void __launch_bounds__(norm_threads) l2_normalize_backward_kernel(op::l2_normalize_backward<T> o) {
  const Index row = Index{blockIdx.x} * rows_of_a_norm_block + threadIdx.x / warp_size, width = o.y.columns;
  const unsigned lane = threadIdx.x % warp_size;
  if (row >= o.y.rows) { return; }
  const T *const dy = o.dy.data + row * width, *const y = o.y.data + row * width;
  const float norm = o.norm.data[row];
  float along = 0;
  if (norm > static_cast<float>(o.eps)) {
    for (Index i = lane; i < width; i += warp_size) { along += load(dy + i) * load(y + i); }
  }
  along = warp_sum(along);
  for (Index i = lane; i < width; i += warp_size) {
    store(o.dx.data + row * width + i, (load(dy + i) - load(y + i) * along) / norm);
  }
}

inline dim3 norm_blocks(Index rows) { return blocks_for(rows, rows_of_a_norm_block); }

/// Neighbours of bf16 that a lane takes at once: 4 bytes.
inline constexpr unsigned norm_neighbours = 2;

/// Calls f.template operator()<Held, N>() with the fewest registers that hold a row of that width, and the neighbours
/// that may be read at once.
template <class T, class F, class... Pointers>
void for_held_rows(Index width, const F& f, const Pointers*... pointers) {
  const Index needed = (width + warp_size - 1) / warp_size;
  with_neighbours<T, norm_neighbours>(
      width,
      [&]<unsigned N>() {
        if (needed <= 8) { return f.template operator()<8, N>(); }
        if (needed <= 16) { return f.template operator()<16, N>(); }
        if (needed <= 24) { return f.template operator()<24, N>(); }
        if (needed <= 40) { return f.template operator()<40, N>(); }
        return f.template operator()<0, N>();
      },
      pointers...);
}

template <class T>
struct WeightGradient {
  op::layer_norm_backward_weight<T> o;
  template <unsigned N>
  __device__ Floats<N> operator()(Index r, Index i) const {
    const Index at = r * o.x.columns + i;
    const float mean = o.mean.data[r], rstd = o.rstd.data[r];
    Floats<N> values = load<N>(o.dy.data + at);
    const Floats<N> x = load<N>(o.x.data + at);
    RADAPT_UNROLL
    for (unsigned e = 0; e < N; ++e) { values.x[e] = values.x[e] * (x.x[e] - mean) * rstd; }
    return values;
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
  for_held_rows<T>(
      o.x.columns,
      [&]<unsigned Held, unsigned N>() {
        call.run(o.name, norm_blocks(o.x.rows), norm_threads, layer_norm_kernel<T, Held, N>, p);
      },
      p.y.data, p.x.data, p.weight.data, p.bias.data);
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
  for_held_rows<T>(
      o.x.columns,
      [&]<unsigned Held, unsigned N>() {
        call.run(o.name, norm_blocks(o.x.rows), norm_threads, layer_norm_backward_kernel<T, Held, N>, p);
      },
      p.dx.data, p.dy.data, p.x.data, p.weight.data);
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
  add_column_sums<T>(call, o.name, p.dweight.data, o.x.rows, o.x.columns, WeightGradient<T>{p}, p.dy.data, p.x.data);
  add_column_sums<T>(call, o.name, p.dbias.data, o.x.rows, o.x.columns, Element<T>{p.dy}, p.dy.data);
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
  for_held_rows<T>(
      o.x.columns,
      [&]<unsigned Held, unsigned N>() {
        call.run(o.name, norm_blocks(o.x.rows), norm_threads, l2_normalize_kernel<T, Held, N>, p);
      },
      p.y.data, p.x.data);
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
