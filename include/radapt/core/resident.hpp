#pragma once
/// Weights in the memory that a backend's kernels read.
#include <optional>
#include <type_traits>

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

/// The same for who needs Weights, one buffer, as a trainer does: the caller's own, or a copy.
template <class Backend, class W>
class Resident {
 public:
  /// `weights` must outlive this object, and stay as they are while a backend with its own memory reads the copy.
  explicit Resident(const W& weights) : weights_(&weights) {
    if constexpr (has_own_memory<Backend>) { copy_.emplace(weights, Backend::memory()); }
  }

  const W& operator*() const {
    if constexpr (has_own_memory<Backend>) {
      return *copy_;
    } else {
      return *weights_;
    }
  }
  const W* operator->() const { return &**this; }
  /// What the caller gave.
  const W& original() const { return *weights_; }

 private:
  struct Nothing {};
  const W* weights_;
  [[no_unique_address]] std::conditional_t<has_own_memory<Backend>, std::optional<W>, Nothing> copy_{};
};

}  // namespace radapt
