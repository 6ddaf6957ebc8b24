#pragma once
/// The CPU backend with matrix products in bfloat16: factors are rounded to bf16 (8 bits of precision), sums are taken
/// and results are left in float. Everything else, layer norm, softmax, activations, residual streams, losses, the
/// update and the trained parameters themselves, is that of `onednn`, in float.
#include <cstdint>
#include <utility>
#include <vector>

#include "radapt/backend/onednn/linear.hpp"

namespace radapt {

/// Precision as a type: `Session<Model, onednn_bf16>`, `Trainer<Recipe, onednn_bf16>`; include this header beside
/// all.hpp. A product takes half the time on processors that multiply bf16 (AVX512-BF16, AMX). On others it is
/// `onednn`, number for number.
///
/// Weights that were promised to be constant are kept as packed bf16 copies, one for each direction in which they are
/// multiplied by; others are rounded in every call.
class onednn_bf16 : public onednn {
 public:
  static constexpr auto name = "onednn_bf16";
  /// Whether products run in bf16 on this processor.
  static bool multiplies_bf16() {
    static const bool can = [] {
      const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
      constexpr auto needed = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
      return (isa & needed) == needed;
    }();
    return can;
  }

  /// Whether a trainer shall promise that its frozen weights stay.
  static bool packs_frozen_weights() { return multiplies_bf16(); }

  /// c = a b with a (rows, inner), c (rows, columns) row-major and b = W or, `transposed`, W^T of a row-major W.
  void multiply(float* c, const float* a, Index rows, Index inner, Index columns, const float* weight,
                bool transposed) {
    using namespace detail::cpu;
    if (rows == 0) { return; }
    const dnnl_format_tag_t tag = transposed ? dnnl_ba : dnnl_ab;
    Bits* const a16 = rounded(first_, a, rows * inner);
    if (is_constant(weight)) {
      const PackedMatrix& w = packed(weight, inner, columns, tag);
      run({rows, inner, columns, dnnl_ab, tag, true}, w.layout, c, a16, w.memory.get());
    } else {
      const MatrixLayout layout{inner, columns, tag, dnnl_bf16};
      const OwnedMemory w = memory_at(engine(), layout.get(), rounded(second_, weight, inner * columns));
      run({rows, inner, columns, dnnl_ab, tag, false}, layout, c, a16, w.get());
    }
  }
  /// dy^T x with dy (rows, out) and x (rows, in): (out, in), until the next call.
  const float* multiply_transposed(const float* dy, const float* x, Index rows, Index out, Index in) {
    using namespace detail::cpu;
    Bits* const dy16 = rounded(first_, dy, rows * out);
    const MatrixLayout layout{rows, in, dnnl_ab, dnnl_bf16};
    const OwnedMemory x16 = memory_at(engine(), layout.get(), rounded(second_, x, rows * in));
    if (product_.size() < out * in) { product_ = Buffer<float>(out * in); }
    run({out, rows, in, dnnl_ba, dnnl_ab, false}, layout, product_.data(), dy16, x16.get());
    return product_.data();
  }

 private:
  using Bits = std::uint16_t;  // of a bf16
  /// What a primitive is made for.
  struct Key {
    Index rows, inner, columns;
    dnnl_format_tag_t a, b;
    bool packed;
    bool operator==(const Key&) const = default;
  };
  struct Product {
    Key key;
    detail::cpu::OwnedPrimitive primitive;
    detail::cpu::OwnedMemory a, c;
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

  void run(const Key& key, const detail::cpu::MatrixLayout& b, float* c, Bits* a, dnnl_memory_t weights) {
    using namespace detail::cpu;
    Product& p = recent_entry(
        products_, next_product_, most_primitives, [&](const Product& made) { return made.key == key; },
        [&] {
          const MatrixLayout a_layout{key.rows, key.inner, key.a, dnnl_bf16}, c_layout{key.rows, key.columns, dnnl_ab};
          const auto description = describe_product(engine(), c_layout, a_layout, b);
          return Product{key, make_primitive(description.get()), memory_at(engine(), a_layout.get(), DNNL_MEMORY_NONE),
                         memory_at(engine(), c_layout.get(), DNNL_MEMORY_NONE)};
        });
    check_status(dnnl_memory_set_data_handle(p.a.get(), a), "take a pointer");
    check_status(dnnl_memory_set_data_handle(p.c.get(), c), "take a pointer");
    execute<3>(p.primitive.get(), stream(),
               {{{DNNL_ARG_SRC, p.a.get()}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, p.c.get()}}},
               "multiply matrices");
  }

  /// `n` floats rounded to bf16, ties to even, in `room`.
  Bits* rounded(Buffer<Bits>& room, const float* x, Index n) {
    using namespace detail::cpu;
    if (room.size() < n) { room = Buffer<Bits>(n); }
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
  Buffer<Bits> first_, second_;
  Buffer<float> product_;
};

namespace detail::cpu {

/// As map_kept_rows, but kept rows are always gathered: a primitive is made for one number of rows, and dropping gives
/// runs of all lengths.
template <class F>
void map_gathered_rows(onednn& device, Matrix<float> y, Matrix<const float> x, const op::KeptRows& kept, F&& multiply) {
  if (kept.keeps_all()) { return multiply(y.data, x.data, y.rows); }
  const RowTable table = kept_rows(device, kept, y.rows);
  if (table.count == 0) { return; }
  float* const panel_x = device.workspace<float>(table.count * (x.columns + y.columns));
  float* const panel_y = panel_x + table.count * x.columns;
  gather_rows(panel_x, x, table.rows, table.count);
  multiply(panel_y, panel_x, table.count);
  scatter_rows(y, panel_y, table.rows, table.count);
}

}  // namespace detail::cpu

inline void launch(onednn_bf16& device, const op::linear_forward<float>& o) {
  using namespace detail::cpu;
  if (!onednn_bf16::multiplies_bf16()) { return launch(static_cast<onednn&>(device), o); }
  const Index in = o.x.columns, out = o.y.columns;
  map_gathered_rows(device, o.y, o.x, o.kept, [&](float* y, const float* x, Index rows) {
    device.multiply(y, x, rows, in, out, o.weight.data, true);
    if (o.bias) {
      parallel_for(rows, out, [&](Index r) { add_to(y + r * out, o.bias.data, out); });
    }
  });
}

inline void launch(onednn_bf16& device, const op::linear_backward_input<float>& o) {
  using namespace detail::cpu;
  if (!onednn_bf16::multiplies_bf16()) { return launch(static_cast<onednn&>(device), o); }
  const Index in = o.dx.columns, out = o.dy.columns;
  map_gathered_rows(device, o.dx, o.dy, o.kept, [&](float* dx, const float* dy, Index rows) {
    device.multiply(dx, dy, rows, out, in, o.weight.data, false);
  });
}

inline void launch(onednn_bf16& device, const op::linear_backward_weight<float>& o) {
  using namespace detail::cpu;
  if (!onednn_bf16::multiplies_bf16()) { return launch(static_cast<onednn&>(device), o); }
  const Index in = o.x.columns, out = o.dy.columns;
  const float coefficient = static_cast<float>(o.factor) * (o.scale == nullptr ? 1.0F : *o.scale);
  const auto accumulate = [&](const float* dy, const float* x, Index rows) {
    if (rows == 0) { return; }
    const float* const product = device.multiply_transposed(dy, x, rows, out, in);
    parallel_blocks(out * in, [&](Index begin, Index n) {
      float* const dw = o.dw.data + begin;
      const float* const added = product + begin;
      RADAPT_VECTOR_LOOP
      for (Index i = 0; i < n; ++i) { dw[i] += coefficient * added[i]; }
    });
  };
  if (o.kept.keeps_all()) { return accumulate(o.dy.data, o.x.data, o.x.rows); }
  const RowTable table = kept_rows(device, o.kept, o.x.rows);
  if (table.count == 0) { return; }
  float* const gathered_x = device.workspace<float>(table.count * (in + out));
  float* const gathered_dy = gathered_x + table.count * in;
  gather_rows(gathered_x, o.x, table.rows, table.count);
  gather_rows(gathered_dy, o.dy, table.rows, table.count);
  accumulate(gathered_dy, gathered_x, table.count);
}

}  // namespace radapt
