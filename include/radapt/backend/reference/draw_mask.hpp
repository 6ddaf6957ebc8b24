#pragma once
/// Reference kernel of op/draw_mask.hpp.
#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/draw_mask.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::draw_mask<T>& o) {
  for (Index i = 0; i < o.entries; ++i) { o.mask[i] = o.draws.keeps(o.first + i) ? 1 : 0; }
}

}  // namespace radapt
