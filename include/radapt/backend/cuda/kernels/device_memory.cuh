#pragma once
/// Which memory kernels can follow, and device memory that is counted.
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>

#include "radapt/backend/cuda/kernels/runtime.cuh"

namespace radapt::detail::gpu {

/// Which addresses kernels can follow: what the library took from the runtime.
class VisibleMemory {
 public:
  enum class Place { device, host };
  void add(const void* memory, Index bytes, Place place = Place::device) {
    const std::lock_guard lock(mutex_);
    ranges_[address(memory)] = {bytes, place};
  }
  void remove(const void* memory) {
    const std::lock_guard lock(mutex_);
    ranges_.erase(address(memory));
  }
  bool contains(const void* memory) const {
    const std::lock_guard lock(mutex_);
    const auto after = ranges_.upper_bound(address(memory));
    if (after == ranges_.begin()) { return false; }
    const auto& [begin, range] = *std::prev(after);
    return address(memory) - begin < range.bytes;
  }
  /// Of what is on the device.
  Index bytes() const {
    const std::lock_guard lock(mutex_);
    Index sum = 0;
    for (const auto& [begin, range] : ranges_) { sum += range.place == Place::device ? range.bytes : 0; }
    return sum;
  }
  static VisibleMemory& all() {
    // Never destroyed: memory in static objects of a program is given back after everything else.
    static VisibleMemory& memory = *new VisibleMemory;
    return memory;
  }

 private:
  static std::uintptr_t address(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory); }
  struct Range {
    Index bytes;
    Place place;
  };
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, Range> ranges_;
};

/// Device memory that `cuda::memory_taken` counts, not cleared.
inline void* take_counted_device_memory(Index bytes) {
  void* const memory = runtime::take_device_memory(bytes);
  VisibleMemory::all().add(memory, bytes);
  return memory;
}
inline void give_back_counted_device_memory(void* memory) {
  if (memory == nullptr) { return; }
  VisibleMemory::all().remove(memory);
  runtime::give_back_device_memory(memory);
}

}  // namespace radapt::detail::gpu
