#pragma once
/// The oneDNN backend's state: its matrix products and activations. With handles.hpp and activation_primitive.hpp these
/// are the files that call oneDNN and know its versions 2.6 and 3.x apart.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "radapt/backend/onednn/activation_primitive.hpp"
#include "radapt/backend/onednn/constant_memory.hpp"
#include "radapt/core/element.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/op/activation.hpp"

namespace radapt {

namespace detail::cpu {

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
  /// Room for `n` floats beside the workspace, for kernels that compute in float what is stored in bf16.
  float* widened(Index n) { return static_cast<float*>(widened_.bytes(n * sizeof(float))); }
  /// Room for `count` row numbers, beside both.
  Index* row_table(Index count) { return static_cast<Index*>(row_table_.bytes(count * sizeof(Index))); }

  /// The floats from `begin` on stay as they are, where they are, for as long as the device lives: where the processor
  /// has AVX-512, products then read packed copies of the matrices among them. Pages that lie `in_file`, a mapped one,
  /// are given back when they have been copied.
  void promise_constant(const float* begin, Index elements, bool in_file = false) {
    constant_.promise(begin, elements, in_file);
  }
  /// What was promised to be constant.
  const detail::cpu::ConstantMemory& constant() const { return constant_; }
  /// Copies of it as panels (panel_products.hpp).
  detail::cpu::PackedCopies<float>& packed() { return packed_; }
  /// Room for `n` floats in which the threads of a product work, beside the workspace, where its rows may lie.
  float* product_room(Index n) { return static_cast<float*>(product_room_.bytes(n * sizeof(float))); }

  /// y = act(x), n elements; x and y may be the same memory.
  void activate(Activation kind, float* y, const float* x, Index n) {
    in_blocks(kind, false, n, [&](detail::cpu::ActivationPrimitive& p, Index begin, Index size, float* tail) {
      if (tail == nullptr) { return p.forward(stream_.get(), y + begin, x + begin); }
      std::copy_n(x + begin, size, tail);
      p.forward(stream_.get(), tail, tail);
      std::copy_n(tail, size, y + begin);
    });
  }
  /// dx = dy act'(x), likewise; dx and dy may be the same memory.
  void activate_backward(Activation kind, float* dx, const float* dy, const float* x, Index n) {
    in_blocks(kind, true, n, [&](detail::cpu::ActivationPrimitive& p, Index begin, Index size, float* tail) {
      if (tail == nullptr) { return p.backward(stream_.get(), dx + begin, dy + begin, x + begin); }
      float* const tail_x = tail + smallest_block;
      std::copy_n(dy + begin, size, tail);
      std::copy_n(x + begin, size, tail_x);
      p.backward(stream_.get(), tail, tail, tail_x);
      std::copy_n(tail, size, dx + begin);
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
    std::fill_n(tail, directions * smallest_block, 0.0F);
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
  detail::cpu::ConstantMemory constant_;
  detail::cpu::PackedCopies<float> packed_;
  std::array<detail::cpu::ActivationPrimitive, kinds * directions * sizes> activations_;
  Room workspace_, widened_, row_table_, product_room_;
};

}  // namespace radapt
