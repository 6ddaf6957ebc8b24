#pragma once
/// The CPU backend in bfloat16: activations are stored as bf16 (8 bits of precision), products take bf16 factors, sums
/// are taken in float. Layer norm, softmax, activations and sums of streams compute in float what they round once; with
/// AMX, attention rounds probabilities, too, which are factors there. The trained parameters, their gradients, losses
/// and the update are float.
#include <utility>
#include <vector>

#include "radapt/backend/onednn/all.hpp"
#include "radapt/backend/onednn/amx/products.hpp"

namespace radapt {

/// Precision as a type: `Session<Model, onednn_bf16>`, `Trainer<Recipe, onednn_bf16>`; include this header beside
/// all.hpp. For processors that multiply bf16 (AVX512-BF16, AMX): half the bytes, and products at twice the rate or
/// more. On others the same roundings of activations are taken, and products are those of `onednn`.
///
/// Weights that were promised to be constant are kept as packed bf16 copies, one for each direction in which they are
/// multiplied by; others are rounded in every call.
class onednn_bf16 : public onednn {
 public:
  static constexpr auto name = "onednn_bf16";
  using activation = bf16;                      ///< what passes over float parameters store
  static constexpr bool rounds_factors = true;  ///< of products, to bf16

  /// Whether products run in bf16 on this processor.
  static bool multiplies_bf16() { return detail::cpu::multiplies_bf16(); }
  /// Whether a trainer shall promise that its frozen weights stay.
  static bool packs_frozen_weights() { return multiplies_bf16(); }

  /// c = a b, and the epilogue, with a (rows, inner), c (rows, columns) row-major, of float or bf16, and b = W or,
  /// `transposed`, W^T of a row-major W. A null bias is none.
  template <class C, class A>
  void multiply(C* c, const A* a, Index rows, Index inner, Index columns, const float* weight, bool transposed,
                const float* bias = nullptr, std::optional<Activation> activation_behind = {}) {
    using namespace detail::cpu;
    if (rows == 0) { return; }
    const bool constant = is_constant(weight);
#ifdef RADAPT_HAS_AMX
    if (detail::amx::available()) {
      return tiles_.multiply(c, a, rows, inner, columns, weight, transposed, constant, bias, activation_behind);
    }
#endif
    const dnnl_format_tag_t tag = transposed ? dnnl_ba : dnnl_ab;
    const bf16* const a16 = rounded(first_, a, rows * inner);
    const Key key{.rows = rows,
                  .inner = inner,
                  .columns = columns,
                  .a = dnnl_ab,
                  .b = tag,
                  .c = type_of<C>,
                  .packed = constant,
                  .epilogue = {.bias = bias != nullptr, .activation = activation_behind}};
    if (constant) {
      const PackedMatrix& w = packed(weight, inner, columns, tag);
      product_of(key, w.layout).primitive.run(stream(), c, a16, w.memory.get(), bias);
    } else {
      run(key, c, a16, rounded(second_, weight, inner * columns), bias);
    }
  }
  /// dw += factor dy^T x with dy (rows, out), x (rows, in) and dw (out, in).
  template <class T>
  void add_transposed_product(float* dw, const T* dy, const T* x, Index rows, Index out, Index in, float factor) {
    using namespace detail::cpu;
    if (rows == 0) { return; }
#ifdef RADAPT_HAS_AMX
    if (detail::amx::available()) { return tiles_.add_transposed_product(dw, dy, x, rows, out, in, factor); }
#endif
    const bf16* const dy16 = rounded(first_, dy, rows * out);
    if (product_.size() < out * in) { product_ = Buffer<float>(out * in); }
    const Key key{.rows = out, .inner = rows, .columns = in, .a = dnnl_ba, .b = dnnl_ab, .c = dnnl_f32};
    run(key, product_.data(), dy16, rounded(second_, x, rows * in), nullptr);
    parallel_blocks(out * in, [&](Index begin, Index n) {
      float* const to = dw + begin;
      const float* const added = product_.data() + begin;
      RADAPT_VECTOR_LOOP
      for (Index i = 0; i < n; ++i) { to[i] += factor * added[i]; }
    });
  }

 private:
  template <class T>
  static constexpr dnnl_data_type_t type_of = std::is_same_v<T, bf16> ? dnnl_bf16 : dnnl_f32;

  /// What a primitive is made for.
  struct Key {
    Index rows, inner, columns;
    dnnl_format_tag_t a, b;
    dnnl_data_type_t c;
    bool packed = false;
    detail::cpu::Epilogue epilogue{};
    bool operator==(const Key&) const = default;
  };
  struct Product {
    Key key;
    detail::cpu::MatrixProduct primitive;
    detail::cpu::OwnedMemory b;  ///< of a second factor that is not packed
  };
  struct Rounding {
    Index elements;
    detail::cpu::OwnedPrimitive primitive;
    detail::cpu::OwnedMemory from, to;
  };
  struct Packed {
    const float* weight;
    dnnl_format_tag_t tag;
    detail::cpu::PackedMatrix matrix;
  };

  Product& product_of(const Key& key, const detail::cpu::MatrixLayout& b) {
    using namespace detail::cpu;
    return recent_entry(
        products_, next_product_, most_primitives, [&](const Product& made) { return made.key == key; },
        [&] {
          const MatrixLayout a_layout{key.rows, key.inner, key.a, dnnl_bf16};
          const MatrixLayout c_layout{key.rows, key.columns, dnnl_ab, key.c};
          return Product{key, MatrixProduct{engine(), key.columns, c_layout, a_layout, b, key.epilogue},
                         key.packed ? nullptr : memory_at(engine(), b.get(), DNNL_MEMORY_NONE)};
        });
  }
  /// A product with a second factor that is not packed.
  void run(const Key& key, void* c, const bf16* a, const bf16* b, const float* bias) {
    using namespace detail::cpu;
    Product& p = product_of(key, MatrixLayout{key.inner, key.columns, key.b, dnnl_bf16});
    check_status(dnnl_memory_set_data_handle(p.b.get(), const_cast<bf16*>(b)), "take a pointer");
    p.primitive.run(stream(), c, a, p.b.get(), bias);
  }

  /// `n` elements as bf16: floats are rounded, ties to even, into `room`.
  static const bf16* rounded(Buffer<bf16>&, const bf16* x, Index) { return x; }
  const bf16* rounded(Buffer<bf16>& room, const float* x, Index n) {
    using namespace detail::cpu;
    if (room.size() < n) { room = Buffer<bf16>(n); }
    Rounding& r = recent_entry(
        roundings_, next_rounding_, most_primitives, [&](const Rounding& made) { return made.elements == n; },
        [&] {
          const MatrixLayout from{1, n, dnnl_ab}, to{1, n, dnnl_ab, dnnl_bf16};
          return Rounding{n, make_reorder(engine(), from, to), memory_at(engine(), from.get(), DNNL_MEMORY_NONE),
                          memory_at(engine(), to.get(), DNNL_MEMORY_NONE)};
        });
    check_status(dnnl_memory_set_data_handle(r.from.get(), const_cast<float*>(x)), "take a pointer");
    check_status(dnnl_memory_set_data_handle(r.to.get(), room.data()), "take a pointer");
    execute<2>(r.primitive.get(), stream(), {{{DNNL_ARG_FROM, r.from.get()}, {DNNL_ARG_TO, r.to.get()}}},
               "round to bf16");
    return room.data();
  }

  const detail::cpu::PackedMatrix& packed(const float* weight, Index inner, Index columns, dnnl_format_tag_t tag) {
    for (const Packed& p : packed_) {
      if (p.weight == weight && p.tag == tag) { return p.matrix; }
    }
    packed_.push_back({weight, tag, detail::cpu::pack(engine(), stream(), inner, columns, tag, weight, dnnl_bf16)});
    return packed_.back().matrix;
  }

  static constexpr Index most_primitives = 256;  // of each kind
  std::vector<Packed> packed_;
  std::vector<Product> products_;
  std::vector<Rounding> roundings_;
  Index next_product_ = 0, next_rounding_ = 0;
  Buffer<bf16> first_, second_;
  Buffer<float> product_;
#ifdef RADAPT_HAS_AMX
  detail::amx::Products tiles_;
#endif
};

}  // namespace radapt
