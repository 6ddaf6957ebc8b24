#pragma once
/// Owned memory of the host: 64-byte aligned, zeroed, never resized.
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

/// A fixed block of T, zero at first. Move only.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index elements) : size_(elements) {
    if (elements == 0) { return; }
    data_ = static_cast<T*>(::operator new (padded(elements * sizeof(T)), std::align_val_t{alignment}));
    std::memset(static_cast<void*>(data_), 0, padded(elements * sizeof(T)));
  }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { ::operator delete (data_, std::align_val_t{alignment}); }

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
  T* data_ = nullptr;
  Index size_ = 0;
};

}  // namespace radapt
