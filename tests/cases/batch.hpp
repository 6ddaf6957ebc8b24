#pragma once
/// Batches of sequences and masks over their rows, as values: what the sizes of a case are made of.
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "radapt/core/sequences.hpp"
#include "radapt/op/kept_rows.hpp"

namespace radapt_test {

using radapt::Index;

/// The data of a `Sequences`: uniform, or packed at the lengths that its offsets give.
struct Batch {
  Index count = 0, length = 0;
  std::vector<Index> offsets{}, pooled{};

  /// Points into this batch.
  radapt::Sequences view() const {
    return {.count = count,
            .uniform_length = length,
            .offsets = offsets.empty() ? nullptr : offsets.data(),
            .pooled = pooled.empty() ? nullptr : pooled.data()};
  }
  Index rows() const { return view().rows(); }
  std::string title() const {
    return std::to_string(count) + (offsets.empty() ? " uniform" : " packed") + " sequences of at most " +
           std::to_string(view().longest()) + (pooled.empty() ? "" : ", pooled where told");
  }
};
inline Batch uniform(Index count, Index length) { return {.count = count, .length = length}; }
inline Batch packed(std::initializer_list<Index> lengths) {
  Batch b{.count = lengths.size(), .offsets = {0}};
  for (const Index n : lengths) { b.offsets.push_back(b.offsets.back() + n); }
  return b;
}

/// The data of a `KeptRows`. Without entries it keeps every row, or none where it is inverted.
struct Mask {
  Batch batch{};
  radapt::DropGranularity granularity = radapt::DropGranularity::per_sample;
  std::vector<std::uint8_t> entries{};
  bool inverted = false;

  bool keeps_all() const { return view().keeps_all(); }
  /// Points into this mask.
  radapt::op::KeptRows view() const {
    if (entries.empty()) { return {.inverted = inverted}; }
    return {.mask = entries.data(), .granularity = granularity, .sequences = batch.view(), .inverted = inverted};
  }
  std::string title() const {
    if (entries.empty()) { return inverted ? "no rows kept" : "all rows kept"; }
    const char* const names[] = {"samples", "batches", "positions"};
    Index kept = 0;
    for (const std::uint8_t e : entries) { kept += e; }
    return std::to_string(kept) + " of " + std::to_string(entries.size()) + " " + names[static_cast<int>(granularity)] +
           (inverted ? " left out of " : " kept of ") + batch.title();
  }
};

/// Masks of every granularity: all, none and some kept; short and long runs of kept rows; more rows than a panel holds;
/// and the rows that a mask leaves out.
inline std::vector<Mask> masks() {
  using radapt::DropGranularity;
  const Batch batches[] = {packed({3, 1, 7, 2, 5}), packed({40, 3, 50, 33, 1, 45}), uniform(3, 6), packed({1})};
  std::vector<Mask> all;
  for (const Batch& batch : batches) {
    all.push_back({.batch = batch});
    all.push_back({.batch = batch, .inverted = true});
    for (int g = 0; g < 3; ++g) {
      const auto granularity = static_cast<DropGranularity>(g);
      const Index n = radapt::op::mask_entries(granularity, batch.view());
      std::vector<std::uint8_t> two_of_three(n), every_other(n);
      for (Index i = 0; i < n; ++i) {
        two_of_three[i] = i % 3 != 1 ? 1 : 0;
        every_other[i] = i % 2 == 1 ? 1 : 0;
      }
      all.push_back({batch, granularity, std::vector<std::uint8_t>(n, 1)});
      all.push_back({batch, granularity, std::vector<std::uint8_t>(n, 0)});
      all.push_back({batch, granularity, two_of_three});
      all.push_back({batch, granularity, two_of_three, true});
      all.push_back({batch, granularity, every_other});
    }
  }
  std::vector<std::uint8_t> four_of_five(900);
  for (Index i = 0; i < four_of_five.size(); ++i) { four_of_five[i] = i % 5 != 2 ? 1 : 0; }
  all.push_back({uniform(2, 900), DropGranularity::per_token_position, four_of_five});
  all.push_back({uniform(2, 900), DropGranularity::per_token_position, four_of_five, true});
  return all;
}

}  // namespace radapt_test
