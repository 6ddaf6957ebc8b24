#pragma once
/// Reference kernels of op/convert.hpp.
#include <algorithm>

#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/convert.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::widen<T>& o) {
  std::transform(o.x.data, o.x.data + o.x.size(), o.y.data, [](T x) { return static_cast<parameter_t<T>>(x); });
}

template <class T>
void launch(reference&, const op::narrow<T>& o) {
  std::transform(o.x.data, o.x.data + o.x.size(), o.y.data, [](parameter_t<T> x) { return static_cast<T>(x); });
}

}  // namespace radapt
