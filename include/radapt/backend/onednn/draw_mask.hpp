#pragma once
/// oneDNN backend's kernel of op/draw_mask.hpp. A mask has one entry for each sequence: too few for threads.
#include "radapt/backend/onednn/loops.hpp"
#include "radapt/op/draw_mask.hpp"

namespace radapt {

template <cpu_element T>
void launch(onednn&, const op::draw_mask<T>& o) {
  for (Index i = 0; i < o.entries; ++i) {
    const bool keeps = o.given == nullptr ? o.draws.keeps(o.first + i) : o.given[i] != 0;
    o.mask[i] = keeps ? 1 : 0;
  }
}

}  // namespace radapt
