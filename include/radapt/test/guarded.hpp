#pragma once
/// Memory that shows who wrote beside it, and an arena that shows who read before writing.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "radapt/core/arena.hpp"
#include "radapt/core/memory.hpp"

namespace radapt::test {

/// n elements of a trivial type between two guards, aligned as the trainer's buffers are.
template <class T>
class Guarded {
 public:
  explicit Guarded(Index n, T fill = T{}) : memory_(n * sizeof(T) + 2 * guard), size_(n) {
    std::memset(memory_.data(), pattern, memory_.size());
    std::fill(begin(), end(), fill);
  }
  T* data() { return reinterpret_cast<T*>(memory_.data() + guard); }
  const T* data() const { return reinterpret_cast<const T*>(memory_.data() + guard); }
  Index size() const { return size_; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](Index i) { return data()[i]; }
  const T& operator[](Index i) const { return data()[i]; }

  /// Whether nothing beside the elements was written.
  bool guards_are_intact() const {
    const unsigned char* const behind = memory_.data() + memory_.size() - guard;
    const auto intact = [](unsigned char byte) { return byte == pattern; };
    return std::all_of(memory_.data(), memory_.data() + guard, intact) && std::all_of(behind, behind + guard, intact);
  }

 private:
  static constexpr Index guard = alignment;
  static constexpr unsigned char pattern = 0xA5;
  Buffer<unsigned char> memory_;
  Index size_;
};

/// Room for what a plan asks for and more, every bit of it set: NaN in float and double. Whatever a layer reads there
/// before it has written it shows in its results, and a layer that takes more than was planned shows in the peaks.
class PoisonedArena {
 public:
  /// Gives the arena new memory. `arena` must outlive this object.
  PoisonedArena(Arena& arena, Index kept, Index scratch)
      : arena_(&arena), kept_bytes_(padded(2 * kept + spare)), scratch_bytes_(padded(4 * scratch + spare)) {
    arena.reserve(kept_bytes_, scratch_bytes_);
    kept_ = arena.keep<unsigned char, Tokens<1>>(kept_bytes_).data;
    scratch_ = arena.scratch<unsigned char, Tokens<1>>(scratch_bytes_).data;
    poison();
  }
  /// As at first: for the next pass.
  void poison() {
    std::memset(kept_, all_bits, kept_bytes_);
    std::memset(scratch_, all_bits, scratch_bytes_);
    arena_->reset();
  }
  /// Whether nothing was written behind what was taken. Scratch is taken from both ends: what lies further inside than
  /// the peak was not taken from either.
  bool rest_is_untouched() const {
    const Index used = arena_->scratch_peak();
    return untouched(kept_, arena_->kept_peak(), kept_bytes_) &&
           (2 * used > scratch_bytes_ || untouched(scratch_, used, scratch_bytes_ - used));
  }

 private:
  static constexpr Index spare = 4096;
  static constexpr unsigned char all_bits = 0xFF;
  static bool untouched(const unsigned char* bytes, Index begin, Index end) {
    return std::all_of(bytes + begin, bytes + end, [](unsigned char byte) { return byte == all_bits; });
  }

  Arena* arena_;
  Index kept_bytes_, scratch_bytes_;
  unsigned char *kept_ = nullptr, *scratch_ = nullptr;
};

}  // namespace radapt::test
