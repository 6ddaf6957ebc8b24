#pragma once
/// Weights in the memory that a backend's kernels read.
#include "radapt/core/const_weights.hpp"
#include "radapt/core/memory.hpp"

namespace radapt {

/// `weights` where a backend's kernels read them: themselves, or a copy in the memory of a backend that has its own.
template <class Backend, class M, class T>
ConstWeights<M, T> resident(const ConstWeights<M, T>& weights) {
  if constexpr (has_own_memory<Backend>) {
    return weights.copy(Backend::memory());
  } else {
    return weights;
  }
}

}  // namespace radapt
