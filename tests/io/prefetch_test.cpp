/// Inputs that are made ahead, on a backend that reads the host's memory and on one that copies beside its launches.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "radapt/backend/reference/all.hpp"
#include "radapt/io/prefetch.hpp"

namespace {

/// Copies at once, so that only the order of calls is under test.
struct Copies : radapt::reference {
  class InputCopy {
   public:
    explicit InputCopy(Copies&) {}
    void begin(void* to, const void* from, radapt::Index bytes) { std::memcpy(to, from, bytes); }
    void precede_launches() {}
    void finish() {}
  };
};
static_assert(radapt::copies_beside_launches<Copies>);

}  // namespace

TEST_CASE_TEMPLATE("prefetch: every input is made once, in order, and handed out as it was made", Backend,
                   radapt::reference, Copies) {
  radapt::Context<Backend> context;
  for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{7}}) {
    CAPTURE(count);
    std::vector<std::uint64_t> made;
    radapt::Prefetch<Backend> inputs(context, 5, count, [&](std::uint64_t number, std::span<float> room) {
      made.push_back(number);
      REQUIRE(room.size() == 5);
      std::fill(room.begin(), room.end(), static_cast<float>(number));
    });
    CHECK(made.empty());
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::span<const float> input = inputs.next();
      REQUIRE(input.size() == 5);
      CHECK(std::all_of(input.begin(), input.end(), [&](float x) { return x == static_cast<float>(i); }));
    }
    CHECK_THROWS_WITH_AS(inputs.next(), doctest::Contains(("at most " + std::to_string(count) + " inputs").c_str()),
                         radapt::error);
    REQUIRE(made.size() == count);
    for (std::uint64_t i = 0; i < count; ++i) { CHECK(made[i] == i); }
  }
}

TEST_CASE_TEMPLATE("prefetch: an input that was handed out and what belongs to it stay while the next ones are made",
                   Backend, radapt::reference, Copies) {
  radapt::Context<Backend> context;
  using Inputs = radapt::Prefetch<Backend>;
  std::vector<std::uint64_t> labels(Inputs::alive);
  Inputs inputs(context, 3, 40, [&](std::uint64_t number, std::span<float> room) {
    labels[number % Inputs::alive] = number;
    std::fill(room.begin(), room.end(), static_cast<float>(number));
  });
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::span<const float> input = inputs.next();
    if (i % 8 == 0) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }  // what is made ahead is made
    CHECK(input[0] == static_cast<float>(i));
    CHECK(labels[i % Inputs::alive] == i);
  }
}

TEST_CASE_TEMPLATE("prefetch: an error of what makes inputs comes out of next, once, and ends the row", Backend,
                   radapt::reference, Copies) {
  radapt::Context<Backend> context;
  radapt::Prefetch<Backend> inputs(context, 1, 9, [](std::uint64_t number, std::span<float>) {
    if (number == 4) { throw std::runtime_error("no such image"); }
  });
  const auto go_on = [&] {
    for (int i = 0; i < 9; ++i) { inputs.next(); }
  };
  CHECK_THROWS_WITH_AS(go_on(), "no such image", std::runtime_error);
  CHECK_THROWS_WITH_AS(inputs.next(), doctest::Contains("an error in the one before"), radapt::error);
}
