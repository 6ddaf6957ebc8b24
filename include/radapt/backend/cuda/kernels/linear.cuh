#pragma once
/// CUDA kernels of op/linear.hpp: which product each of them is.
#include "radapt/backend/cuda/kernels/column_sums.cuh"
#include "radapt/backend/cuda/kernels/matrix_product.cuh"
#include "radapt/backend/cuda/kernels/product_bf16.cuh"
#include "radapt/backend/cuda/kernels/vendor_product.cuh"

namespace radapt {

namespace detail::gpu {

/// The operands of an operation, where kernels can follow them, as a product.
inline Product product_of(Call& call, const op::linear_forward<float>& o) {
  return {.c = (o.kept.keeps_all() ? call.out(o.y) : call.updated(o.y)).data,
          .a = call.in(o.x).data,
          .b = call.in(o.weight).data,
          .rows = o.y.rows,
          .columns = o.y.columns,
          .inner = o.x.columns,
          .a_stride = o.x.columns,
          .b_stride = o.weight.columns,
          .c_stride = o.y.columns,
          .form = Form::b_transposed,
          .bias = call.in(o.bias).data,
          .kept = call.in(o.kept)};
}
inline Product product_of(Call& call, const op::linear_backward_input<float>& o) {
  return {.c = (o.kept.keeps_all() ? call.out(o.dx) : call.updated(o.dx)).data,
          .a = call.in(o.dy).data,
          .b = call.in(o.weight).data,
          .rows = o.dx.rows,
          .columns = o.dx.columns,
          .inner = o.dy.columns,
          .a_stride = o.dy.columns,
          .b_stride = o.weight.columns,
          .c_stride = o.dx.columns,
          .kept = call.in(o.kept)};
}
inline Product product_of(Call& call, const op::linear_backward_weight<float>& o) {
  return {.c = call.updated(o.dw).data,
          .a = call.in(o.dy).data,
          .b = call.in(o.x).data,
          .rows = o.dw.rows,
          .columns = o.dw.columns,
          .inner = o.x.rows,
          .a_stride = o.dy.columns,
          .b_stride = o.x.columns,
          .c_stride = o.dw.columns,
          .form = Form::a_transposed,
          .accumulate = true,
          .factor = o.factor,
          .scale = call.in(o.scale, 1),
          .kept = call.in(o.kept),
          .kept_inner = true};
}

/// Runs a product in f32, by whoever is asked to.
inline void multiply_f32(Call& call, const char* name, const Product& p) {
#ifndef RADAPT_CUDA_ON_HOST
  if (call.device().products() == CudaProducts::vendor && VendorProducts::takes(p) &&
      call.device().vendor<VendorProducts>().multiply(call, p)) {
    return;
  }
#endif
  multiply(call, name, p);
}

/// One call of an operation that is a product.
template <class Op>
void run_product(cuda& backend, const Op& o, void (*multiply)(Call&, const char*, const Product&)) {
  Call call(backend);
  multiply(call, o.name, product_of(call, o));
  call.done();
}

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda& backend, const op::linear_forward<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_f32);
}

template <cuda_element T>
void launch(cuda& backend, const op::linear_backward_input<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_f32);
}

template <cuda_element T>
void launch(cuda& backend, const op::linear_backward_weight<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_f32);
}

template <cuda_element T>
void launch(cuda& backend, const op::linear_backward_bias<T>& o) {
  detail::gpu::Call call(backend);
  const Matrix<const T> dy = call.in(o.dy);
  T* const db = call.updated(o.db).data;
  if (o.kept.keeps_all()) {
    add_column_sums(call, o.name, db, dy.rows, dy.columns, detail::gpu::Element{dy});
  } else {
    add_column_sums(call, o.name, db, dy.rows, dy.columns, detail::gpu::KeptElement{dy, call.in(o.kept)});
  }
  call.done();
}

template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_forward<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_bf16);
}

template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_backward_input<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_bf16);
}

template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_backward_weight<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_bf16);
}

}  // namespace radapt
