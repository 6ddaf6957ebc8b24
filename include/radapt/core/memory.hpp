#pragma once
/// Owned memory, 64-byte aligned, zeroed, never resized: of the host, or shared with a device.
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
  void* (*take)(Index bytes);               ///< zeroed, aligned; bytes > 0
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
    if (elements != 0) { data_ = static_cast<T*>(source.take(elements * sizeof(T))); }
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
