#pragma once
/// Memory that a kernel works in, cut into pieces.
#include "radapt/core/memory.hpp"

namespace radapt::detail::cpu {

/// Memory of one task, handed out piece by piece; without memory it counts.
class Pieces {
 public:
  explicit Pieces(char* data = nullptr) : data_(data) {}
  template <class T>
  T* take(Index n) {
    T* const piece = data_ == nullptr ? nullptr : reinterpret_cast<T*>(data_ + bytes_);
    bytes_ += padded(n * sizeof(T));
    return piece;
  }
  Index bytes() const { return bytes_; }

 private:
  char* data_;
  Index bytes_ = 0;
};

}  // namespace radapt::detail::cpu
