#pragma once
/// Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011). A number is a function of key and counter, so
/// a training step is a pure function of (seed, step), whatever the batch is split into and however many threads run
/// it.
#include <array>
#include <cmath>
#include <cstdint>

namespace radapt {

/// Ten rounds of Philox on a 128-bit counter under a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A word in [0, 1): its upper 24 bits, so that the value is exact in f32.
constexpr float unit_interval(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

/// A stream of numbers for initialisation, shuffling and augmentation: counter (position, stream) under a seed.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  constexpr std::uint32_t word() {
    if (used_ == 4) {
      block_ = philox({low(position_), high(position_), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
      ++position_;
      used_ = 0;
    }
    return block_[used_++];
  }
  /// Uniform in [0, 1).
  constexpr float uniform() { return unit_interval(word()); }
  constexpr double uniform(double from, double to) { return from + (to - from) * uniform(); }
  /// Uniform in 0 .. bound-1; the bias of the multiplication is below bound / 2^32.
  constexpr std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((std::uint64_t{word()} * bound) >> 32);
  }
  /// Standard normal, by Box and Muller's transform.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  static constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  static constexpr std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

  std::uint64_t seed_, stream_, position_ = 0;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace radapt
