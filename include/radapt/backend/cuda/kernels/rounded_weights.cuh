#pragma once
/// Copies in bf16 of weights that were promised to stay: products read half the bytes, and round nothing.
#include <functional>
#include <utility>
#include <vector>

#include "radapt/backend/cuda/kernels/device_memory.cuh"
#include "radapt/core/element.hpp"

namespace radapt::detail::gpu {

/// Each copy is made when its weight is first multiplied by, and kept: two bytes for each element, beside the weights.
class RoundedWeights {
 public:
  struct Copy {
    bf16* data = nullptr;
    bool is_made = false;  ///< else the caller has to fill it
  };

  void promise_constant(const float* begin, Index elements) { constant_.push_back({begin, elements}); }

  /// The copy of a weight; null where nobody promised that it stays.
  Copy of(const float* weight, Index elements) {
    for (Entry& e : entries_) {
      if (e.weight == weight && e.elements == elements) { return {e.copy, std::exchange(e.is_made, true)}; }
    }
    if (elements == 0 || !is_constant(weight, elements)) { return {}; }
    entries_.push_back(
        {weight, elements, static_cast<bf16*>(take_counted_device_memory(elements * sizeof(bf16))), true});
    return {entries_.back().copy, false};
  }
  /// What was to fill them has not run.
  void forget() {
    for (Entry& e : entries_) { e.is_made = false; }
  }

  RoundedWeights() = default;
  RoundedWeights(const RoundedWeights&) = delete;
  RoundedWeights& operator=(const RoundedWeights&) = delete;
  ~RoundedWeights() {
    for (const Entry& e : entries_) { give_back_counted_device_memory(e.copy); }
  }

 private:
  struct Range {
    const float* begin;
    Index elements;
  };
  struct Entry {
    const float* weight;
    Index elements;
    bf16* copy;
    bool is_made;
  };
  bool is_constant(const float* weight, Index elements) const {
    const std::less_equal<const float*> not_after;
    for (const Range& r : constant_) {
      if (not_after(r.begin, weight) && not_after(weight + elements, r.begin + r.elements)) { return true; }
    }
    return false;
  }

  std::vector<Range> constant_;
  std::vector<Entry> entries_;
};

}  // namespace radapt::detail::gpu
