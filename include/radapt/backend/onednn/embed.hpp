#pragma once
/// CPU kernels of op/embed.hpp: row copies, which the reference kernels do at the speed of memory.
#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/backend/reference/embed.hpp"

namespace radapt {

inline void launch(onednn&, const op::extract_patches<float>& o) {
  reference plain;
  launch(plain, o);
}
inline void launch(onednn&, const op::assemble_tokens_forward<float>& o) {
  reference plain;
  launch(plain, o);
}
inline void launch(onednn&, const op::assemble_tokens_backward<float>& o) {
  reference plain;
  launch(plain, o);
}
inline void launch(onednn&, const op::embed_tokens_forward<float>& o) {
  reference plain;
  launch(plain, o);
}
inline void launch(onednn&, const op::embed_tokens_backward<float>& o) {
  reference plain;
  launch(plain, o);
}

}  // namespace radapt
