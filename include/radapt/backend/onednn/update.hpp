#pragma once
/// CPU kernels of op/update.hpp: one pass over flat buffers, dealt out in pieces.
#include <algorithm>
#include <cmath>

#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/backend/reference/update.hpp"

namespace radapt {

namespace detail::cpu {
constexpr Index update_piece = 16384;  // elements
inline Vector<float> piece(Vector<float> v, Index begin, Index n) {
  return v ? Vector<float>{v.data + begin, n} : Vector<float>{};
}
inline Vector<const float> piece(Vector<const float> v, Index begin, Index n) { return {v.data + begin, n}; }
}  // namespace detail::cpu

inline void launch(onednn&, const op::adamw<float>& o) {
  using namespace detail::cpu;
  const Index size = o.parameters.size;
  parallel_for((size + update_piece - 1) / update_piece, 2, [&](Index c) {
    const Index begin = c * update_piece, n = std::min(update_piece, size - begin);
    op::adamw<float> part = o;  // elements do not depend on each other
    part.parameters = piece(o.parameters, begin, n);
    part.first_moment = piece(o.first_moment, begin, n);
    part.second_moment = piece(o.second_moment, begin, n);
    part.gradients = piece(o.gradients, begin, n);
    part.average = piece(o.average, begin, n);
    reference plain;
    launch(plain, part);
  });
}

inline void launch(onednn&, const op::sum_of_squares<float>& o) {
  reference plain;  // one thread: the order of the sum is part of the result
  launch(plain, o);
}

inline void launch(onednn&, const op::clear<float>& o) { std::fill(o.x.data, o.x.data + o.x.size, 0.0f); }

}  // namespace radapt
