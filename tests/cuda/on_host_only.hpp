#pragma once
/// Memory that the stand-in for a GPU hides from kernels.
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <new>
#include <vector>

#include "radapt/core/memory.hpp"

namespace radapt_test::on_host {

using radapt::Index;

/// Memory of the host that kernels must not touch: not readable while a kernel runs. Tests put operands there to see
/// that a launch exchanges them for device memory.
class HostOnly {
 public:
  static void* take(Index bytes) {
    const Index whole = (bytes + page - 1) / page * page;
    void* const memory = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) { throw std::bad_alloc(); }
    ranges().push_back({memory, whole});
    return memory;
  }
  static void give_back(void* memory) noexcept {
    if (memory == nullptr) { return; }
    auto& all = ranges();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Range& r) { return r.memory == memory; });
    munmap(memory, found->bytes);
    *found = all.back();
    all.pop_back();
  }
  static void protect(bool hidden) {
    for (const Range& r : ranges()) { mprotect(r.memory, r.bytes, hidden ? PROT_NONE : PROT_READ | PROT_WRITE); }
  }
  static constexpr radapt::MemorySource source{.take = take, .give_back = give_back};

 private:
  static constexpr Index page = 4096;
  struct Range {
    void* memory;
    Index bytes;
  };
  static std::vector<Range>& ranges() {
    static std::vector<Range> all;
    return all;
  }
};

/// Memory of the device alone: not readable while nothing of the device runs.
class DeviceOnly {
 public:
  /// Zeroed.
  static void* take(Index bytes) {
    const Index whole = (bytes + page - 1) / page * page;
    const int access = open_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE;
    void* const memory = mmap(nullptr, whole, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) { throw std::bad_alloc(); }
    ranges()[memory] = whole;
    return memory;
  }
  static void give_back(void* memory) {
    const auto found = ranges().find(memory);
    munmap(memory, found->second);
    ranges().erase(found);
  }
  /// While something of the device runs.
  class Running {
   public:
    Running() {
      if (open_++ == 0) { protect(PROT_READ | PROT_WRITE); }
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
      if (--open_ == 0) { protect(PROT_NONE); }
    }
  };

 private:
  static constexpr Index page = 4096;
  static void protect(int access) {
    for (const auto& [memory, bytes] : ranges()) { mprotect(memory, bytes, access); }
  }
  static std::map<void*, Index>& ranges() {
    static auto& all = *new std::map<void*, Index>;  // memory of static objects is given back after everything else
    return all;
  }
  static inline int open_ = 0;
};

}  // namespace radapt_test::on_host
