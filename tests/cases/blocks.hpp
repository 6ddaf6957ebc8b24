#pragma once
/// The buffers of one call of a kernel: drawn from a fixed seed, with guards on both sides, and compared in double or
/// as bytes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "cases/batch.hpp"
#include "radapt/core/element.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/core/random.hpp"
#include "support/tolerance.hpp"

namespace radapt_test {

using radapt::Index;

/// Owns the buffers of one call. Two calls that ask for the same buffers in the same order get the same numbers.
class Blocks {
 public:
  enum class Use { read, written };

  explicit Blocks(const radapt::MemorySource& source = radapt::host_memory) : source_(&source) {}
  /// Of calls that are timed at the sizes of large batches: without guards, so that buffers begin where those of a
  /// model do, without copies of what is read, and with few numbers over and over.
  static Blocks for_timing(const radapt::MemorySource& source) {
    Blocks blocks(source);
    blocks.for_timing_ = true;
    return blocks;
  }
  bool is_for_timing() const { return for_timing_; }

  /// From now on all numbers are such that bf16 holds them: every element type gets the same ones.
  void use_numbers_of_bf16() { numbers_of_bf16_ = true; }

  /// n elements that `fill(i)` gives. No elements: a null pointer, which is what an empty batch may hold.
  template <class T, class Fill>
  T* take(Index n, Use use, Fill&& fill) {
    // An odd number of guards: no buffer begins on the boundary of a vector register.
    const Index guard = for_timing_ ? 0 : guard_elements * sizeof(T);
    Block b{radapt::Buffer<unsigned char>{2 * guard + n * sizeof(T), *source_}, {}, guard, n, use, stored_as<T>};
    if (!for_timing_) { std::memset(b.storage.data(), sentinel, b.storage.size()); }
    T* const data = reinterpret_cast<T*>(b.storage.data() + guard);
    for (Index i = 0; i < n; ++i) { data[i] = fill(i); }
    if (use == Use::read && !for_timing_) { b.initial.assign(b.begin(), b.begin() + b.bytes()); }
    blocks_.push_back(std::move(b));
    return n == 0 ? nullptr : data;
  }
  /// n numbers between `low` and `high`. They are rounded to float first: double and float get the same ones.
  template <class T>
  T* drawn(Index n, Use use, double low, double high) {
    radapt::Random random(seed, blocks_.size());
    if (for_timing_) {
      std::vector<T> few(4096);
      for (T& x : few) { x = number<T>(random.uniform(low, high)); }
      return take<T>(n, use, [&](Index i) { return few[i % few.size()]; });
    }
    return take<T>(n, use, [&](Index) { return number<T>(random.uniform(low, high)); });
  }

  /// A number that all element types hold.
  template <class T>
  T number(double value) const {
    const auto rounded = static_cast<float>(value);
    return static_cast<T>(numbers_of_bf16_ ? static_cast<float>(radapt::bf16(rounded)) : rounded);
  }

  /// Largest normalised error of a written buffer against `expected`, or NaN. Infinite if the buffers differ in number
  /// or size.
  double error_against(const Blocks& expected) const {
    return error_against(expected, [](const Block&) { return true; });
  }
  /// The same of those buffers that are not of bf16.
  double error_of_wider_buffers(const Blocks& expected) const {
    return error_against(expected, [](const Block& b) { return b.stored != Stored::bf16; });
  }
  bool same_bits(const Blocks& other) const {
    if (blocks_.size() != other.blocks_.size()) { return false; }
    for (Index b = 0; b < blocks_.size(); ++b) {
      const Block &mine = blocks_[b], &theirs = other.blocks_[b];
      if (mine.bytes() != theirs.bytes() || !std::equal(mine.begin(), mine.begin() + mine.bytes(), theirs.begin())) {
        return false;
      }
    }
    return true;
  }
  /// Whether guards and inputs are as they were.
  bool only_outputs_changed() const {
    for (const Block& b : blocks_) {
      for (Index i = 0; i < b.guard; ++i) {
        if (b.storage[i] != sentinel || b.begin()[b.bytes() + i] != sentinel) { return false; }
      }
      if (b.use == Use::read && !for_timing_ && !std::equal(b.initial.begin(), b.initial.end(), b.begin())) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr Index guard_elements = 17;
  static constexpr unsigned char sentinel = 0xA5;
  static constexpr std::uint64_t seed = 20240924;
  enum class Stored { f32, f64, bf16, byte, other };
  template <class T>
  static constexpr Stored stored_as = std::is_same_v<T, float>          ? Stored::f32
                                      : std::is_same_v<T, double>       ? Stored::f64
                                      : std::is_same_v<T, radapt::bf16> ? Stored::bf16
                                      : sizeof(T) == 1                  ? Stored::byte
                                                                        : Stored::other;

  struct Block {
    radapt::Buffer<unsigned char> storage;  // aligned alike in every run: the order of Eigen's sums depends on it
    std::vector<unsigned char> initial;     // of what is only read
    Index guard, size;
    Use use;
    Stored stored;

    const unsigned char* begin() const { return storage.data() + guard; }
    Index bytes() const { return storage.size() - 2 * guard; }
    std::vector<double> values() const {
      std::vector<double> out(size);
      for (Index i = 0; i < size; ++i) {
        if (stored == Stored::f32) {
          out[i] = static_cast<double>(reinterpret_cast<const float*>(begin())[i]);
        } else if (stored == Stored::f64) {
          out[i] = reinterpret_cast<const double*>(begin())[i];
        } else if (stored == Stored::bf16) {
          out[i] = static_cast<double>(static_cast<float>(reinterpret_cast<const radapt::bf16*>(begin())[i]));
        } else if (stored == Stored::byte) {
          out[i] = static_cast<double>(begin()[i]);
        }
      }
      return out;
    }
  };

  template <class Wanted>
  double error_against(const Blocks& expected, Wanted&& wanted) const {
    if (blocks_.size() != expected.blocks_.size()) { return INFINITY; }
    double worst = 0;
    for (Index b = 0; b < blocks_.size(); ++b) {
      if (blocks_[b].use == Use::read || !wanted(blocks_[b])) { continue; }
      const double e = normalised_error(blocks_[b].values(), expected.blocks_[b].values());
      worst = e > worst || std::isnan(e) ? e : worst;
    }
    return worst;
  }

  const radapt::MemorySource* source_;
  bool numbers_of_bf16_ = false, for_timing_ = false;
  std::vector<Block> blocks_;
};

/// What a case asks for the buffers of an operation on elements T. U is another element type where the operation has
/// one: statistics, sums in double.
template <class T>
class Memory {
 public:
  explicit Memory(Blocks& blocks) : blocks_(&blocks) {}

  /// No result will be looked at: whatever numbers take as long will do.
  bool is_for_timing() const { return blocks_->is_for_timing(); }

  /// Only read.
  template <class U = T>
  U* input(Index n, double low = -1, double high = 1) {
    return blocks_->drawn<U>(n, Blocks::Use::read, low, high);
  }
  /// Read and written, or written in part: begins as numbers that the result must still show.
  template <class U = T>
  U* updated(Index n, double low = -1, double high = 1) {
    return blocks_->drawn<U>(n, Blocks::Use::written, low, high);
  }
  /// Must be written whole: begins as NaN.
  template <class U = T>
  U* output(Index n) {
    return blocks_->take<U>(n, Blocks::Use::written, [](Index) { return static_cast<U>(NAN); });
  }
  /// Parameters and their gradients, and what enters a model from outside: float where T is a 16-bit type.
  auto* parameter(Index n, double low = -1, double high = 1) { return input<radapt::parameter_t<T>>(n, low, high); }
  auto* updated_parameter(Index n, double low = -1, double high = 1) {
    return updated<radapt::parameter_t<T>>(n, low, high);
  }
  /// Only read, with values that the case has computed; rounded to float like the drawn ones.
  template <class U = T>
  U* given(const std::vector<double>& values) {
    return blocks_->take<U>(values.size(), Blocks::Use::read, [&](Index i) { return blocks_->number<U>(values[i]); });
  }
  /// Token ids, labels, masks and positions, copied: a kernel may not write them either.
  template <class Whole>
  const Whole* whole(const std::vector<Whole>& values) {
    return blocks_->take<Whole>(values.size(), Blocks::Use::read, [&](Index i) { return values[i]; });
  }
  radapt::Sequences sequences(const Batch& batch) {
    return {.count = batch.count,
            .uniform_length = batch.length,
            .offsets = batch.offsets.empty() ? nullptr : whole(batch.offsets),
            .pooled = batch.pooled.empty() ? nullptr : whole(batch.pooled)};
  }
  radapt::op::KeptRows kept(const Mask& mask) {
    if (mask.entries.empty()) { return {.inverted = mask.inverted}; }
    return {.mask = whole(mask.entries),
            .granularity = mask.granularity,
            .sequences = sequences(mask.batch),
            .inverted = mask.inverted};
  }

 private:
  Blocks* blocks_;
};

}  // namespace radapt_test
