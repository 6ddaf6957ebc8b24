#pragma once
/// The oneDNN backend's state: its matrix products and activations. With handles.hpp and packed_weights.hpp these are
/// the files that call oneDNN and know its versions 2.6 and 3.x apart.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "radapt/backend/onednn/packed_weights.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/op/activation.hpp"

namespace radapt {

namespace detail::cpu {

/// An activation or its derivative on a fixed number of elements. Made once, then run on any memory of that size.
class ActivationPrimitive {
 public:
  ActivationPrimitive() = default;
  ActivationPrimitive(dnnl_engine_t engine, Activation kind, bool backward, Index elements) {
    const MatrixLayout layout{1, elements, dnnl_ab};
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
  void forward(dnnl_stream_t stream, float* y, const float* x) {
    const std::array<dnnl_exec_arg_t, 2> arguments{{{DNNL_ARG_SRC, at(0, x)}, {DNNL_ARG_DST, at(1, y)}}};
    execute(stream, arguments.size(), arguments.data());
  }
  /// dx = dy act'(x).
  void backward(dnnl_stream_t stream, float* dx, const float* dy, const float* x) {
    const std::array<dnnl_exec_arg_t, 3> arguments{
        {{DNNL_ARG_SRC, at(0, x)}, {DNNL_ARG_DIFF_DST, at(1, dy)}, {DNNL_ARG_DIFF_SRC, at(2, dx)}}};
    execute(stream, arguments.size(), arguments.data());
  }

 private:
  static dnnl_alg_kind_t algorithm(Activation kind) {
    if (kind == Activation::quick_gelu) { return dnnl_eltwise_swish; }
    if (kind == Activation::relu) { return dnnl_eltwise_relu; }
    return kind == Activation::gelu ? dnnl_eltwise_gelu_erf : dnnl_eltwise_gelu_tanh;
  }
  /// Of swish, x sigmoid(slope x), and of relu below 0; the other algorithms do not read it.
  static constexpr float slope_of(Activation kind) { return kind == Activation::relu ? 0.0F : 1.702F; }

  static OwnedPrimitiveDescription describe_forward(dnnl_engine_t engine, Activation kind, const MatrixLayout& layout) {
    dnnl_primitive_desc_t made = nullptr;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_status_t status =
        dnnl_eltwise_forward_primitive_desc_create(&made, engine, dnnl_forward_training, algorithm(kind), layout.get(),
                                                   layout.get(), slope_of(kind), 0.0F, nullptr);
#else
    dnnl_eltwise_desc_t operation;
    dnnl_status_t status = dnnl_eltwise_forward_desc_init(&operation, dnnl_forward_training, algorithm(kind),
                                                          layout.get(), slope_of(kind), 0.0F);
    if (status == dnnl_success) { status = dnnl_primitive_desc_create(&made, &operation, nullptr, engine, nullptr); }
#endif
    check_status(status, "describe an activation");
    return OwnedPrimitiveDescription{made};
  }
  static OwnedPrimitiveDescription describe_backward(dnnl_engine_t engine, Activation kind, const MatrixLayout& layout,
                                                     const_dnnl_primitive_desc_t forward) {
    dnnl_primitive_desc_t made = nullptr;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_status_t status =
        dnnl_eltwise_backward_primitive_desc_create(&made, engine, algorithm(kind), layout.get(), layout.get(),
                                                    layout.get(), slope_of(kind), 0.0F, forward, nullptr);
#else
    dnnl_eltwise_desc_t operation;
    dnnl_status_t status =
        dnnl_eltwise_backward_desc_init(&operation, algorithm(kind), layout.get(), layout.get(), slope_of(kind), 0.0F);
    if (status == dnnl_success) { status = dnnl_primitive_desc_create(&made, &operation, nullptr, engine, forward); }
#endif
    check_status(status, "describe the derivative of an activation");
    return OwnedPrimitiveDescription{made};
  }

  /// Memory object `i`, standing for the floats at `data`. oneDNN writes only to the outputs.
  dnnl_memory_t at(Index i, const float* data) {
    check_status(dnnl_memory_set_data_handle(memories_[i].get(), const_cast<float*>(data)), "take a pointer");
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

/// A factor of a matrix product: rows `stride` elements apart, read as it lies or transposed.
struct Factor {
  const float* data;
  Index stride;
  bool transposed = false;
};

/// c = alpha a b + beta c, with c (rows, columns), rows `stride` apart, and `inner` the extent that is summed over.
/// beta = 0 does not read c. False when oneDNN fails; inside a parallel region it runs on the calling thread alone.
[[nodiscard]] inline bool product(float* c, Index stride, Index rows, Index columns, Index inner, Factor a, Factor b,
                                  float alpha = 1.0F, float beta = 0.0F) {
  if (rows == 0 || columns == 0) { return true; }
  const auto extent = [](Index n) { return static_cast<dnnl_dim_t>(n); };
  return dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', extent(rows), extent(columns), extent(inner),
                    alpha, a.data, extent(a.stride), b.data, extent(b.stride), beta, c, extent(stride)) == dnnl_success;
}

/// Fails with one sentence when a product did.
inline void check_product(bool done) { check_status(done ? dnnl_success : dnnl_runtime_error, "multiply matrices"); }

}  // namespace detail::cpu

/// The CPU backend, in float: oneDNN's matrix products and activations, and loops beside them. Move only; a kernel may
/// run on one thread at a time per object, and uses as many as OMP_NUM_THREADS allows.
///
/// Results do not depend on the number of threads in any loop of this backend; inside oneDNN's own matrix products that
/// is up to oneDNN. The same call on the same memory gives the same bits, and so does other memory of the same
/// alignment.
class onednn {
 public:
  static constexpr auto name = "onednn";

  onednn() {
    dnnl_engine_t engine = nullptr;
    detail::cpu::check_status(dnnl_engine_create(&engine, dnnl_cpu, 0), "open the CPU");
    engine_.reset(engine);
    dnnl_stream_t stream = nullptr;
    detail::cpu::check_status(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "open a stream");
    stream_.reset(stream);
  }

  /// Room for `elements` of a trivial type, for the current kernel only: the next call gives the same memory again. It
  /// grows and never shrinks, so a repeated step allocates nothing.
  template <class T>
  T* workspace(Index elements) {
    return static_cast<T*>(workspace_.bytes(elements * sizeof(T)));
  }
  /// Room for `count` row numbers, beside the workspace.
  Index* row_table(Index count) { return static_cast<Index*>(row_table_.bytes(count * sizeof(Index))); }

  /// The floats from `begin` on stay as they are, where they are, for as long as the device lives: products of few rows
  /// then read packed copies of the matrices among them (PackedWeights).
  void promise_constant(const float* begin, Index elements) { packed_.promise_constant(begin, elements); }
  /// y = x W^T from a packed copy of W, if W is constant and the rows are few. False: nothing was done.
  bool multiply_packed(float* y, const float* x, Index rows, Index in, Index out, const float* weight) {
    if (rows == 0 || rows > PackedWeights::most_rows || !packed_.covers(weight)) { return false; }
    packed_.multiply(engine_.get(), stream_.get(), y, x, rows, in, out, weight);
    return true;
  }

  dnnl_engine_t engine() const { return engine_.get(); }
  dnnl_stream_t stream() const { return stream_.get(); }
  /// Whether a pointer lies in memory that was promised to be constant.
  bool is_constant(const float* weight) const { return packed_.covers(weight); }

  /// y = act(x), n elements; x and y may be the same memory.
  void activate(Activation kind, float* y, const float* x, Index n) {
    in_blocks(kind, false, n, [&](detail::cpu::ActivationPrimitive& p, Index begin, Index size, float* tail) {
      if (tail == nullptr) { return p.forward(stream_.get(), y + begin, x + begin); }
      std::memcpy(tail, x + begin, size * sizeof(float));
      p.forward(stream_.get(), tail, tail);
      std::memcpy(y + begin, tail, size * sizeof(float));
    });
  }
  /// dx = dy act'(x), n elements; dx and dy may be the same memory.
  void activate_backward(Activation kind, float* dx, const float* dy, const float* x, Index n) {
    in_blocks(kind, true, n, [&](detail::cpu::ActivationPrimitive& p, Index begin, Index size, float* tail) {
      if (tail == nullptr) { return p.backward(stream_.get(), dx + begin, dy + begin, x + begin); }
      float* const tail_x = tail + smallest_block;
      std::memcpy(tail, dy + begin, size * sizeof(float));
      std::memcpy(tail_x, x + begin, size * sizeof(float));
      p.backward(stream_.get(), tail, tail, tail_x);
      std::memcpy(dx + begin, tail, size * sizeof(float));
    });
  }

 private:
  /// Memory that grows.
  class Room {
   public:
    void* bytes(Index n) {
      if (n > buffer_.size()) {
        buffer_ = Buffer<std::byte>{};
        buffer_ = Buffer<std::byte>{n};
      }
      return buffer_.data();
    }

   private:
    Buffer<std::byte> buffer_;
  };

  // Creating a primitive compiles code, 0.05 to 0.1 ms, and captions give another number of rows in every batch. So
  // primitives exist for powers of two only, at most `sizes` of them per activation and direction, and any number of
  // elements is walked in such blocks, longest first; what is left below the smallest block is padded.
  static constexpr Index smallest_block = 256, sizes = 15, kinds = 4, directions = 2;

  template <class F>
  void in_blocks(Activation kind, bool backward, Index n, F&& run) {
    Index done = 0;
    while (n - done >= smallest_block) {
      const Index size = std::min(std::bit_floor(n - done), smallest_block << (sizes - 1));
      run(primitive(kind, backward, size), done, size, nullptr);
      done += size;
    }
    if (done == n) { return; }
    float* const tail = workspace<float>(directions * smallest_block);
    std::memset(tail, 0, directions * smallest_block * sizeof(float));
    run(primitive(kind, backward, smallest_block), done, n - done, tail);
  }
  detail::cpu::ActivationPrimitive& primitive(Activation kind, bool backward, Index size) {
    const auto exponent = static_cast<Index>(std::countr_zero(size / smallest_block));
    auto& entry = activations_[(static_cast<Index>(kind) * directions + (backward ? 1 : 0)) * sizes + exponent];
    if (!entry) { entry = detail::cpu::ActivationPrimitive{engine_.get(), kind, backward, size}; }
    return entry;
  }

  detail::cpu::OwnedEngine engine_;
  detail::cpu::OwnedStream stream_;
  PackedWeights packed_;
  std::array<detail::cpu::ActivationPrimitive, kinds * directions * sizes> activations_;
  Room workspace_, row_table_;
};

}  // namespace radapt
