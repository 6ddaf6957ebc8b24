#pragma once
/// The memory of a step: one block, a stack of what the backward pass keeps, and a two-ended stack of scratch.
#include <string>

#include "radapt/core/error.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/core/view.hpp"

namespace radapt {

/// Neighbouring edges of a chain of layers take turns at the two ends of the scratch memory: when a layer is done, its
/// input is the last thing on one end and can be released while its output, on the other end, stays.
enum class End : bool { low, high };
constexpr End other(End e) { return e == End::low ? End::high : End::low; }

/// Takes all its memory once. Running out is a mistake in a plan, never a reason to allocate.
class Arena {
 public:
  /// Tops of the stacks at one moment; releasing a mark frees everything that was taken after it.
  struct Mark {
    Index kept, low, high;
  };

  Arena() = default;
  Arena(Index kept_bytes, Index scratch_bytes) { reserve(kept_bytes, scratch_bytes); }

  /// Replaces the memory. Everything taken before is gone; may only be called between steps. Between the stacks lie
  /// `shared` bytes that belong to either: to scratch at first.
  void reserve(Index kept_bytes, Index scratch_bytes, const MemorySource& source = host_memory,
               Index shared_bytes = 0) {
    kept_capacity_ = padded(kept_bytes);
    scratch_capacity_ = padded(scratch_bytes);
    shared_ = padded(shared_bytes);
    shared_is_kept_ = false;
    if (shared_ > kept_capacity_ || shared_ > scratch_capacity_) {
      out_of_memory("shared", shared_, kept_capacity_ < scratch_capacity_ ? kept_capacity_ : scratch_capacity_);
    }
    memory_ = Buffer<char>(capacity(), source);
    reset();
  }
  /// Says whose the shared bytes are from here on: the top of the kept stack, or the low end of scratch. Nothing may be
  /// taken from scratch at that moment, nor kept in bytes that are given away.
  void give_shared_to_kept() { give_shared(true); }
  void give_shared_to_scratch() { give_shared(false); }
  /// Empties both stacks and forgets the peaks.
  void reset() { kept_ = low_ = high_ = kept_peak_ = scratch_peak_ = 0; }

  Mark mark() const { return {kept_, low_, high_}; }
  void release(const Mark& m) {
    kept_ = m.kept;
    release_scratch(m);
  }
  void release_scratch(const Mark& m) {
    low_ = m.low;
    high_ = m.high;
  }
  /// Frees everything taken at one end after the mark, and leaves the other end alone.
  void release_scratch(const Mark& m, End end) { (end == End::low ? low_ : high_) = end == End::low ? m.low : m.high; }

  /// Memory that lives until the mark before it is released: what the backward pass reads.
  template <class T, class X>
  View<T, X> keep(Index rows, Index width = X::width) {
    const Index bytes = padded(rows * width * sizeof(T));
    if (kept_ + bytes > kept_end()) { out_of_memory("kept", kept_ + bytes, kept_end()); }
    T* data = reinterpret_cast<T*>(memory_.data() + kept_);
    kept_ += bytes;
    kept_peak_ = kept_ > kept_peak_ ? kept_ : kept_peak_;
    return {data, rows, width};
  }

  /// Memory for intermediate results, taken from one end of the scratch region.
  template <class T, class X>
  View<T, X> scratch(Index rows, End end = End::low, Index width = X::width) {
    const Index bytes = padded(rows * width * sizeof(T)), room = capacity() - kept_end();
    if (low_ + high_ + bytes > room) { out_of_memory("scratch", low_ + high_ + bytes, room); }
    char* region = memory_.data() + kept_end();
    char* data = end == End::low ? region + low_ : region + room - high_ - bytes;
    (end == End::low ? low_ : high_) += bytes;
    scratch_peak_ = low_ + high_ > scratch_peak_ ? low_ + high_ : scratch_peak_;
    return {reinterpret_cast<T*>(data), rows, width};
  }

  Index kept_peak() const { return kept_peak_; }
  Index scratch_peak() const { return scratch_peak_; }
  Index capacity() const { return kept_capacity_ + scratch_capacity_ - shared_; }

 private:
  /// Where the kept stack has to end, and scratch begins.
  Index kept_end() const { return shared_is_kept_ ? kept_capacity_ : kept_capacity_ - shared_; }
  void give_shared(bool to_kept) {
    if (to_kept == shared_is_kept_ || shared_ == 0) { return; }
    if (low_ + high_ != 0) { out_of_memory("scratch", low_ + high_, 0); }
    if (!to_kept && kept_ > kept_capacity_ - shared_) { out_of_memory("kept", kept_, kept_capacity_ - shared_); }
    shared_is_kept_ = to_kept;
  }
  [[noreturn]] static void out_of_memory(const char* region, Index wanted, Index capacity) {
    fail(
        {.what = std::string("arena: the ") + region + " region is full",
         .expected = "at most " + std::to_string(capacity) + " bytes, as planned",
         .got = std::to_string(wanted) + " bytes",
         .hint = "The batch is larger than the one that was planned for, or a layer takes memory that its plan omits"});
  }

  Buffer<char> memory_;
  Index kept_capacity_ = 0, scratch_capacity_ = 0, shared_ = 0;
  bool shared_is_kept_ = false;
  Index kept_ = 0, low_ = 0, high_ = 0;
  Index kept_peak_ = 0, scratch_peak_ = 0;
};

}  // namespace radapt
