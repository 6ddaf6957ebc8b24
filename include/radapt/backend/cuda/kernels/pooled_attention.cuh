#pragma once
/// CUDA kernels of op/pooled_attention.hpp. Of every sequence and head a row in f32 is between the weights and the
/// tokens: u, e and the sums of tokens, (sequences, heads, width) each. Weights meet them in products over all
/// sequences at once, so that a weight is read once for 64 sequences; tokens meet them sequence by sequence, some heads
/// or some tokens at a time, so that a token is read once for several heads and a row once for several tokens.
///
/// Every step is f32 until y, dx and dq are stored. Every sum has one order, which depends on the extents and on
/// whether rows of bf16 may be read in packs; no block adds to what another one wrote.
#include <limits>

#include "radapt/backend/cuda/kernels/head_products.cuh"
#include "radapt/backend/cuda/kernels/map.cuh"

namespace radapt {

namespace detail::gpu {

inline constexpr unsigned pooled_threads = 128, pooled_warps = pooled_threads / warp_size;
/// Heads and tokens that a thread has sums of at a time: 16 of products, and of gradients 8 tokens.
inline constexpr unsigned pooled_heads = 4, pooled_tokens = 4, pooled_gradients = 8;

/// What the pooled token of sequence i sees: its first tokens, this many.
struct SeenTokens {
  Sequences sequences;
  bool causal = false;
  Pooling pooling = Pooling::first;
  __device__ Index operator()(Index i) const {
    return causal ? pooled_position(sequences, pooling, i) + 1 : sequences.length(i);
  }
};
__device__ __forceinline__ Index lesser(Index a, Index b) { return a < b ? a : b; }

/// products(t, h) = <x_t, rows(i, h)> for the tokens seen of sequence i.
///
/// 2 heads flops for an element of x. A warp has 4 tokens and 4 heads: per lane 8 loads for 16 multiply-adds, almost
/// all from the first cache, which limits it; x is read once from memory.
template <class T, unsigned N>
__global__ void __launch_bounds__(pooled_threads)
    token_products_kernel(float* products, const T* x, const float* rows, Index width, Index heads, SeenTokens seen,
                          unsigned tiles) {
  const unsigned lane = threadIdx.x % warp_size;
  const Index i = blockIdx.x / tiles, begin = seen.sequences.begin(i), length = seen(i);
  const Index first = (Index{blockIdx.x % tiles} * pooled_warps + threadIdx.x / warp_size) * pooled_tokens;
  if (first >= length) { return; }  // a whole warp
  // Behind the last token and the last head these are taken again, and nothing is written.
  const T* token[pooled_tokens];
  RADAPT_UNROLL
  for (unsigned t = 0; t < pooled_tokens; ++t) { token[t] = x + (begin + lesser(first + t, length - 1)) * width; }
  for (Index h0 = 0; h0 < heads; h0 += pooled_heads) {
    const float* row[pooled_heads];
    RADAPT_UNROLL
    for (unsigned h = 0; h < pooled_heads; ++h) { row[h] = rows + (i * heads + lesser(h0 + h, heads - 1)) * width; }
    float sums[pooled_tokens][pooled_heads] = {};
    RADAPT_KEEP_LOOP
    for (Index c = lane * N; c < width; c += warp_size * N) {
      Floats<N> of_token[pooled_tokens];
      RADAPT_UNROLL
      for (unsigned t = 0; t < pooled_tokens; ++t) { of_token[t] = load<N>(token[t] + c); }
      RADAPT_UNROLL
      for (unsigned h = 0; h < pooled_heads; ++h) {
        const Floats<N> of_row = load<N>(row[h] + c);
        RADAPT_UNROLL
        for (unsigned t = 0; t < pooled_tokens; ++t) {
          RADAPT_UNROLL
          for (unsigned e = 0; e < N; ++e) { sums[t][h] += of_token[t].x[e] * of_row.x[e]; }
        }
      }
    }
    float mine = 0;  // of lane 4t + h
    RADAPT_UNROLL
    for (unsigned t = 0; t < pooled_tokens; ++t) {
      RADAPT_UNROLL
      for (unsigned h = 0; h < pooled_heads; ++h) {
        const float whole = warp_sum(sums[t][h]);
        if (lane == t * pooled_heads + h) { mine = whole; }
      }
    }
    const Index t = first + lane / pooled_heads, h = h0 + lane % pooled_heads;
    if (lane < pooled_tokens * pooled_heads && t < length && h < heads) { products[(begin + t) * heads + h] = mine; }
  }
}

/// sums(i, h) = sum of weights(t, h) x_t over the tokens seen of sequence i, in their order.
///
/// 2 heads flops for an element of x, which is read once for 4 heads. A thread has the columns of a pack.
template <class T, unsigned N>
__global__ void __launch_bounds__(pooled_threads)
    token_sums_kernel(float* sums, const T* x, const float* weights, Index width, Index heads, SeenTokens seen) {
  const Index groups = (heads + pooled_heads - 1) / pooled_heads;
  const Index i = blockIdx.x / groups, h0 = blockIdx.x % groups * pooled_heads;
  const Index c = (Index{blockIdx.y} * pooled_threads + threadIdx.x) * N;
  if (c >= width) { return; }
  const Index begin = seen.sequences.begin(i), length = seen(i);
  const T* token = x + begin * width + c;
  const float* weight[pooled_heads];
  RADAPT_UNROLL
  for (unsigned h = 0; h < pooled_heads; ++h) { weight[h] = weights + begin * heads + lesser(h0 + h, heads - 1); }
  Floats<N> sum[pooled_heads] = {};
  for (Index t = 0; t < length; ++t) {
    const Floats<N> of_token = load<N>(token + t * width);
    RADAPT_UNROLL
    for (unsigned h = 0; h < pooled_heads; ++h) {
      const float w = weight[h][t * heads];
      RADAPT_UNROLL
      for (unsigned e = 0; e < N; ++e) { sum[h].x[e] += w * of_token.x[e]; }
    }
  }
  RADAPT_UNROLL
  for (unsigned h = 0; h < pooled_heads; ++h) {
    if (h0 + h < heads) { store(sums + (i * heads + h0 + h) * width + c, sum[h]); }
  }
}

/// p = softmax(scale p) over the tokens seen, and 0 for the others. A warp for each sequence and head.
template <unsigned Warps>
__global__ void __launch_bounds__(Warps* warp_size)
    pooled_softmax_kernel(float* p, Index heads, float scale, SeenTokens seen) {
  const Index at = Index{blockIdx.x} * Warps + threadIdx.x / warp_size, i = at / heads;
  if (i >= seen.sequences.count) { return; }  // a whole warp
  p += seen.sequences.begin(i) * heads + at % heads;
  const Index length = seen(i), lane = threadIdx.x % warp_size;
  float most = -std::numeric_limits<float>::infinity(), sum = 0;
  for (Index t = lane; t < length; t += warp_size) { most = fmaxf(most, p[t * heads]); }
  most = warp_max(most);
  // A lane reads again what it wrote itself.
  for (Index t = lane; t < length; t += warp_size) {
    const float x = expf(scale * (p[t * heads] - most));
    p[t * heads] = x;
    sum += x;
  }
  sum = warp_sum(sum);
  for (Index t = lane; t < length; t += warp_size) { p[t * heads] /= sum; }
  for (Index t = length + lane; t < seen.sequences.length(i); t += warp_size) { p[t * heads] = 0; }
}

/// ds = scale p (dp - <p, dp>) in the place of dp, over all tokens. A warp for each sequence and head.
template <unsigned Warps>
__global__ void __launch_bounds__(Warps* warp_size)
    pooled_softmax_backward_kernel(float* dp, const float* p, Index heads, float scale, Sequences sequences) {
  const Index at = Index{blockIdx.x} * Warps + threadIdx.x / warp_size, i = at / heads;
  if (i >= sequences.count) { return; }  // a whole warp
  const Index first = sequences.begin(i) * heads + at % heads, length = sequences.length(i);
  dp += first;
  p += first;
  float along = 0;
  for (Index t = threadIdx.x % warp_size; t < length; t += warp_size) { along += p[t * heads] * dp[t * heads]; }
  along = warp_sum(along);
  for (Index t = threadIdx.x % warp_size; t < length; t += warp_size) {
    dp[t * heads] = scale * p[t * heads] * (dp[t * heads] - along);
  }
}

/// dx_t = sum of p(t, h) e(i, h) + ds(t, h) u(i, h) over the heads, in their order.
///
/// 4 heads flops for an element of dx, which is written once; u and e of a sequence are read once for 8 tokens, from
/// the cache that all blocks share. A thread has the columns of a pack.
template <class T, unsigned N>
__global__ void __launch_bounds__(pooled_threads)
    token_gradients_kernel(T* dx, const float* p, const float* ds, const float* e, const float* u, Index width,
                           Index heads, Sequences sequences, unsigned tiles) {
  const Index i = blockIdx.x / tiles, first = Index{blockIdx.x % tiles} * pooled_gradients;
  const Index c = (Index{blockIdx.y} * pooled_threads + threadIdx.x) * N, length = sequences.length(i);
  if (first >= length || c >= width) { return; }
  const Index row = sequences.begin(i) + first;
  Index entry[pooled_gradients];  // behind the last token the last one's, and nothing is written
  RADAPT_UNROLL
  for (unsigned t = 0; t < pooled_gradients; ++t) { entry[t] = (row + lesser(t, length - first - 1)) * heads; }
  Floats<N> sum[pooled_gradients] = {};
  for (Index h = 0; h < heads; ++h) {
    const Floats<N> of_e = load<N>(e + (i * heads + h) * width + c), of_u = load<N>(u + (i * heads + h) * width + c);
    RADAPT_UNROLL
    for (unsigned t = 0; t < pooled_gradients; ++t) {
      const float of_p = p[entry[t] + h], of_ds = ds[entry[t] + h];
      RADAPT_UNROLL
      for (unsigned j = 0; j < N; ++j) { sum[t].x[j] += of_p * of_e.x[j] + of_ds * of_u.x[j]; }
    }
  }
  RADAPT_UNROLL
  for (unsigned t = 0; t < pooled_gradients; ++t) {
    if (first + t < length) { store(dx + (row + t) * width + c, sum[t]); }
  }
}

/// The extents of a call, and what it launches. Rows of bf16 tokens are read and written in packs where they may be.
template <class T>
struct PooledAttention {
  Call& call;
  const char* name;
  Index width, heads;
  SeenTokens seen;  ///< with sequences that kernels can follow
  Index longest;

  Index count() const { return seen.sequences.count; }
  Index head_width() const { return width / heads; }
  float scale() const { return 1.0F / std::sqrt(static_cast<float>(head_width())); }
  /// A row for each sequence and head, in memory of the call.
  float* rows() const { return call.workspace<float>(count() * heads * width); }
  dim3 a_warp_each() const { return blocks_for(count() * heads, pooled_warps); }
  unsigned tiles(Index tokens) const { return static_cast<unsigned>((longest + tokens - 1) / tokens); }
  static dim3 grid(Index blocks, dim3 chunks) { return dim3(static_cast<unsigned>(blocks), chunks.x); }

  /// to(i, h) = weight_h^T from_h(i): a row of the width from the head's part of one.
  void through_weight(float* to, const T* from, const float* weight) const {
    multiply_heads<Form::plain>(call, name, heads,
                                HeadProducts<float, T, float>{.first = {.c = to,
                                                                        .a = from,
                                                                        .b = weight,
                                                                        .rows = count(),
                                                                        .columns = width,
                                                                        .inner = head_width(),
                                                                        .a_stride = width,
                                                                        .b_stride = width,
                                                                        .c_stride = heads * width},
                                                              .a_step = head_width(),
                                                              .b_step = head_width() * width,
                                                              .c_step = width});
  }
  /// to_h(i) = weight_h from(i, h) + bias_h: the head's part of a row from one of the width.
  void into_head(T* to, const float* from, const float* weight, const float* bias) const {
    multiply_heads<Form::b_transposed>(call, name, heads,
                                       HeadProducts<T, float, float>{.first = {.c = to,
                                                                               .a = from,
                                                                               .b = weight,
                                                                               .rows = count(),
                                                                               .columns = head_width(),
                                                                               .inner = width,
                                                                               .a_stride = heads * width,
                                                                               .b_stride = width,
                                                                               .c_stride = width,
                                                                               .bias = bias},
                                                                     .a_step = width,
                                                                     .b_step = head_width() * width,
                                                                     .c_step = head_width(),
                                                                     .bias_step = head_width()});
  }
  /// dweight_h += sum over the sequences, in their order, of left_h(i) right(i, h)^T.
  void add_outer_products(float* dweight, const T* left, const float* right) const {
    multiply_heads<Form::a_transposed>(call, name, heads,
                                       HeadProducts<float, T, float>{.first = {.c = dweight,
                                                                               .a = left,
                                                                               .b = right,
                                                                               .rows = head_width(),
                                                                               .columns = width,
                                                                               .inner = count(),
                                                                               .a_stride = width,
                                                                               .b_stride = heads * width,
                                                                               .c_stride = width,
                                                                               .accumulate = true},
                                                                     .a_step = head_width(),
                                                                     .b_step = width,
                                                                     .c_step = head_width() * width});
  }
  void token_products(float* products, const T* x, const float* rows) const {
    const unsigned n = tiles(pooled_tokens * pooled_warps);
    with_neighbours<T, map_neighbours>(
        width,
        [&]<unsigned N>() {
          call.run(name, dim3(static_cast<unsigned>(count() * n)), pooled_threads, token_products_kernel<T, N>,
                   products, x, rows, width, heads, seen, n);
        },
        x);
  }
  void token_sums(float* sums, const T* x, const float* weights) const {
    const Index groups = (heads + pooled_heads - 1) / pooled_heads;
    with_neighbours<T, map_neighbours>(
        width,
        [&]<unsigned N>() {
          call.run(name, grid(count() * groups, blocks_for(width, pooled_threads * N)), pooled_threads,
                   token_sums_kernel<T, N>, sums, x, weights, width, heads, seen);
        },
        x);
  }
  void token_gradients(T* dx, const float* p, const float* ds, const float* e, const float* u) const {
    const unsigned n = tiles(pooled_gradients);
    with_neighbours<T, map_neighbours>(
        width,
        [&]<unsigned N>() {
          call.run(name, grid(count() * n, blocks_for(width, pooled_threads * N)), pooled_threads,
                   token_gradients_kernel<T, N>, dx, p, ds, e, u, width, heads, seen.sequences, n);
        },
        dx);
  }
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::pooled_attention_forward<T>& o) {
  using namespace detail::gpu;
  if (o.sequences.count == 0) { return; }
  Call call(backend);
  const PooledAttention<T> attention{
      call, o.name, o.y.columns, o.heads, {call.in(o.sequences), o.causal, o.pooling}, o.sequences.longest()};
  const T* const x = call.in(o.x).data;
  float* const p =
      o.probabilities.data == nullptr ? call.workspace<float>(o.x.rows * o.heads) : call.out(o.probabilities).data;
  float* const rows = attention.rows();  // u, and then sums of tokens
  attention.through_weight(rows, call.in(o.q).data, call.in(o.key).data);
  attention.token_products(p, x, rows);
  call.run(o.name, attention.a_warp_each(), pooled_threads, pooled_softmax_kernel<pooled_warps>, p, o.heads,
           attention.scale(), attention.seen);
  attention.token_sums(rows, x, p);
  attention.into_head(call.out(o.y).data, rows, call.in(o.value).data, call.in(o.value_bias).data);
  call.done();
}

template <cuda_element T>
void launch(cuda& backend, const op::pooled_attention_backward<T>& o) {
  using namespace detail::gpu;
  if (o.sequences.count == 0) { return; }
  Call call(backend);
  const PooledAttention<T> attention{
      call, o.name, o.dy.columns, o.heads, {.sequences = call.in(o.sequences)}, o.sequences.longest()};
  const T *const x = call.in(o.x).data, *const q = call.in(o.q).data, *const dy = call.in(o.dy).data;
  const float *const key = call.in(o.key).data, *const p = call.in(o.probabilities).data;
  float* const ds = call.workspace<float>(o.x.rows * o.heads);
  float *const u = attention.rows(), *const e = attention.rows();
  attention.through_weight(u, q, key);
  attention.through_weight(e, dy, call.in(o.value).data);
  attention.token_products(ds, x, e);
  call.run(o.name, attention.a_warp_each(), pooled_threads, pooled_softmax_backward_kernel<pooled_warps>, ds, p,
           o.heads, attention.scale(), attention.seen.sequences);
  attention.token_gradients(call.out(o.dx).data, p, ds, e, u);
  float *const g = u, *const z = e;  // which nobody reads any more
  attention.token_sums(g, x, ds);
  attention.into_head(call.out(o.dq).data, g, key, nullptr);
  if (o.dkey.data != nullptr) { attention.add_outer_products(call.updated(o.dkey).data, q, g); }
  if (o.dvalue.data != nullptr) {
    attention.token_sums(z, x, p);
    attention.add_outer_products(call.updated(o.dvalue).data, dy, z);
  }
  call.done();
}

}  // namespace radapt
