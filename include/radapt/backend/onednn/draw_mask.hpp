#pragma once
/// oneDNN backend's kernel of op/draw_mask.hpp. A mask has one entry for each sequence: too few for threads.
#include "radapt/backend/onednn/engine.hpp"
#include "radapt/op/draw_mask.hpp"

namespace radapt {

inline void launch(onednn&, const op::draw_mask<float>& o) {
  for (Index i = 0; i < o.entries; ++i) { o.mask[i] = o.draws.keeps(o.first + i) ? 1 : 0; }
}

}  // namespace radapt
