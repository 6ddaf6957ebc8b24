#pragma once
/// The same product for every head, in one launch: c_h = a_h b_h with f32 multiply-adds.
///
/// A head's products are small (of ViT-B/16 and 512 sequences 512 x 768 x 64), so one after the other they would leave
/// most of a GPU idle.
#include "radapt/backend/cuda/kernels/matrix_product.cuh"

namespace radapt::detail::gpu {

/// `first` is the product of head 0; the operands of the next head begin `*_step` elements further.
template <class C, class A, class B>
struct HeadProducts {
  ProductOf<C, A, B> first;
  Index a_step = 0, b_step = 0, c_step = 0, bias_step = 0;
};

template <bool TransposedA, bool TransposedB, class C, class A, class B>
__global__ void __launch_bounds__(product_threads) head_product_kernel(HeadProducts<C, A, B> heads) {
  ProductOf<C, A, B> p = heads.first;
  const Index h = blockIdx.z;
  p.a += h * heads.a_step;
  p.b += h * heads.b_step;
  p.c += h * heads.c_step;
  if (p.bias != nullptr) { p.bias += h * heads.bias_step; }
  multiply_tile<TransposedA, TransposedB, NoActivation>(p);
}

/// Runs the products of all heads, in the form that is named. Error: more rows than a grid has blocks for.
template <Form Of, class C, class A, class B>
void multiply_heads(Call& call, const char* name, Index heads, const HeadProducts<C, A, B>& products) {
  dim3 blocks = product_blocks(name, products.first.rows, products.first.columns);
  blocks.z = static_cast<unsigned>(heads);
  call.run(name, blocks, product_threads,
           head_product_kernel<Of == Form::a_transposed, Of == Form::b_transposed, C, A, B>, products);
}

}  // namespace radapt::detail::gpu
