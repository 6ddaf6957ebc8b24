/// Inputs on their way to a backend that reads the host's memory.
#include <doctest/doctest.h>

#include <algorithm>

#include "radapt/backend/reference/all.hpp"
#include "radapt/core/input_queue.hpp"

TEST_CASE("an input queue hands out what was sent, in order, and says what it cannot do") {
  radapt::Context<radapt::reference> context;
  radapt::InputQueue<radapt::reference, double> queue(context, 3);
  const auto send = [&](double value, radapt::Index elements) {
    const auto room = queue.room();
    CHECK(room.size() == 3);
    std::fill(room.begin(), room.end(), value);
    queue.send(elements);
  };
  const auto says = [](auto&& call, const char* message) {
    CHECK_THROWS_WITH_AS(call(), doctest::Contains(message), radapt::error);
  };
  says([&] { queue.receive(); }, "input queue: receive: expected an input that was sent");
  says([&] { queue.send(4); }, "at most 3 elements");
  send(1.0, 3);
  for (int i = 2; i < 6; ++i) {
    send(i, static_cast<radapt::Index>(i % 3 + 1));
    says([&] { queue.room(); }, "at most one input that was sent and not received");
    says([&] { queue.send(1); }, "at most one input that was sent and not received");
    const auto x = queue.receive();
    CHECK(x.size() == static_cast<radapt::Index>(i == 2 ? 3 : (i - 1) % 3 + 1));
    CHECK(std::all_of(x.begin(), x.end(), [&](double v) { return v == i - 1; }));
  }
}
