#pragma once
/// Which captions are equal, id for id: what is run once where a caption stands several times.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "radapt/clip/captions.hpp"

namespace radapt {

/// The distinct captions among some, in the order in which they first appear, and for each caption its place among
/// them. Time is linear in the tokens. Memory is kept from one `find` to the next.
class DistinctCaptions {
 public:
  DistinctCaptions() = default;
  /// Takes the memory for up to that many captions and tokens now: `find` on no more allocates nothing.
  DistinctCaptions(Index captions, Index tokens) {
    distinct_.reserve(captions, tokens);
    places_.reserve(captions);
    slots_.reserve(slots_for(captions));
  }

  /// Looks at captions first .. first + count - 1 of `all`.
  void find(const Captions& all, Index first, Index count) {
    distinct_.clear();
    places_.clear();
    slots_.assign(slots_for(count), free_slot);
    for (Index i = first; i < first + count; ++i) {
      const std::span<const std::int32_t> ids = all.caption(i);
      Index& slot = slot_of(ids);
      if (slot == free_slot) {
        slot = distinct_.size();
        distinct_.add(all, i);
      }
      places_.push_back(slot);
    }
  }
  void find(const Captions& all) { find(all, 0, all.size()); }

  /// How many there are.
  Index size() const { return distinct_.size(); }
  const Captions& captions() const { return distinct_; }
  /// For each caption that `find` looked at, its place among the distinct ones: never behind its own.
  std::span<const Index> places() const { return places_; }

 private:
  static constexpr Index free_slot = ~Index{0};
  /// A power of two, at least twice as many as there are captions: chains of used slots stay short.
  static constexpr Index slots_for(Index captions) {
    Index n = 2;
    while (n < 2 * captions) { n *= 2; }
    return n;
  }
  /// The slot that holds the place of an equal caption, or a free one.
  Index& slot_of(std::span<const std::int32_t> ids) {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a over ids, then its upper bits into the lower ones
    for (const std::int32_t id : ids) { hash = (hash ^ static_cast<std::uint32_t>(id)) * 0x100000001b3u; }
    hash ^= hash >> 32;
    const Index mask = slots_.size() - 1;
    for (Index s = static_cast<Index>(hash) & mask;; s = (s + 1) & mask) {
      if (slots_[s] == free_slot) { return slots_[s]; }
      const std::span<const std::int32_t> other = distinct_.caption(slots_[s]);
      if (std::equal(ids.begin(), ids.end(), other.begin(), other.end())) { return slots_[s]; }
    }
  }

  Captions distinct_{~Index{0}, ~Index{0}};  // what is added was checked before
  std::vector<Index> places_;
  std::vector<Index> slots_;  ///< places of distinct captions by hash
};

}  // namespace radapt
