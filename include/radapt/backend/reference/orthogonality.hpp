#pragma once
/// Reference kernel of op/orthogonality.hpp.
#include <cmath>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/orthogonality.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::orthogonality_penalty<T>& o) {
  using namespace detail::eigen;
  const auto w = map(o.parameters);
  auto g = map(o.gram);
  g.noalias() = w.transpose() * w;
  g.diagonal().array() -= T{1};
  const double norm = std::sqrt(g.template cast<double>().squaredNorm());
  *o.loss += o.strength * norm;
  if (norm > 0) { map(o.gradients).noalias() += static_cast<T>(2 * o.strength / norm) * (w * g); }
}

}  // namespace radapt
