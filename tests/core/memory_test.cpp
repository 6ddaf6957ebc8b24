/// Buffers: zeroed, aligned, and where their memory comes from.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <utility>

#include "radapt/core/memory.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define WATCHES_HEAP
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHES_HEAP
#endif
#endif

namespace {

using radapt::Buffer;
using radapt::Index;

constexpr Index large = radapt::detail::least_large_bytes;

/// Bytes of this process that are in memory.
[[maybe_unused]] Index resident_bytes() {
  std::ifstream file("/proc/self/statm");
  Index all = 0, resident = 0;
  file >> all >> resident;
  REQUIRE(file);
  return resident * static_cast<Index>(sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("buffers of any size are zero, aligned and can be written to the last byte") {
  for (const Index n : {Index{1}, Index{64}, large - 1, large, large + 1, 3 * large + 7}) {
    CAPTURE(n);
    for (int again = 0; again < 2; ++again) {  // the second time memory that was written may come back
      Buffer<char> buffer(n);
      CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % radapt::alignment == 0);
      CHECK(std::all_of(buffer.begin(), buffer.end(), [](char c) { return c == 0; }));
      std::fill(buffer.begin(), buffer.end(), char{1});
    }
  }
}

TEST_CASE("large and small buffers take each other's places") {
  Buffer<char> a(16), b(large + 16);
  a[15] = 1;
  b[large + 15] = 2;
  char* const in_a = a.data();
  a = std::move(b);
  CHECK(a.size() == large + 16);
  CHECK(a[large + 15] == 2);
  CHECK(b.data() == in_a);
  Buffer<char> c(std::move(a));
  CHECK(c[large + 15] == 2);
  CHECK(a.data() == nullptr);
  c = Buffer<char>(1);
  CHECK(c.size() == 1);
}

TEST_CASE("setting to zero writes where there is something, and takes no memory where there is nothing") {
  Buffer<float> small(3000);
  std::fill(small.begin(), small.end(), 1.0F);
  small[0] = small[2999] = -0.0F;
  radapt::detail::set_to_zero(small.data() + 1, 2998);
  CHECK(std::signbit(small[0]));
  CHECK(std::signbit(small[2999]));
  CHECK(std::all_of(small.begin() + 1, small.end() - 1, [](float x) { return x == 0 && !std::signbit(x); }));
#ifndef WATCHES_HEAP
  const Index before = resident_bytes();
  Buffer<char> buffer(16 * large);
  buffer[9 * large] = 1;
  radapt::detail::set_to_zero(buffer.data(), buffer.size());
  CHECK(buffer[9 * large] == 0);
  CHECK(resident_bytes() < before + 4 * large);
#endif
}

TEST_CASE("a large buffer takes no memory before it is touched, and gives all of it back") {
#ifndef WATCHES_HEAP
  constexpr Index size = 16 * large, slack = size / 4;
  const Index before = resident_bytes();
  {
    Buffer<char> buffer(size);
    CHECK(resident_bytes() < before + slack);
    std::fill(buffer.begin(), buffer.end(), char{1});
    CHECK(resident_bytes() > before + size - slack);
  }
  CHECK(resident_bytes() < before + slack);
#else
  MESSAGE("not run: AddressSanitizer keeps what was given back");
#endif
}
