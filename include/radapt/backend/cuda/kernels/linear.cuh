#pragma once
/// CUDA kernels of op/linear.hpp: which product each of them is.
#include "radapt/backend/cuda/kernels/column_sums.cuh"
#include "radapt/backend/cuda/kernels/matrix_product.cuh"
#include "radapt/backend/cuda/kernels/product_bf16.cuh"
#include "radapt/backend/cuda/kernels/vendor_product.cuh"

namespace radapt {

namespace detail::gpu {

/// The operands of an operation, where kernels can follow them, as a product.
template <class T>
ProductOf<T, T, float> product_of(Call& call, const op::linear_forward<T>& o) {
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
template <class T>
ProductOf<T, T, float> product_of(Call& call, const op::linear_activation_forward<T>& o) {
  return product_of(call, op::linear_forward<T>{.y = o.y, .x = o.x, .weight = o.weight, .bias = o.bias});
}
template <class T>
ProductOf<T, T, float> product_of(Call& call, const op::linear_residual_forward<T>& o) {
  return product_of(call, op::linear_forward<T>{.y = o.y, .x = o.x, .weight = o.weight, .bias = o.bias});
}
template <class T>
ProductOf<T, T, float> product_of(Call& call, const op::linear_backward_input<T>& o) {
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
template <class T>
ProductOf<float, T, T> product_of(Call& call, const op::linear_backward_weight<T>& o) {
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

/// Runs a product in f32 through cuBLASLt, where it is asked to and can.
inline bool vendor_multiplies(Call& call, const Product& p) {
#ifndef RADAPT_CUDA_ON_HOST
  return call.device().products() == CudaProducts::vendor && VendorProducts::takes(p) &&
         call.device().vendor<VendorProducts>().multiply(call, p);
#else
  (void)call, (void)p;
  return false;
#endif
}

/// Runs a product in f32, by whoever is asked to.
inline void multiply_f32(Call& call, const char* name, const Product& p) {
  if (!vendor_multiplies(call, p)) { multiply(call, name, p); }
}

/// One call of an operation that is a product.
template <class Op, class F>
void run_product(cuda& backend, const Op& o, const F& multiply) {
  Call call(backend);
  multiply(call, o.name, product_of(call, o));
  call.done();
}

}  // namespace detail::gpu

template <std::same_as<float> T>
void launch(cuda& backend, const op::linear_forward<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_f32);
}

/// Behind cuBLASLt the activation is a pass of its own, in place: it knows one form of GELU, and no QuickGELU. Whether
/// our product with the activation in registers is faster than both is to be measured.
template <std::same_as<float> T>
void launch(cuda& backend, const op::linear_activation_forward<T>& o) {
  using namespace detail::gpu;
  if (o.h.data != nullptr) {
    launch(backend, op::linear_forward<T>{.y = o.h, .x = o.x, .weight = o.weight, .bias = o.bias});
    return launch(backend, op::activation_forward<T>{.y = o.y, .x = o.h, .kind = o.kind});
  }
  run_product(backend, o, [&](Call& call, const char* name, const Product& p) {
    if (vendor_multiplies(call, p)) {
      return map_elements<T>(call, name, p.rows * p.columns, Activate<T>{p.c, p.c, o.kind}, p.c);
    }
    with_activation(o.kind, [&]<class Then>(Then) { multiply<Then>(call, name, p); });
  });
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::linear_residual_forward<T>& o) {
  launch(backend, op::linear_forward<T>{.y = o.y, .x = o.x, .weight = o.weight, .bias = o.bias});
  launch(backend, op::add<T>{.y = o.y, .x = o.residual});
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::linear_backward_input<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_f32);
}

template <std::same_as<float> T>
void launch(cuda& backend, const op::linear_backward_weight<T>& o) {
  detail::gpu::run_product(backend, o, detail::gpu::multiply_f32);
}

template <cuda_element T>
void launch(cuda& backend, const op::linear_backward_bias<T>& o) {
  using namespace detail::gpu;
  Call call(backend);
  const Matrix<const T> dy = call.in(o.dy);
  float* const db = call.updated(o.db).data;
  if (o.kept.keeps_all()) {
    add_column_sums<T>(call, o.name, db, dy.rows, dy.columns, Element<T>{dy}, dy.data);
  } else {
    add_column_sums<T>(call, o.name, db, dy.rows, dy.columns, KeptElement<T>{dy, call.in(o.kept)}, dy.data);
  }
  call.done();
}

namespace detail::gpu {

/// y = x, rounded.
struct Round {
  bf16* y;
  const float* x;
  __device__ void operator()(Index i) const { store(y + i, x[i]); }
};

/// An activation of bf16 meets a weight.
template <class Op>
concept reads_a_weight = std::is_same_v<typename Op::element, bf16> && requires(const Op& o) {
  o.weight;
};

/// One call of an operation that is a product on the tensor cores. Where a weight meets activations of bf16 and was
/// promised to stay, the product reads it as it was rounded once; the bits are those of rounding it on the way.
template <class Op, class F>
void run_product_bf16(cuda_bf16& backend, const Op& o, const F& multiply) {
  run_product(backend, o, [&](Call& call, const char* name, const auto& p) {
    if constexpr (reads_a_weight<Op>) {
      const Index elements = o.weight.size();
      const auto [rounded, is_made] = call.device().rounded_weights().of(o.weight.data, elements);
      if (rounded != nullptr) {
        if (!is_made) { map(call, name, elements, Round{rounded, p.b}); }
        return multiply(call, name, p.with_b(rounded));
      }
    }
    multiply(call, name, p);
  });
}
inline constexpr auto on_tensor_cores = [](Call& call, const char* name, const auto& p) {
  multiply_bf16(call, name, p);
};

}  // namespace detail::gpu

template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_forward<T>& o) {
  detail::gpu::run_product_bf16(backend, o, detail::gpu::on_tensor_cores);
}

/// On floats, which no tower of this backend stores, the activation is a pass of its own, and so is the sum below.
template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_activation_forward<T>& o) {
  using namespace detail::gpu;
  if constexpr (std::is_same_v<T, float>) {
    const Matrix<T> h = o.h.data == nullptr ? o.y : o.h;
    launch(backend, op::linear_forward<T>{.y = h, .x = o.x, .weight = o.weight, .bias = o.bias});
    launch(static_cast<cuda&>(backend), op::activation_forward<T>{.y = o.y, .x = h, .kind = o.kind});
  } else {
    run_product_bf16(backend, o, [&](Call& call, const char* name, auto p) {
      p.h = o.h.data == nullptr ? nullptr : call.out(o.h).data;
      with_activation(o.kind, [&]<class Then>(Then) { multiply_bf16<Then>(call, name, p); });
    });
  }
}

template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_residual_forward<T>& o) {
  using namespace detail::gpu;
  if constexpr (std::is_same_v<T, float>) {
    launch(backend, op::linear_forward<T>{.y = o.y, .x = o.x, .weight = o.weight, .bias = o.bias});
    launch(static_cast<cuda&>(backend), op::add<T>{.y = o.y, .x = o.residual});
  } else {
    run_product_bf16(backend, o, [&](Call& call, const char* name, auto p) {
      p.residual = call.in(o.residual).data;
      multiply_bf16(call, name, p);
    });
  }
}

template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_backward_input<T>& o) {
  detail::gpu::run_product_bf16(backend, o, detail::gpu::on_tensor_cores);
}

template <cuda_element T>
void launch(cuda_bf16& backend, const op::linear_backward_weight<T>& o) {
  detail::gpu::run_product_bf16(backend, o, detail::gpu::on_tensor_cores);
}

}  // namespace radapt
