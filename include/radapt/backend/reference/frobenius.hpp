#pragma once
/// Reference kernel of op/frobenius.hpp.
#include <cmath>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/frobenius.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::frobenius_penalty<T>& o) {
  using namespace detail::eigen;
  auto x = map(o.x);
  const double norm = std::sqrt(x.template cast<double>().squaredNorm());
  *o.loss += o.strength * norm;
  if (norm > 0) { x *= static_cast<T>(o.strength / norm); }
}

}  // namespace radapt
