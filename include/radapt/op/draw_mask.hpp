#pragma once
/// Which branches a training step drops.
#include <cstdint>

#include "radapt/core/context.hpp"

namespace radapt::op {

/// mask_i = 1 where the draw of entry `first + i` keeps it, else 0. A pure function of the draws and i, so that a batch
/// in parts and a pass that runs twice drop the same branches. T is the element type of the rows that the mask is for.
template <class T>
struct draw_mask {
  static constexpr auto name = "draw_mask";
  using element = T;
  std::uint8_t* mask = nullptr;  // (entries)
  Index entries = 0;
  Index first = 0;
  MaskDraws draws{};
  const std::uint8_t* given = nullptr;  // (entries) taken as they are in place of draws, 0 or not; null draws
};

}  // namespace radapt::op
