#pragma once
/// Memory that was promised to be constant, packed copies of it, and what may be given back once one exists.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "radapt/core/memory.hpp"

namespace radapt::detail::cpu {

/// Stretches of floats that stay as they are, where they are, for as long as this lives.
class ConstantMemory {
 public:
  /// `in_file`: the pages are those of a mapped file, so that the system can read them again.
  void promise(const float* begin, Index elements, bool in_file) {
    const Range range{begin, begin + elements, in_file};
    const auto place = std::upper_bound(ranges_.begin(), ranges_.end(), range.begin, in_front);
    ranges_.insert(place, range);
  }

  bool covers(const float* weight) const { return find(weight) != nullptr; }

  /// Says that a matrix has been copied and is not read any more, for now: its pages go back where they come from a
  /// file. They return when somebody reads them, so this is never wrong.
  void copied(const float* weight, Index elements) const {
    const Range* const range = find(weight);
    if (range == nullptr || !range->in_file) { return; }
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<std::uintptr_t>(weight) + page - 1) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(weight + elements) / page * page;
    // Advice: where the system does not take it, the pages stay.
    if (begin < end) { ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED); }
  }

 private:
  struct Range {
    const float *begin, *end;
    bool in_file;
  };
  static bool in_front(const float* weight, const Range& range) { return weight < range.begin; }

  const Range* find(const float* weight) const {
    const auto behind = std::upper_bound(ranges_.begin(), ranges_.end(), weight, in_front);
    if (behind == ranges_.begin()) { return nullptr; }
    const Range& range = *(behind - 1);
    return weight < range.end ? &range : nullptr;
  }

  std::vector<Range> ranges_;  // by their begin; they do not overlap
};

/// Copies of constant matrices in the layout that products multiply by, as elements of T. Each is made when it is first
/// multiplied by in a direction, so that a text tower which never runs takes no memory.
template <class T>
class PackedCopies {
 public:
  /// The copy of the right factor (inner, columns) at `weight`, which is (columns, inner) there if it is `turned`. It
  /// has `elements`, and take(to) makes it.
  template <class F>
  const T* get(const float* weight, Index inner, Index columns, bool turned, Index elements,
               const ConstantMemory& memory, F&& take) {
    for (const Copy& c : copies_) {
      if (c.weight == weight && c.turned == turned && c.inner == inner && c.columns == columns) {
        return c.packed.data();
      }
    }
    Buffer<T> packed(elements);
    take(packed.data());
    memory.copied(weight, inner * columns);
    return copies_.emplace_back(Copy{weight, inner, columns, turned, std::move(packed)}).packed.data();
  }

 private:
  struct Copy {
    const float* weight;
    Index inner, columns;
    bool turned;
    Buffer<T> packed;
  };
  std::vector<Copy> copies_;
};

}  // namespace radapt::detail::cpu
