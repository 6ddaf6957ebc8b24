#pragma once
/// CPU kernels of op/loss.hpp: a step has one loss over (B, B) or (B, classes), small beside a layer, so the reference
/// kernels serve.
#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/backend/reference/loss.hpp"

namespace radapt {

inline void launch(onednn&, const op::contrastive_loss<float>& o) {
  reference plain;
  launch(plain, o);
}
inline void launch(onednn&, const op::cross_entropy<float>& o) {
  reference plain;
  launch(plain, o);
}

}  // namespace radapt
