/// The operators new and delete of this executable, which count; and that they do.
#include "op/allocations.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>
#include <string_view>
#include <vector>

#include "radapt/core/memory.hpp"

namespace {

using radapt_test::Allocations;

void count_allocation(void* caller) {
  if (!Allocations::counting) { return; }
  Dl_info info{};
  const bool known = dladdr(caller, &info) != 0 && info.dli_fname != nullptr;
  if (!known || std::string_view{info.dli_fname}.find("dnnl") == std::string_view::npos) { ++Allocations::count; }
}

}  // namespace

// They do what the default ones do, and count. Not inlined: g++ would see `free` meet `new` in the caller and warn.
[[gnu::noinline]] void* operator new(std::size_t n) {
  count_allocation(__builtin_return_address(0));
  if (void* p = std::malloc(n == 0 ? 1 : n)) { return p; }
  throw std::bad_alloc{};
}
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t alignment) {
  count_allocation(__builtin_return_address(0));
  const auto a = static_cast<std::size_t>(alignment);
  if (void* p = std::aligned_alloc(a, (n + a - 1) / a * a)) { return p; }
  throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

TEST_CASE("allocations are counted") {
  std::vector<int> v;
  CHECK(Allocations::of([] {}) == 0);
  CHECK(Allocations::of([&] { v.reserve(100); }) == 1);
  CHECK(Allocations::of([] { radapt::Buffer<float> aligned(100); }) == 1);
  v.reserve(1000);
  CHECK(Allocations::of([] {}) == 0);
}
