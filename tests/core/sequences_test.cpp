/// How rows form sequences, and which of them a mask keeps.
#include "radapt/core/sequences.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "radapt/op/kept_rows.hpp"
#include "radapt/op/pool.hpp"

namespace {

using radapt::DropGranularity;
using radapt::Index;
using radapt::Pooling;
using radapt::Sequences;
using Runs = std::vector<std::pair<Index, Index>>;

constexpr Index offsets[] = {0, 3, 4, 8};
constexpr Sequences packed{.count = 3, .offsets = offsets};
constexpr Sequences uniform{.count = 3, .uniform_length = 5};

static_assert(packed.rows() == 8 && packed.longest() == 4 && packed.begin(2) == 4 && packed.length(1) == 1);
static_assert(uniform.rows() == 15 && uniform.longest() == 5 && uniform.begin(2) == 10 && uniform.length(1) == 5);
static_assert(packed.extent().tokens == 8 && packed.extent().sequences == 3);
static_assert(Sequences{}.rows() == 0 && Sequences{}.longest() == 0);
static_assert(radapt::Tokens<7>::rows(packed.extent()) == 8 && radapt::Samples<7>::rows(packed.extent()) == 3);

constexpr Index chosen[] = {2, 0, 1};
constexpr Sequences told{.count = 3, .offsets = offsets, .pooled = chosen};
static_assert(radapt::op::pooled_row(packed, Pooling::first, 2) == 4);
static_assert(radapt::op::pooled_row(packed, Pooling::last, 2) == 7);
static_assert(radapt::op::pooled_row(told, Pooling::first, 0) == 2);
static_assert(radapt::op::pooled_row(told, Pooling::last, 2) == 5);

static_assert(radapt::op::mask_entries(DropGranularity::per_sample, packed) == 3);
static_assert(radapt::op::mask_entries(DropGranularity::per_token_position, packed) == 4);
static_assert(radapt::op::mask_entries(DropGranularity::per_batch, packed) == 1);

Runs runs_of(const radapt::op::KeptRows& kept) {
  Runs runs;
  radapt::op::for_each_kept_run(kept, packed.rows(), [&](Index begin, Index end) { runs.emplace_back(begin, end); });
  return runs;
}
radapt::op::KeptRows kept_by(DropGranularity granularity, const std::vector<std::uint8_t>& mask) {
  return {mask.empty() ? nullptr : mask.data(), granularity, packed};
}
Runs kept_runs(DropGranularity granularity, const std::vector<std::uint8_t>& mask) {
  return runs_of(kept_by(granularity, mask));
}
Runs dropped_runs(DropGranularity granularity, const std::vector<std::uint8_t>& mask) {
  return runs_of(radapt::op::dropped_rows(kept_by(granularity, mask)));
}

TEST_CASE("without a mask every row is kept, in one run") {
  CHECK(kept_runs(DropGranularity::per_sample, {}) == Runs{{0, 8}});
  int calls = 0;
  radapt::op::for_each_kept_run({}, 0, [&](Index, Index) { ++calls; });
  CHECK(calls == 0);
}
TEST_CASE("whole sequences: neighbours are joined") {
  CHECK(kept_runs(DropGranularity::per_sample, {1, 1, 1}) == Runs{{0, 8}});
  CHECK(kept_runs(DropGranularity::per_sample, {1, 0, 1}) == Runs{{0, 3}, {4, 8}});
  CHECK(kept_runs(DropGranularity::per_sample, {0, 1, 1}) == Runs{{3, 8}});
  CHECK(kept_runs(DropGranularity::per_sample, {0, 0, 0}).empty());
}
TEST_CASE("positions: the same in every sequence that is long enough") {
  CHECK(kept_runs(DropGranularity::per_token_position, {1, 0, 1, 0}) == Runs{{0, 1}, {2, 5}, {6, 7}});
  CHECK(kept_runs(DropGranularity::per_token_position, {0, 0, 0, 1}) == Runs{{7, 8}});
  CHECK(kept_runs(DropGranularity::per_token_position, {1, 1, 1, 1}) == Runs{{0, 8}});
}
TEST_CASE("the whole batch or nothing of it") {
  CHECK(kept_runs(DropGranularity::per_batch, {1}) == Runs{{0, 8}});
  CHECK(kept_runs(DropGranularity::per_batch, {0}).empty());
}
TEST_CASE("dropped rows are those that are not kept") {
  CHECK(dropped_runs(DropGranularity::per_sample, {}).empty());
  CHECK(dropped_runs(DropGranularity::per_sample, {1, 1, 1}).empty());
  CHECK(dropped_runs(DropGranularity::per_sample, {1, 0, 1}) == Runs{{3, 4}});
  CHECK(dropped_runs(DropGranularity::per_sample, {0, 0, 1}) == Runs{{0, 4}});
  CHECK(dropped_runs(DropGranularity::per_token_position, {1, 0, 1, 0}) == Runs{{1, 2}, {5, 6}, {7, 8}});
  CHECK(dropped_runs(DropGranularity::per_batch, {0}) == Runs{{0, 8}});
  CHECK(dropped_runs(DropGranularity::per_batch, {1}).empty());
  const std::vector<std::uint8_t> mask{1, 0, 1};
  const auto kept = kept_by(DropGranularity::per_sample, mask);
  CHECK(!kept.keeps_all());
  CHECK(kept_by(DropGranularity::per_sample, {}).keeps_all());
  CHECK(!radapt::op::dropped_rows(kept_by(DropGranularity::per_sample, {})).keeps_all());
  CHECK(runs_of(radapt::op::dropped_rows(radapt::op::dropped_rows(kept))) == runs_of(kept));
}

}  // namespace
