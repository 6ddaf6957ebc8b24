#pragma once
/// Dropping single elements at random.
#include <array>
#include <cstdint>

#include "radapt/core/context.hpp"
#include "radapt/core/view.hpp"

namespace radapt::op {

/// Which elements one dropout layer keeps in one pass: a function of (seed, step, site, sample, element of the sample),
/// so that a batch in parts, and a pass that is run twice, drop the same ones.
struct ElementDraws {
  double probability = 0.0;  ///< of dropping, 0 <= p < 1; 0 keeps everything
  std::uint64_t seed = 0, step = 0;
  std::uint32_t site = 0;
  Index first_sequence = 0;  ///< position of the batch's first sequence among all

  /// The words of elements 4 group .. 4 group + 3 of a sequence, counted through its rows.
  constexpr std::array<std::uint32_t, 4> words(Index sequence, Index group) const {
    return philox({static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(first_sequence + sequence), site,
                   static_cast<std::uint32_t>(step)},
                  {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  }
  constexpr bool keeps(std::uint32_t word) const { return static_cast<double>(unit_interval(word)) >= probability; }
};

/// y = x / (1 - p) where an element is kept, 0 where it is dropped. Its own derivative: dx from dy.
template <class T>
struct dropout {
  static constexpr auto name = "dropout";
  using element = T;
  Matrix<T> y;        // (rows, width)
  Matrix<const T> x;  // (rows, width)
  ElementDraws draws{};
  Sequences sequences{};  // of the rows
};

}  // namespace radapt::op
