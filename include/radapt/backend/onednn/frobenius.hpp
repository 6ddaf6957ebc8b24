#pragma once
/// oneDNN backend's kernel of op/frobenius.hpp: two passes.
#include <cmath>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/backend/onednn/update.hpp"
#include "radapt/op/frobenius.hpp"

namespace radapt {

inline void launch(onednn& device, const op::frobenius_penalty<float>& o) {
  using namespace detail::cpu;
  float* const x = o.x.data;
  const Index size = o.x.size();
  double squares = 0;
  launch(device, op::sum_of_squares<float>{.x = {x, size}, .result = &squares});
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
