#pragma once
/// Reference kernel of op/draw_mask.hpp.
#include "radapt/backend/reference/reference.hpp"
#include "radapt/op/draw_mask.hpp"

namespace radapt {

template <class T>
void launch(reference&, const op::draw_mask<T>& o) {
  for (Index i = 0; i < o.entries; ++i) {
    const bool keeps = o.given == nullptr ? o.draws.keeps(o.first + i) : o.given[i] != 0;
    o.mask[i] = keeps ? 1 : 0;
  }
}

}  // namespace radapt
