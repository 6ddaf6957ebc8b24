#pragma once
/// CPU kernels of op/pool.hpp: row copies, which the reference kernels do at the speed of memory.
#include "radapt/backend/onednn/onednn.hpp"
#include "radapt/backend/reference/pool.hpp"

namespace radapt {

inline void launch(onednn&, const op::pool_forward<float>& o) {
  reference plain;
  launch(plain, o);
}
inline void launch(onednn&, const op::pool_backward<float>& o) {
  reference plain;
  launch(plain, o);
}

}  // namespace radapt
