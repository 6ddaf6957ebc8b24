#pragma once
/// Memory that the stand-in for a GPU hides from kernels.
#include <sys/mman.h>

#include <algorithm>
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

}  // namespace radapt_test::on_host
