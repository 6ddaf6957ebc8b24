#pragma once
/// The products of a device that run on tiles, with the packed copies of constant weights and the memory they work in.
#include "radapt/backend/onednn/bf16_tiles/product.hpp"
#include "radapt/backend/onednn/constant_memory.hpp"
#ifdef RADAPT_HAS_AVX512

RADAPT_AVX512_BEGIN
namespace radapt::detail::bf16_tiles {

/// Memory grows with the largest call and is kept.
class Products {
 public:
  /// a b in the way of `result`, with a (rows, inner) row-major and b = W (inner, columns) or, `transposed`, W^T of
  /// W (columns, inner). A weight that `constant` covers is packed once for each direction, others in every call.
  template <class C, class A>
  void multiply(const Result<C>& result, const A* a, Index rows, Index inner, Index columns, const float* weight,
                bool transposed, const cpu::ConstantMemory& constant) {
    if (rows == 0) { return; }
    const Blocking cut{inner, columns};
    const LeftFactor<A> left{a, rows, inner, inner};
    const auto take = [&](bf16* to) {
      take_right_factor(to, cut, weight, transposed ? inner : columns, transposed);
      return to;
    };
    const bf16* const right = constant.covers(weight)
                                  ? packed_.get(weight, inner, columns, transposed, cut.elements(), constant, take)
                                  : take(room_of_factor(cut));
    bf16_tiles::multiply(result, left, right, cut, room_for(product_room(left, cut)));
  }

  /// dw += factor dy^T x, with dy (rows, out), x (rows, in), dw (out, in).
  template <class T>
  void add_transposed_product(float* dw, const T* dy, const T* x, Index rows, Index out, Index in, float factor) {
    // Both factors are rewritten as tiles; slabs of rows keep the tiles in the second-level cache.
    constexpr Index slab = 768;
    const Result<float> result{.y = dw, .stride = in, .add = true, .factor = factor};
    for (Index first = 0; first < rows; first += slab) {
      const Blocking cut{std::min(slab, rows - first), in};
      const LeftFactor<T> left{dy + first * out, out, cut.inner, out, true};
      bf16* const right = room_of_factor(cut);
      take_right_factor(right, cut, x + first * in, in, false);
      bf16_tiles::multiply(result, left, right, cut, room_for(product_room(left, cut)));
    }
  }

 private:
  bf16* room_of_factor(const Blocking& cut) {
    if (factor_.size() < cut.elements()) { factor_ = Buffer<bf16>(cut.elements()); }
    return factor_.data();
  }
  char* room_for(Index bytes_of_a_thread) {
    const Index bytes = bytes_of_a_thread * cpu::thread_count();
    if (room_.size() < bytes) { room_ = Buffer<char>(bytes); }
    return room_.data();
  }

  cpu::PackedCopies<bf16> packed_;
  Buffer<bf16> factor_;
  Buffer<char> room_;
};

}  // namespace radapt::detail::bf16_tiles
RADAPT_AVX512_END
#endif
