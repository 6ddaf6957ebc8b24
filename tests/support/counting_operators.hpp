#pragma once
/// The operators new and delete of an executable, and its calloc, which count allocations. One source of an executable
/// includes it.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "support/allocations.hpp"

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
// Of std::stable_sort: the default one would call the first, AddressSanitizer's does not.
[[gnu::noinline]] void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  count_allocation(__builtin_return_address(0));
  return std::malloc(n == 0 ? 1 : n);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

// In the place of the C library's: large buffers come from there. AddressSanitizer has a malloc of its own, whose free
// takes nothing else back.
#if defined(__SANITIZE_ADDRESS__)
#define RADAPT_TEST_SANITIZED_HEAP
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RADAPT_TEST_SANITIZED_HEAP
#endif
#endif
extern "C" void* __libc_calloc(std::size_t n, std::size_t size) noexcept;
extern "C" [[gnu::noinline]] void* calloc(std::size_t n, std::size_t size) noexcept {
  count_allocation(__builtin_return_address(0));
#ifdef RADAPT_TEST_SANITIZED_HEAP
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(n, size, &bytes)) { return nullptr; }
  void* const memory = std::malloc(bytes);
  return memory == nullptr ? nullptr : std::memset(memory, 0, bytes);
#else
  return __libc_calloc(n, size);
#endif
}
