#pragma once
/// Matrix products in f32 with multiply-adds of f32, for any extents and strides, where rows may be left out.
///
/// 2 rows columns inner flops; with tiles of 64 x 64 each factor is read inner / 64 times from the caches. The ceiling
/// is the rate of f32 multiply-adds. Large products without a mask are cuBLASLt's, see vendor_product.cuh.
#include "radapt/backend/cuda/kernels/activation.cuh"
#include "radapt/backend/cuda/kernels/call.cuh"
#include "radapt/backend/cuda/kernels/rows.cuh"

namespace radapt::detail::gpu {

/// How the factors of c = a b lie in memory.
enum class Form {
  plain,         ///< a (rows, inner), b (inner, columns): a gradient goes back through a weight
  b_transposed,  ///< a (rows, inner), b (columns, inner): x W^T
  a_transposed,  ///< a (inner, rows), b (inner, columns): the gradient of a weight
};
/// use.template operator()<a is transposed, b is transposed>() for the form.
template <class F>
void with_form(Form form, const F& use) {
  if (form == Form::plain) { return use.template operator()<false, false>(); }
  if (form == Form::b_transposed) { return use.template operator()<false, true>(); }
  use.template operator()<true, false>();
}

/// c = coefficient a b + bias, or c += coefficient a b; the strides are between rows in memory. C, A and B are what the
/// matrices are made of.
template <class C, class A, class B>
struct ProductOf {
  C* c = nullptr;
  const A* a = nullptr;
  const B* b = nullptr;
  Index rows = 0, columns = 0, inner = 0;
  Index a_stride = 0, b_stride = 0, c_stride = 0;
  Form form = Form::plain;
  bool accumulate = false;
  double factor = 1.0;
  const float* scale = nullptr;      ///< times this parameter, where not null
  const float* log_scale = nullptr;  ///< times exp of this parameter, where not null
  const float* bias = nullptr;       ///< (columns) or null
  op::KeptRows kept{};               ///< of the rows of c, which are left alone where dropped
  bool kept_inner = false;           ///< `kept` is of the extent that is summed over
  C* h = nullptr;                    ///< of bf16 products: what is in front of an activation, in rows like c; or null
  const C* residual = nullptr;       ///< of bf16 products: added at the end, in rows like c; or null

  /// The same product with a second factor of other elements, which lie as those of b do.
  template <class Other>
  ProductOf<C, A, Other> with_b(const Other* other) const {
    return {c,    a,          other,  rows,  columns,   inner, a_stride, b_stride,  c_stride,
            form, accumulate, factor, scale, log_scale, bias,  kept,     kept_inner,
            h,    residual};
  }
};

using Product = ProductOf<float, float, float>;

/// The number that a product is multiplied with.
template <class C, class A, class B>
__device__ float coefficient_of(const ProductOf<C, A, B>& p) {
  float c = static_cast<float>(p.factor);
  if (p.scale != nullptr) { c *= *p.scale; }
  if (p.log_scale != nullptr) { c *= std::exp(*p.log_scale); }
  return c;
}

inline constexpr unsigned product_threads = 256;
inline constexpr Index product_tile = 64, product_depth = 16;

/// tile[k][m] = element (first_row + m, first_inner + k), 0 outside of the matrix.
template <bool Transposed, class X>
__device__ void load_tile(float (*tile)[product_tile + 4], const X* x, Index stride, Index first_row, Index rows,
                          Index first_inner, Index inner, const bool* keeps) {
  for (Index j = 0; j < product_tile * product_depth / product_threads; ++j) {
    const Index i = threadIdx.x + j * product_threads;
    const Index m = Transposed ? i % product_tile : i / product_depth;
    const Index k = Transposed ? i / product_tile : i % product_depth;
    const Index row = first_row + m, at = first_inner + k;
    float value = 0.0F;
    if (row < rows && at < inner && (keeps == nullptr || keeps[k])) {
      value = load(x + (Transposed ? at * stride + row : row * stride + at));
    }
    tile[k][m] = value;
  }
}

/// The tile of c that is the block's. `Then` is NoActivation, or is applied behind the bias.
template <bool TransposedA, bool TransposedB, class Then, class C, class A, class B>
__device__ __forceinline__ void multiply_tile(const ProductOf<C, A, B>& p) {
  constexpr Index each = 4;  // a thread has a patch of 4 x 4
  __shared__ float a[product_depth][product_tile + 4], b[product_depth][product_tile + 4];
  __shared__ bool keeps[product_tile];
  const Index first_row = Index{blockIdx.y} * product_tile, first_column = Index{blockIdx.x} * product_tile;
  const Index y = threadIdx.x / 16 * each, x = threadIdx.x % 16 * each;
  const bool masked_rows = !p.kept.keeps_all() && !p.kept_inner;
  if (masked_rows) {
    if (threadIdx.x < product_tile) {
      const Index row = first_row + threadIdx.x;
      keeps[threadIdx.x] = row < p.rows && keeps_row(p.kept, row);
    }
    __syncthreads();
    bool any = false;
    for (Index i = 0; i < product_tile; ++i) { any = any || keeps[i]; }
    if (!any) { return; }
  }
  const bool masked_inner = !p.kept.keeps_all() && p.kept_inner;
  float sums[each][each] = {};
  for (Index k0 = 0; k0 < p.inner; k0 += product_depth) {
    if (masked_inner) {
      __syncthreads();
      if (threadIdx.x < product_depth) {
        keeps[threadIdx.x] = k0 + threadIdx.x < p.inner && keeps_row(p.kept, k0 + threadIdx.x);
      }
      __syncthreads();
      bool any = false;
      for (Index i = 0; i < product_depth; ++i) { any = any || keeps[i]; }
      if (!any) { continue; }
    }
    const bool* const kept_here = masked_inner ? keeps : nullptr;
    __syncthreads();
    load_tile<TransposedA>(a, p.a, p.a_stride, first_row, p.rows, k0, p.inner, kept_here);
    load_tile<!TransposedB>(b, p.b, p.b_stride, first_column, p.columns, k0, p.inner, kept_here);
    __syncthreads();
    RADAPT_UNROLL
    for (Index k = 0; k < product_depth; ++k) {
      float left[each], right[each];
      RADAPT_UNROLL
      for (Index i = 0; i < each; ++i) {
        left[i] = a[k][y + i];
        right[i] = b[k][x + i];
      }
      RADAPT_UNROLL
      for (Index i = 0; i < each; ++i) {
        RADAPT_UNROLL
        for (Index j = 0; j < each; ++j) { sums[i][j] += left[i] * right[j]; }
      }
    }
  }
  const float coefficient = coefficient_of(p);
  RADAPT_UNROLL
  for (Index i = 0; i < each; ++i) {
    const Index row = first_row + y + i;
    if (row >= p.rows || (masked_rows && !keeps[y + i])) { continue; }
    RADAPT_UNROLL
    for (Index j = 0; j < each; ++j) {
      const Index column = first_column + x + j;
      if (column >= p.columns) { continue; }
      C* const c = p.c + row * p.c_stride + column;
      const float value = coefficient * sums[i][j];
      store(c, p.accumulate ? load(c) + value : Then{}(p.bias == nullptr ? value : value + p.bias[column]));
    }
  }
}
template <bool TransposedA, bool TransposedB, class Then>
__global__ void __launch_bounds__(product_threads) product_kernel(Product p) {
  multiply_tile<TransposedA, TransposedB, Then>(p);
}

/// A block for each tile of c. Error: more rows than a grid has blocks for, 4 million.
inline dim3 product_blocks(const char* name, Index rows, Index columns) {
  constexpr Index most_rows = Index{65535} * product_tile;
  if (rows > most_rows) {
    fail({.what = std::string("cuda: ") + name,
          .expected = "at most " + std::to_string(most_rows) + " rows",
          .got = std::to_string(rows),
          .hint = "Take smaller micro-batches"});
  }
  return dim3(static_cast<unsigned>((columns + product_tile - 1) / product_tile),
              static_cast<unsigned>((rows + product_tile - 1) / product_tile));
}

/// Runs a product; one with an activation behind it is that of a linear layer.
template <class Then = NoActivation>
void multiply(Call& call, const char* name, const Product& whole) {
  if (whole.rows == 0 || whole.columns == 0) { return; }
  const dim3 blocks = product_blocks(name, whole.rows, whole.columns);
  with_form(whole.form, [&]<bool TransposedA, bool TransposedB>() {
    if constexpr (TransposedB || std::is_same_v<Then, NoActivation>) {
      call.run(name, blocks, product_threads, product_kernel<TransposedA, TransposedB, Then>, whole);
    }
  });
}

}  // namespace radapt::detail::gpu
