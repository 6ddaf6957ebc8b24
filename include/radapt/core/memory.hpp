#pragma once
/// Owned memory, 64-byte aligned, zeroed, never resized: of the host, or shared with a device.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
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

/// Where the memory of a Buffer comes from. The host can read and write it, unless it is that of device_memory_of.
struct MemorySource {
  void* (*take)(Index bytes);                ///< zeroed, aligned; bytes > 0
  void (*give_back)(void* memory) noexcept;  ///< null does nothing
};

/// The heap.
inline constexpr MemorySource host_memory{
    .take =
        [](Index bytes) {
          void* const memory = ::operator new (padded(bytes), std::align_val_t{alignment});
          std::memset(memory, 0, padded(bytes));
          return memory;
        },
    .give_back = [](void* memory) noexcept { ::operator delete (memory, std::align_val_t{alignment}); }};

namespace detail {

/// Bytes from which a Buffer takes its memory here.
inline constexpr Index least_large_bytes = Index{1} << 22;

inline void* take_large_memory(Index bytes) {
  void* const taken = std::calloc(padded(bytes) + 2 * alignment, 1);
  if (taken == nullptr) { throw std::bad_alloc{}; }
  char* const first = static_cast<char*>(taken);
  const Index to_boundary = alignment - reinterpret_cast<std::uintptr_t>(first) % alignment;
  char* const memory = first + to_boundary + alignment;
  std::memcpy(memory - alignment, &taken, sizeof taken);  // for the way back
  return memory;
}
inline void give_back_large_memory(void* memory) noexcept {
  if (memory == nullptr) { return; }
  void* taken = nullptr;
  std::memcpy(&taken, static_cast<char*>(memory) - alignment, sizeof taken);
  std::free(taken);
}
/// The heap, for buffers so large that the C library asks the system for pages. It zeroes those when they are first
/// touched: near the thread that touches them, which is one that works in them, and never where a plan allows for
/// more than a batch needs.
inline constexpr MemorySource large_host_memory{.take = take_large_memory, .give_back = give_back_large_memory};

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

/// The memory for what kernels alone write and read, such as the activations of a step: the host must not touch it.
template <class Backend>
const MemorySource& device_memory_of() {
  if constexpr (requires { Backend::device_memory(); }) {
    return Backend::device_memory();
  } else {
    return memory_of<Backend>();
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
    if (source_ == &host_memory && bytes >= detail::least_large_bytes) { source_ = &detail::large_host_memory; }
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

namespace detail {
/// x = 0, and pages of a large buffer that nobody has written yet stay the system's: reading them takes no memory.
template <class T>
void set_to_zero(T* x, Index n) {
  static constexpr char zeros[4096]{};
  char* const bytes = reinterpret_cast<char*>(x);
  const Index end = n * sizeof(T);
  for (Index begin = 0; begin < end; begin += sizeof zeros) {
    const Index size = end - begin < sizeof zeros ? end - begin : sizeof zeros;
    if (std::memcmp(bytes + begin, zeros, size) != 0) { std::memset(bytes + begin, 0, size); }
  }
}
}  // namespace detail

}  // namespace radapt
