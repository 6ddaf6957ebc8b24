#pragma once
/// A small random number generator with a fixed algorithm, so that a seed means the same numbers everywhere.
#include <cstddef>
#include <cstdint>
#include <string>

#include "radapt/core/error.hpp"

namespace example {

/// Scrambles 64 bits so that neighbouring inputs give unrelated outputs (the finaliser of SplitMix64, Steele et al.
/// 2014).
constexpr std::uint64_t scramble(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9U;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBU;
  return bits ^ (bits >> 31);
}

/// SplitMix64: number n of a stream is a pure function of (key, n).
///
/// The distributions of the standard library are left out on purpose: their algorithms are not fixed by the standard.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}

  /// The generator of item `index` of stream `stream`: any item can be made alone, in any order, on any thread.
  static constexpr Random of(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
    return Random(scramble(scramble(scramble(seed + step) + stream * step + step) + index * step + step));
  }

  /// 64 random bits.
  constexpr std::uint64_t next() { return scramble(state_ += step); }

  /// A whole number in [0, count). `count` is 1 .. 2^32; the bias is at most count / 2^32.
  constexpr std::size_t below(std::size_t count) {
    if (count == 0 || count > (std::uint64_t{1} << 32)) {
      radapt::fail({.what = "drawing a random number",
                    .expected = "a count in 1 .. 2^32",
                    .got = std::to_string(count),
                    .hint = "Choose among at least one thing"});
    }
    return static_cast<std::size_t>(((next() >> 32) * std::uint64_t{count}) >> 32);
  }

  /// A whole number in [low, high], both included. The range has at most 2^32 members.
  constexpr std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::size_t>(high - low + 1)));
  }

  /// True with the given probability (0 .. 1, otherwise an error). Takes one number from the stream in every case.
  constexpr bool chance(double probability) {
    if (!(probability >= 0 && probability <= 1)) {
      radapt::fail({.what = "a chance",
                    .expected = "a probability in 0 .. 1",
                    .got = std::to_string(probability),
                    .hint = "Shares are fractions, not per cent"});
    }
    // 53 bits and a product by a power of two: both exact, so the comparison cannot differ between machines.
    return static_cast<double>(next() >> 11) < probability * 9007199254740992.0;
  }

 private:
  static constexpr std::uint64_t step = 0x9E3779B97F4A7C15U;
  std::uint64_t state_;
};

}  // namespace example
