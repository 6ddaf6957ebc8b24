#pragma once
/// oneDNN kernels of op/activation.hpp.
#include "radapt/backend/onednn/engine.hpp"

namespace radapt {

inline void launch(onednn& device, const op::activation_forward<float>& o) {
  device.activate(o.kind, o.y.data, o.x.data, o.x.size());
}

inline void launch(onednn& device, const op::activation_backward<float>& o) {
  device.activate_backward(o.kind, o.dx.data, o.dy.data, o.x.data, o.x.size());
}

}  // namespace radapt
