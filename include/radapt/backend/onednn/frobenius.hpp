#pragma once
/// oneDNN backend's kernel of op/frobenius.hpp: two passes.
#include <algorithm>
#include <cmath>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/frobenius.hpp"

namespace radapt {

inline void launch(onednn& device, const op::frobenius_penalty<float>& o) {
  using namespace detail::cpu;
  float* const x = o.x.data;
  const Index size = o.x.size();
  const double squares = ordered_sum(device, block_count(size, block_elements), block_elements, [&](Index i) {
    const Index begin = i * block_elements, end = std::min(begin + block_elements, size);
    double sum = 0;
    RADAPT_VECTOR_SUM(sum)
    for (Index j = begin; j < end; ++j) { sum += static_cast<double>(x[j]) * static_cast<double>(x[j]); }
    return sum;
  });
  const double norm = std::sqrt(squares);
  *o.loss += o.strength * norm;
  if (!(norm > 0)) { return; }
  const auto slope = static_cast<float>(o.strength / norm);
  parallel_blocks(size, [&](Index begin, Index n) {
    float* const piece = x + begin;
    RADAPT_VECTOR_LOOP
    for (Index j = 0; j < n; ++j) { piece[j] *= slope; }
  });
}

}  // namespace radapt
