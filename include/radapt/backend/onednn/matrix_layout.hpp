#pragma once
/// How matrices lie in memory, in oneDNN's words, and the primitives that work on them.
#include <array>

#include "radapt/backend/onednn/handles.hpp"
#include "radapt/core/shape.hpp"

namespace radapt::detail::cpu {

#if DNNL_VERSION_MAJOR >= 3
using LayoutView = const_dnnl_memory_desc_t;
#else
using LayoutView = const dnnl_memory_desc_t*;
#endif

/// How the numbers of a matrix lie in memory.
class MatrixLayout {
 public:
  /// With the tags of oneDNN: dnnl_ab is row-major, dnnl_ba its transpose, dnnl_format_tag_any leaves it to oneDNN.
  MatrixLayout(Index rows, Index columns, dnnl_format_tag_t tag, dnnl_data_type_t type = dnnl_f32) {
    const dnnl_dims_t extents = {static_cast<dnnl_dim_t>(rows), static_cast<dnnl_dim_t>(columns)};
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t made = nullptr;
    check_status(dnnl_memory_desc_create_with_tag(&made, 2, extents, type, tag), "describe a matrix");
    description_.reset(made);
#else
    check_status(dnnl_memory_desc_init_by_tag(&description_, 2, extents, type, tag), "describe a matrix");
#endif
  }
  /// A copy of a description that oneDNN owns.
  explicit MatrixLayout(LayoutView other) {
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t made = nullptr;
    check_status(dnnl_memory_desc_clone(&made, other), "copy the description of a matrix");
    description_.reset(made);
#else
    description_ = *other;
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

inline OwnedMemory memory_at(dnnl_engine_t engine, LayoutView layout, const void* data) {
  dnnl_memory_t made = nullptr;
  check_status(dnnl_memory_create(&made, layout, engine, const_cast<void*>(data)), "create a memory");
  return OwnedMemory{made};
}

inline OwnedPrimitive make_primitive(const_dnnl_primitive_desc_t description) {
  dnnl_primitive_t made = nullptr;
  check_status(dnnl_primitive_create(&made, description), "create a primitive");
  return OwnedPrimitive{made};
}

template <std::size_t Count>
void execute(dnnl_primitive_t primitive, dnnl_stream_t stream, const std::array<dnnl_exec_arg_t, Count>& arguments,
             const char* what) {
  check_status(dnnl_primitive_execute(primitive, stream, static_cast<int>(Count), arguments.data()), what);
  check_status(dnnl_stream_wait(stream), what);
}

/// From one layout or element type to another.
inline OwnedPrimitive make_reorder(dnnl_engine_t engine, const MatrixLayout& from, const MatrixLayout& to) {
  dnnl_primitive_desc_t made = nullptr;
  check_status(dnnl_reorder_primitive_desc_create(&made, from.get(), engine, to.get(), engine, nullptr),
               "describe a change of layout");
  const OwnedPrimitiveDescription description{made};
  return make_primitive(description.get());
}

}  // namespace radapt::detail::cpu
