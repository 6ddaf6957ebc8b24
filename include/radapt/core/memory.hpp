#pragma once
/// Owned memory, 64-byte aligned, zeroed, never resized: of the host, or shared with a device.
// AddressSanitizer watches the edges of what comes from the heap.
#if defined(__SANITIZE_ADDRESS__)
#define RADAPT_WATCHES_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RADAPT_WATCHES_HEAP 1
#endif
#endif
#if defined(__unix__) && !defined(RADAPT_WATCHES_HEAP)
#define RADAPT_HAS_PAGES 1
#include <sys/mman.h>
#endif

#include <concepts>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "radapt/core/shape.hpp"

namespace radapt {

/// Every tensor begins on such a boundary: a cache line, and the widest vector register of a CPU.
inline constexpr Index alignment = 64;

/// `bytes` rounded up to the next aligned size.
constexpr Index padded(Index bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// `elements` of type T rounded up so that what follows is aligned.
template <class T>
constexpr Index padded_elements(Index elements) {
  return padded(elements * sizeof(T)) / sizeof(T);
}

/// Where the memory of a Buffer comes from. Whatever the source, the host can read and write it.
struct MemorySource {
  void* (*take)(Index bytes);                ///< zeroed, aligned; bytes > 0
  void (*give_back)(void* memory) noexcept;  ///< null does nothing
};

/// The heap; large buffers take pages of the system.
inline constexpr MemorySource host_memory{
    .take =
        [](Index bytes) {
          void* const memory = ::operator new (padded(bytes), std::align_val_t{alignment});
          std::memset(memory, 0, padded(bytes));
          return memory;
        },
    .give_back = [](void* memory) noexcept { ::operator delete (memory, std::align_val_t{alignment}); }};

namespace detail {

/// Bytes from which a Buffer on the heap takes pages of the system in its place.
inline constexpr Index least_paged_bytes = Index{1} << 22;

#ifdef RADAPT_HAS_PAGES
inline void* take_pages(Index bytes) {
  const Index all = alignment + padded(bytes);  // how many they are stands in front of them
  void* const pages = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) { throw std::bad_alloc{}; }
  *static_cast<Index*>(pages) = all;
  return static_cast<char*>(pages) + alignment;
}
inline void give_back_pages(void* memory) noexcept {
  if (memory == nullptr) { return; }
  void* const pages = static_cast<char*>(memory) - alignment;
  (void)munmap(pages, *static_cast<Index*>(pages));
}
/// Pages that the system hands out zeroed when they are first touched: near the thread that touches them, which is one
/// that works in them, and never where a plan allows for more than a batch needs.
inline constexpr MemorySource large_host_memory{.take = take_pages, .give_back = give_back_pages};
#else
inline constexpr const MemorySource& large_host_memory = host_memory;
#endif

}  // namespace detail

/// Whether a backend's kernels work in memory of their own.
template <class Backend>
concept has_own_memory = requires {
  { Backend::memory() } -> std::convertible_to<const MemorySource&>;
};
/// The memory in which a backend's kernels work best.
template <class Backend>
const MemorySource& memory_of() {
  if constexpr (has_own_memory<Backend>) {
    return Backend::memory();
  } else {
    return host_memory;
  }
}

/// The memory for what the host writes anew before every pass and a backend's kernels read, such as pixels.
template <class Backend>
const MemorySource& input_memory_of() {
  if constexpr (requires { Backend::input_memory(); }) {
    return Backend::input_memory();
  } else {
    return host_memory;
  }
}

/// A fixed block of T, zero at first. Move only.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index elements, const MemorySource& source = host_memory) : source_(&source), size_(elements) {
    const Index bytes = elements * sizeof(T);
    if (source_ == &host_memory && bytes >= detail::least_paged_bytes) { source_ = &detail::large_host_memory; }
    if (bytes != 0) { data_ = static_cast<T*>(source_->take(bytes)); }
  }
  Buffer(Buffer&& other) noexcept
      : source_(other.source_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(source_, other.source_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { source_->give_back(data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](Index i) { return data_[i]; }
  const T& operator[](Index i) const { return data_[i]; }

 private:
  const MemorySource* source_ = &host_memory;
  T* data_ = nullptr;
  Index size_ = 0;
};

}  // namespace radapt
