#pragma once
/// Matrix products as oneDNN's primitives, with what follows a product in the same pass, and matrices in the layout
/// that oneDNN would have them in.
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "radapt/backend/onednn/activation_primitive.hpp"
#include "radapt/core/memory.hpp"

namespace radapt::detail::cpu {

/// What a product does to its sums before it writes them: adds a bias to every row, then takes an activation.
struct Epilogue {
  bool bias = false;
  std::optional<Activation> activation{};
  bool operator==(const Epilogue&) const = default;
};

inline OwnedAttributes attributes_of(const Epilogue& epilogue) {
  if (!epilogue.activation) { return nullptr; }
  dnnl_primitive_attr_t attributes = nullptr;
  check_status(dnnl_primitive_attr_create(&attributes), "create attributes");
  OwnedAttributes owned{attributes};
  dnnl_post_ops_t operations = nullptr;
  check_status(dnnl_post_ops_create(&operations), "create a list of operations");
  const OwnedPostOperations list{operations};
  const auto algorithm = algorithm_of(*epilogue.activation);
  const float slope = slope_of(*epilogue.activation);
#if DNNL_VERSION_MAJOR >= 3
  check_status(dnnl_post_ops_append_eltwise(operations, algorithm, slope, 0.0F), "append an activation");
#else
  check_status(dnnl_post_ops_append_eltwise(operations, 1.0F, algorithm, slope, 0.0F), "append an activation");
#endif
  check_status(dnnl_primitive_attr_set_post_ops(attributes, operations), "append an activation");
  return owned;
}

/// The layout of a bias: one row of floats.
inline MatrixLayout bias_layout(Index columns) { return {1, columns, dnnl_ab}; }

/// c = a b, and the epilogue.
inline OwnedPrimitiveDescription describe_product(dnnl_engine_t engine, const MatrixLayout& c, const MatrixLayout& a,
                                                  const MatrixLayout& b, const Epilogue& epilogue, Index columns = 0) {
  const OwnedAttributes attributes = attributes_of(epilogue);
  const MatrixLayout bias = bias_layout(epilogue.bias ? columns : 1);
  const LayoutView bias_or_none = epilogue.bias ? bias.get() : nullptr;
  dnnl_primitive_desc_t made = nullptr;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl_status_t status =
      dnnl_matmul_primitive_desc_create(&made, engine, a.get(), b.get(), bias_or_none, c.get(), attributes.get());
#else
  dnnl_matmul_desc_t operation;
  dnnl_status_t status = dnnl_matmul_desc_init(&operation, a.get(), b.get(), bias_or_none, c.get());
  if (status == dnnl_success) {
    status = dnnl_primitive_desc_create(&made, &operation, attributes.get(), engine, nullptr);
  }
#endif
  check_status(status, "describe a product");
  return OwnedPrimitiveDescription{made};
}

/// A product of fixed extents. Made once, in some 0.3 ms, then run on any memory.
class MatrixProduct {
 public:
  MatrixProduct(dnnl_engine_t engine, Index columns, const MatrixLayout& c, const MatrixLayout& a,
                const MatrixLayout& b, const Epilogue& epilogue)
      : primitive_(make_primitive(describe_product(engine, c, a, b, epilogue, columns).get())),
        c_(memory_at(engine, c.get(), DNNL_MEMORY_NONE)),
        a_(memory_at(engine, a.get(), DNNL_MEMORY_NONE)) {
    if (epilogue.bias) { bias_ = memory_at(engine, bias_layout(columns).get(), DNNL_MEMORY_NONE); }
  }

  /// `bias` is read where the epilogue has one.
  void run(dnnl_stream_t stream, void* c, const void* a, dnnl_memory_t b, const float* bias) {
    const auto take = [](const OwnedMemory& memory, const void* data) {
      check_status(dnnl_memory_set_data_handle(memory.get(), const_cast<void*>(data)), "take a pointer");
      return memory.get();
    };
    const dnnl_exec_arg_t first{DNNL_ARG_SRC, take(a_, a)}, second{DNNL_ARG_WEIGHTS, b},
        result{DNNL_ARG_DST, take(c_, c)};
    if (bias_ == nullptr) {
      return execute<3>(primitive_.get(), stream, {{first, second, result}}, "multiply matrices");
    }
    execute<4>(primitive_.get(), stream, {{first, second, result, {DNNL_ARG_BIAS, take(bias_, bias)}}},
               "multiply matrices");
  }

 private:
  OwnedPrimitive primitive_;
  OwnedMemory c_, a_, bias_;
};

/// The entry of a cache that `fits`, or what `make` gives, in the place of the oldest once there are `most`. `next` is
/// the oldest. A primitive is made for one number of rows, in some 0.3 ms, and captions have many.
template <class Entry, class Fits, class Make>
Entry& recent_entry(std::vector<Entry>& all, Index& next, Index most, Fits&& fits, Make&& make) {
  for (Entry& e : all) {
    if (fits(e)) { return e; }
  }
  if (all.size() < most) { return all.emplace_back(make()); }
  Entry& oldest = all[next];
  next = (next + 1) % most;
  return oldest = make();
}

/// A matrix in a layout that oneDNN has chosen.
struct PackedMatrix {
  MatrixLayout layout;
  Buffer<char> bytes;
  OwnedMemory memory;
};

/// The matrix `plain` at `weight` as the second factor of products, as elements of `type`.
inline PackedMatrix pack(dnnl_engine_t engine, dnnl_stream_t stream, Index rows, Index columns, dnnl_format_tag_t plain,
                         const float* weight, dnnl_data_type_t type) {
  constexpr Index typical_rows = 64;  // of the first factor: the layout that oneDNN asks for does not depend on it
  const auto description = describe_product(engine, MatrixLayout{typical_rows, columns, dnnl_ab},
                                            MatrixLayout{typical_rows, rows, dnnl_ab, type},
                                            MatrixLayout{rows, columns, dnnl_format_tag_any, type}, {});
  MatrixLayout layout{dnnl_primitive_desc_query_md(description.get(), dnnl_query_weights_md, 0)};
  Buffer<char> bytes(dnnl_memory_desc_get_size(layout.get()));
  OwnedMemory packed = memory_at(engine, layout.get(), bytes.data());
  const MatrixLayout source_layout{rows, columns, plain};
  const OwnedMemory source = memory_at(engine, source_layout.get(), weight);
  const OwnedPrimitive reorder = make_reorder(engine, source_layout, layout);
  execute<2>(reorder.get(), stream, {{{DNNL_ARG_FROM, source.get()}, {DNNL_ARG_TO, packed.get()}}}, "pack weights");
  return {std::move(layout), std::move(bytes), std::move(packed)};
}

}  // namespace radapt::detail::cpu
