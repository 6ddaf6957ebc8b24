/// The memory of a step: two stacks, two ends, peaks, and the sentence when it is full.
#include "radapt/core/arena.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>

namespace {

using radapt::Arena;
using radapt::Buffer;
using radapt::End;
using radapt::Index;
using Row = radapt::Tokens<4>;  // 16 bytes of floats

Index address(const void* p) { return static_cast<Index>(reinterpret_cast<std::uintptr_t>(p)); }

static_assert(radapt::padded(0) == 0 && radapt::padded(1) == 64 && radapt::padded(64) == 64 &&
              radapt::padded(65) == 128);
static_assert(radapt::padded_elements<float>(1) == 16 && radapt::padded_elements<double>(9) == 16);
static_assert(radapt::other(End::low) == End::high && radapt::other(End::high) == End::low);

TEST_CASE("a buffer is aligned and zero, and moves with its memory") {
  Buffer<float> first(5);
  CHECK(address(first.data()) % radapt::alignment == 0);
  for (const float x : first) { CHECK(x == 0); }
  first[3] = 7;
  float* const data = first.data();
  Buffer<float> second(std::move(first));
  CHECK(second.data() == data);
  CHECK(second[3] == 7);
  Buffer<float> third;
  CHECK(third.size() == 0);
  third = std::move(second);
  CHECK(third.data() == data);
  CHECK(third.size() == 5);
}

TEST_CASE("kept memory is a stack") {
  Arena arena(1024, 0);
  const auto a = arena.keep<float, Row>(1);
  CHECK(a.rows == 1);
  CHECK(a.width == 4);
  const auto before = arena.mark();
  const auto b = arena.keep<float, Row>(5);
  CHECK(address(b.data) - address(a.data) == 64);  // 16 bytes, padded
  CHECK(arena.kept_peak() == 64 + 128);
  arena.release(before);
  CHECK(arena.keep<float, Row>(1).data == b.data);
  CHECK(arena.kept_peak() == 64 + 128);  // the peak stays
  arena.reset();
  CHECK(arena.kept_peak() == 0);
  CHECK(arena.keep<float, Row>(1).data == a.data);
}

TEST_CASE("scratch is taken from both ends, and one end is released while the other stays") {
  Arena arena(0, 512);
  const auto before_low = arena.mark();
  const auto low = arena.scratch<float, Row>(4);
  const auto before_high = arena.mark();
  const auto high = arena.scratch<double, Row>(4, End::high);
  CHECK(address(high.data) - address(low.data) == 512 - 128);
  CHECK(arena.scratch_peak() == 64 + 128);

  arena.release_scratch(before_low, End::low);
  CHECK(arena.scratch<float, Row>(2).data == low.data);
  arena.release_scratch(before_high, End::high);
  CHECK(arena.scratch<double, Row>(4, End::high).data == high.data);
  CHECK(arena.scratch_peak() == 64 + 128);

  arena.release_scratch(before_low);
  const auto all = arena.scratch<float, Row>(32);
  CHECK(all.data == low.data);
  CHECK(arena.scratch_peak() == 512);
}

TEST_CASE("a width that only the data knows is given with the rows") {
  Arena arena(0, 256);
  const auto v = arena.scratch<float, radapt::Samples<radapt::dynamic>>(3, End::low, 5);
  CHECK(v.width == 5);
  CHECK(v.size() == 15);
}

TEST_CASE("running out is one sentence with the bytes") {
  Arena arena(100, 100);  // 128 each
  CHECK(arena.capacity() == 256);
  arena.keep<float, Row>(8);
  CHECK_THROWS_WITH_AS((arena.keep<float, Row>(1)),
                       doctest::Contains("radapt: arena: the kept region is full: expected at most 128 bytes, as "
                                         "planned, got 192 bytes"),
                       radapt::error);
  arena.scratch<float, Row>(4);
  CHECK_THROWS_WITH_AS((arena.scratch<float, Row>(5, End::high)), doctest::Contains("the scratch region is full"),
                       radapt::error);
  arena.scratch<float, Row>(4, End::high);
  CHECK(arena.scratch_peak() == 128);
  arena.reserve(64, 64);
  CHECK(arena.kept_peak() == 0);
  CHECK(arena.capacity() == 128);
}

}  // namespace

TEST_CASE("bytes between the stacks are the kept stack's or scratch's") {
  Arena arena;
  arena.reserve(256, 256, radapt::host_memory, 128);
  CHECK(arena.capacity() == 384);
  const auto begin = arena.mark();
  const auto kept = arena.keep<float, Row>(8);  // 128 bytes: all there is now
  CHECK_THROWS_WITH_AS((arena.keep<float, Row>(1)), doctest::Contains("at most 128 bytes"), radapt::error);
  const auto low = arena.scratch<float, Row>(16);
  CHECK(address(low.data) == address(kept.data) + 128);
  CHECK_THROWS_AS(arena.give_shared_to_kept(), radapt::error);  // something lies there
  arena.release_scratch(begin);

  arena.give_shared_to_kept();
  const auto more = arena.keep<float, Row>(8);
  CHECK(address(more.data) == address(low.data));
  const auto above = arena.scratch<float, Row>(4);
  CHECK(address(above.data) == address(more.data) + 128);
  CHECK(address(arena.scratch<float, Row>(4, End::high).data) == address(above.data) + 64);
  CHECK_THROWS_WITH_AS((arena.scratch<float, Row>(1)), doctest::Contains("at most 128 bytes"), radapt::error);
  arena.release_scratch(begin);
  CHECK_THROWS_AS(arena.give_shared_to_scratch(), radapt::error);  // what was kept there is still wanted
  arena.release(begin);
  arena.give_shared_to_scratch();
  CHECK(address(arena.scratch<float, Row>(16).data) == address(low.data));
  CHECK(arena.kept_peak() == 256);
  CHECK(arena.scratch_peak() == 256);
  CHECK_THROWS_AS(arena.reserve(64, 256, radapt::host_memory, 128), radapt::error);  // more than one of them has
}
