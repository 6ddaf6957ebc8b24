#pragma once
/// Activations as oneDNN's primitives.
#include <array>

#include "radapt/backend/onednn/handles.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/op/activation.hpp"

namespace radapt::detail::cpu {

inline dnnl_alg_kind_t algorithm_of(Activation kind) {
  if (kind == Activation::quick_gelu) { return dnnl_eltwise_swish; }
  if (kind == Activation::relu) { return dnnl_eltwise_relu; }
  return kind == Activation::gelu ? dnnl_eltwise_gelu_erf : dnnl_eltwise_gelu_tanh;
}
/// Of swish, x sigmoid(slope x), and of relu below 0; the other algorithms do not read it.
inline float slope_of(Activation kind) { return kind == Activation::relu ? 0.0F : 1.702F; }

#if DNNL_VERSION_MAJOR >= 3
using LayoutView = const_dnnl_memory_desc_t;
#else
using LayoutView = const dnnl_memory_desc_t*;
#endif

/// So many floats one behind the other, in oneDNN's words.
class RowLayout {
 public:
  explicit RowLayout(Index elements) {
    const dnnl_dims_t extents = {1, static_cast<dnnl_dim_t>(elements)};
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t made = nullptr;
    check_status(dnnl_memory_desc_create_with_tag(&made, 2, extents, dnnl_f32, dnnl_ab), "describe a row");
    description_.reset(made);
#else
    check_status(dnnl_memory_desc_init_by_tag(&description_, 2, extents, dnnl_f32, dnnl_ab), "describe a row");
#endif
  }
#if DNNL_VERSION_MAJOR >= 3
  LayoutView get() const { return description_.get(); }

 private:
  Owned<dnnl_memory_desc_t, &dnnl_memory_desc_destroy> description_;
#else
  LayoutView get() const { return &description_; }

 private:
  dnnl_memory_desc_t description_{};
#endif
};

/// An activation or its derivative on a fixed number of floats. Made once, then run on any memory of that size.
class ActivationPrimitive {
 public:
  ActivationPrimitive() = default;
  ActivationPrimitive(dnnl_engine_t engine, Activation kind, bool backward, Index elements) {
    const RowLayout layout{elements};
    const auto forward = describe_forward(engine, kind, layout);
    const auto description = backward ? describe_backward(engine, kind, layout, forward.get()) : nullptr;
    dnnl_primitive_t made = nullptr;
    check_status(dnnl_primitive_create(&made, backward ? description.get() : forward.get()), "create an activation");
    primitive_.reset(made);
    for (OwnedMemory& m : memories_) {
      dnnl_memory_t memory = nullptr;
      check_status(dnnl_memory_create(&memory, layout.get(), engine, DNNL_MEMORY_NONE), "create a memory");
      m.reset(memory);
    }
  }

  explicit operator bool() const { return primitive_ != nullptr; }

  /// y = act(x).
  void forward(dnnl_stream_t stream, void* y, const void* x) {
    const std::array<dnnl_exec_arg_t, 2> arguments{{{DNNL_ARG_SRC, at(0, x)}, {DNNL_ARG_DST, at(1, y)}}};
    execute(stream, arguments.size(), arguments.data());
  }
  /// dx = dy act'(x).
  void backward(dnnl_stream_t stream, void* dx, const void* dy, const void* x) {
    const std::array<dnnl_exec_arg_t, 3> arguments{
        {{DNNL_ARG_SRC, at(0, x)}, {DNNL_ARG_DIFF_DST, at(1, dy)}, {DNNL_ARG_DIFF_SRC, at(2, dx)}}};
    execute(stream, arguments.size(), arguments.data());
  }

 private:
  static OwnedPrimitiveDescription describe_forward(dnnl_engine_t engine, Activation kind, const RowLayout& layout) {
    dnnl_primitive_desc_t made = nullptr;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_status_t status =
        dnnl_eltwise_forward_primitive_desc_create(&made, engine, dnnl_forward_training, algorithm_of(kind),
                                                   layout.get(), layout.get(), slope_of(kind), 0.0F, nullptr);
#else
    dnnl_eltwise_desc_t operation;
    dnnl_status_t status = dnnl_eltwise_forward_desc_init(&operation, dnnl_forward_training, algorithm_of(kind),
                                                          layout.get(), slope_of(kind), 0.0F);
    if (status == dnnl_success) { status = dnnl_primitive_desc_create(&made, &operation, nullptr, engine, nullptr); }
#endif
    check_status(status, "describe an activation");
    return OwnedPrimitiveDescription{made};
  }
  static OwnedPrimitiveDescription describe_backward(dnnl_engine_t engine, Activation kind, const RowLayout& layout,
                                                     const_dnnl_primitive_desc_t forward) {
    dnnl_primitive_desc_t made = nullptr;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_status_t status =
        dnnl_eltwise_backward_primitive_desc_create(&made, engine, algorithm_of(kind), layout.get(), layout.get(),
                                                    layout.get(), slope_of(kind), 0.0F, forward, nullptr);
#else
    dnnl_eltwise_desc_t operation;
    dnnl_status_t status = dnnl_eltwise_backward_desc_init(&operation, algorithm_of(kind), layout.get(), layout.get(),
                                                           slope_of(kind), 0.0F);
    if (status == dnnl_success) { status = dnnl_primitive_desc_create(&made, &operation, nullptr, engine, forward); }
#endif
    check_status(status, "describe the derivative of an activation");
    return OwnedPrimitiveDescription{made};
  }

  /// Memory object `i`, standing for the elements at `data`. oneDNN writes only to the outputs.
  dnnl_memory_t at(Index i, const void* data) {
    check_status(dnnl_memory_set_data_handle(memories_[i].get(), const_cast<void*>(data)), "take a pointer");
    return memories_[i].get();
  }
  void execute(dnnl_stream_t stream, Index count, const dnnl_exec_arg_t* arguments) {
    check_status(dnnl_primitive_execute(primitive_.get(), stream, static_cast<int>(count), arguments),
                 "run an activation");
    check_status(dnnl_stream_wait(stream), "finish an activation");
  }

  OwnedPrimitive primitive_;
  std::array<OwnedMemory, 3> memories_;
};

}  // namespace radapt::detail::cpu
