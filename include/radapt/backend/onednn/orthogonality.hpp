#pragma once
/// oneDNN backend's kernel of op/orthogonality.hpp: two matrix products.
#include <cmath>

#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/orthogonality.hpp"

namespace radapt {

inline void launch(onednn& device, const op::orthogonality_penalty<float>& o) {
  using namespace detail::cpu;
  const Index rows = o.parameters.rows, columns = o.parameters.columns;
  const float* const w = o.parameters.data;
  float* const g = o.gram.data;
  check_product(product(g, columns, columns, columns, rows, {w, columns, true}, {w, columns}));
  const double squares = ordered_sum(device, columns, columns, [&](Index i) {
    float* const row = g + i * columns;
    row[i] -= 1.0F;
    double sum = 0;
    RADAPT_VECTOR_SUM(sum)
    for (Index j = 0; j < columns; ++j) { sum += static_cast<double>(row[j]) * static_cast<double>(row[j]); }
    return sum;
  });
  const double norm = std::sqrt(squares);
  *o.loss += o.strength * norm;
  if (norm > 0) {
    const auto slope = static_cast<float>(2.0 * o.strength / norm);
    check_product(product(o.gradients.data, columns, rows, columns, columns, {w, columns}, {g, columns}, slope, 1.0F));
  }
}

}  // namespace radapt
