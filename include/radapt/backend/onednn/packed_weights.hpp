#pragma once
/// Weights that never change, kept in the layout that oneDNN multiplies by without rearranging them in every call.
///
/// dnnl_sgemm copies its factors into its own layout each time. Over thousands of rows that is lost in the product;
/// over the fifty rows of one image it is a third of the time.
#include <array>
#include <unordered_map>
#include <utility>
#include <vector>

#include "radapt/backend/onednn/handles.hpp"
#include "radapt/core/memory.hpp"

namespace radapt {

namespace detail::cpu {

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

/// c = a b.
inline OwnedPrimitiveDescription describe_product(dnnl_engine_t engine, const MatrixLayout& c, const MatrixLayout& a,
                                                  const MatrixLayout& b) {
  dnnl_primitive_desc_t made = nullptr;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl_status_t status =
      dnnl_matmul_primitive_desc_create(&made, engine, a.get(), b.get(), nullptr, c.get(), nullptr);
#else
  dnnl_matmul_desc_t operation;
  dnnl_status_t status = dnnl_matmul_desc_init(&operation, a.get(), b.get(), nullptr, c.get());
  if (status == dnnl_success) { status = dnnl_primitive_desc_create(&made, &operation, nullptr, engine, nullptr); }
#endif
  check_status(status, "describe a product");
  return OwnedPrimitiveDescription{made};
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
                                            MatrixLayout{rows, columns, dnnl_format_tag_any, type});
  MatrixLayout layout{dnnl_primitive_desc_query_md(description.get(), dnnl_query_weights_md, 0)};
  Buffer<char> bytes(dnnl_memory_desc_get_size(layout.get()));
  OwnedMemory packed = memory_at(engine, layout.get(), bytes.data());
  const MatrixLayout source_layout{rows, columns, plain};
  const OwnedMemory source = memory_at(engine, source_layout.get(), weight);
  const OwnedPrimitive reorder = make_reorder(engine, source_layout, layout);
  execute<2>(reorder.get(), stream, {{{DNNL_ARG_FROM, source.get()}, {DNNL_ARG_TO, packed.get()}}}, "pack weights");
  return {std::move(layout), std::move(bytes), std::move(packed)};
}

}  // namespace detail::cpu

/// The packed copies of matrices that were promised to be constant. Each is made when it is first multiplied by, so
/// that a text tower which never runs takes no memory.
class PackedWeights {
 public:
  /// Rows up to which a packed matrix is multiplied by. Measured with AVX-512 on twelve matrices in turn, one thread,
  /// as ratios to dnnl_sgemm: 1.2 to 1.4 at 50 rows, 1.0 to 1.4 at 197, none beyond 400.
  static constexpr Index most_rows = 256;

  /// The floats from `begin` on stay as they are, where they are, for as long as this object lives.
  void promise_constant(const float* begin, Index elements) { constant_.push_back({begin, begin + elements}); }

  bool covers(const float* weight) const {
    for (const Range& range : constant_) {
      if (weight >= range.begin && weight < range.end) { return true; }
    }
    return false;
  }

  /// y = x W^T with x (rows, in), y (rows, out) and a constant W (out, in), all row-major.
  void multiply(dnnl_engine_t engine, dnnl_stream_t stream, float* y, const float* x, Index rows, Index in, Index out,
                const float* weight) {
    using namespace detail::cpu;
    auto found = matrices_.find(weight);
    if (found == matrices_.end()) {
      found = matrices_.emplace(weight, pack(engine, stream, in, out, dnnl_ba, weight, dnnl_f32)).first;
    }
    Product& product = product_of(engine, rows, in, out, found->second);
    check_status(dnnl_memory_set_data_handle(product.x.get(), const_cast<float*>(x)), "take a pointer");
    check_status(dnnl_memory_set_data_handle(product.y.get(), y), "take a pointer");
    execute<3>(product.primitive.get(), stream,
               {{{DNNL_ARG_SRC, product.x.get()},
                 {DNNL_ARG_WEIGHTS, found->second.memory.get()},
                 {DNNL_ARG_DST, product.y.get()}}},
               "multiply matrices");
  }

 private:
  struct Range {
    const float *begin, *end;
  };
  struct Product {
    Index rows, in, out;
    detail::cpu::OwnedPrimitive primitive;
    detail::cpu::OwnedMemory x, y;
  };

  Product& product_of(dnnl_engine_t engine, Index rows, Index in, Index out, const detail::cpu::PackedMatrix& w) {
    using namespace detail::cpu;
    return recent_entry(
        products_, next_, most_products, [&](const Product& p) { return p.rows == rows && p.in == in && p.out == out; },
        [&] {
          const MatrixLayout x{rows, in, dnnl_ab}, y{rows, out, dnnl_ab};
          const auto description = describe_product(engine, y, x, w.layout);
          return Product{rows,
                         in,
                         out,
                         make_primitive(description.get()),
                         memory_at(engine, x.get(), DNNL_MEMORY_NONE),
                         memory_at(engine, y.get(), DNNL_MEMORY_NONE)};
        });
  }

  static constexpr Index most_products = 32;
  std::vector<Range> constant_;
  std::unordered_map<const float*, detail::cpu::PackedMatrix> matrices_;
  std::vector<Product> products_;
  Index next_ = 0;
};

}  // namespace radapt
