/// What Progress writes to a terminal and to a log, with a clock and a sink of the test's own.
#include "radapt/train/progress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using radapt::Progress;
using radapt::ProgressOptions;
using Mode = ProgressOptions::Mode;

/// A clock that stands still until told otherwise, and everything that was written.
struct Bench {
  double time = 100;
  int looks = 0;
  std::vector<std::string> written;

  ProgressOptions options(Mode mode, std::size_t columns = 80) {
    ProgressOptions options;
    options.mode = mode;
    options.columns = columns;
    options.clock = [this] {
      ++looks;
      return time;
    };
    options.sink = [this](std::string_view text) { written.emplace_back(text); };
    return options;
  }
};

}  // namespace

TEST_CASE("a terminal line shows label, share, bar, counts, rate, times and extra text") {
  Bench bench;
  {
    Progress progress("train", 1000, bench.options(Mode::terminal));
    REQUIRE(bench.written.size() == 1);
    CHECK(bench.written[0] == "\rtrain   0% [>                   ] 0/1000  0:00\x1b[K");
    bench.time += 12;
    progress.advance(420, "loss 1.234");
    REQUIRE(bench.written.size() == 2);
    // 420 steps in 12 s are 35 per second, and the 580 that are left take 16.6 s more.
    CHECK(bench.written[1] == "\rtrain  42% [========>           ] 420/1000  35.0/s  0:12<0:17  loss 1.234\x1b[K");
    bench.time += 18;
    progress.update(1000);
    CHECK(bench.written[2] == "\rtrain 100% [====================] 1000/1000  33.3/s  0:30  loss 1.234\x1b[K");
    CHECK(progress.current() == 1000);
    CHECK(progress.total() == 1000);
  }
  REQUIRE(bench.written.size() == 5);
  CHECK(bench.written[4] == "\n");
}

TEST_CASE("a terminal is redrawn ten times a second at most") {
  Bench bench;
  Progress progress("steps", 100000, bench.options(Mode::terminal));
  for (int i = 0; i < 1000; ++i) {
    bench.time += 0.001;
    progress.advance();
  }
  // One second: the first drawing and one per 0.1 s, of which rounding of the sum of steps may lose or win one.
  CHECK(bench.written.size() >= 10);
  CHECK(bench.written.size() <= 12);
}

TEST_CASE("the share is rounded down, so that 100% means done") {
  Bench bench;
  Progress progress("x", 1000, bench.options(Mode::terminal));
  bench.time += 1;
  progress.update(999);
  CHECK(bench.written.back().find(" 99% [===================>]") != std::string::npos);
}

TEST_CASE("a log gets one line per tenth, whatever the total") {
  for (const std::uint64_t total : {1U, 2U, 3U, 7U, 10U, 11U, 19U, 99U, 100U, 101U, 999U, 1000U, 12345U}) {
    CAPTURE(total);
    Bench bench;
    std::vector<std::uint64_t> counts;
    {
      Progress progress("epoch", total, bench.options(Mode::log));
      for (std::uint64_t i = 1; i <= total; ++i) {
        bench.time += 0.5;
        const std::size_t before = bench.written.size();
        progress.advance();
        if (bench.written.size() != before) { counts.push_back(i); }
      }
    }
    CHECK(bench.written.size() == std::min<std::uint64_t>(total, 10));
    CHECK(counts.size() == bench.written.size());  // the end adds no line when the last step has written one
    if (total >= 10) {
      for (std::size_t k = 0; k < counts.size(); ++k) {
        const std::uint64_t tenths = k + 1;
        CHECK(counts[k] * 10 >= total * tenths);       // not before that tenth is done
        CHECK((counts[k] - 1) * 10 < total * tenths);  // and not a step later
      }
    }
    CHECK(bench.written.back().substr(0, 11) == "epoch 100% ");
    for (const std::string& line : bench.written) {
      CHECK(line.find('\n') == line.size() - 1);
      CHECK(line.find('\r') == std::string::npos);
      CHECK(line.find('\x1b') == std::string::npos);
    }
  }
}

TEST_CASE("a log line reads like the terminal line without its bar") {
  Bench bench;
  Progress progress("train", 200, bench.options(Mode::log));
  bench.time += 8;
  progress.update(20, "loss 2.5");
  REQUIRE(bench.written.size() == 1);
  CHECK(bench.written[0] == "train  10% 20/200  2.50/s  0:08<1:12  loss 2.5\n");
}

TEST_CASE("a jump over several tenths writes one line") {
  Bench bench;
  Progress progress("jump", 100, bench.options(Mode::log));
  progress.update(75);
  CHECK(bench.written.size() == 1);
  progress.update(79);
  CHECK(bench.written.size() == 1);
  progress.update(80);
  CHECK(bench.written.size() == 2);
}

TEST_CASE("totals near the end of the number range do not overflow") {
  Bench bench;
  constexpr std::uint64_t total = UINT64_MAX;
  Progress progress("far", total, bench.options(Mode::log));
  progress.update(total / 10);  // 2^64 - 1 is no multiple of ten: a tenth is one more
  CHECK(bench.written.empty());
  progress.update(total / 10 + 1);
  CHECK(bench.written.size() == 1);
  progress.update(total);
  CHECK(bench.written.size() == 2);
  CHECK(bench.written.back().substr(0, 9) == "far 100% ");
}

TEST_CASE("with an unknown total a log gets a line each time the count has doubled") {
  Bench bench;
  {
    Progress progress("files", 0, bench.options(Mode::log));
    for (int i = 0; i < 20; ++i) {
      bench.time += 1;
      progress.advance();
    }
  }
  REQUIRE(bench.written.size() == 6);  // 1, 2, 4, 8, 16, and 20 at the end
  CHECK(bench.written[3] == "files 8  1.00/s  0:08\n");
  CHECK(bench.written[5] == "files 20  1.00/s  0:20\n");
}

TEST_CASE("quiet writes nothing and never looks at the clock") {
  Bench bench;
  {
    Progress progress("train", 10, bench.options(Mode::quiet));
    for (int i = 0; i < 10; ++i) { progress.advance(1, "loss"); }
    CHECK(progress.current() == 10);
  }
  CHECK(bench.written.empty());
  CHECK(bench.looks == 0);
}

TEST_CASE("a log does not look at the clock between its lines") {
  Bench bench;
  Progress progress("train", 1000, bench.options(Mode::log));
  const int before = bench.looks;
  for (int i = 0; i < 99; ++i) { progress.advance(); }
  CHECK(bench.looks == before);
  progress.advance();
  CHECK(bench.looks == before + 1);
}

TEST_CASE("a sink without a mode is a log") {
  Bench bench;
  {
    Progress progress("train", 1, bench.options(Mode::automatic));
    progress.advance();
  }
  REQUIRE(bench.written.size() == 1);
  CHECK(bench.written[0] == "train 100% 1/1  0:00\n");
}

TEST_CASE("a loop that is left early shows where it stopped") {
  Bench bench;
  {
    Progress progress("train", 100, bench.options(Mode::log));
    progress.update(37);
    progress.update(38);
  }
  REQUIRE(bench.written.size() == 2);
  CHECK(bench.written[1].find("38/100") != std::string::npos);
}

TEST_CASE("finish ends the line once, and later calls do nothing") {
  Bench bench;
  {
    Progress progress("train", 4, bench.options(Mode::terminal));
    progress.update(4);
    progress.finish("saved");
    const std::size_t count = bench.written.size();
    CHECK(bench.written.back() == "\n");
    CHECK(bench.written[count - 2].find("  saved\x1b[K") != std::string::npos);
    bench.time += 5;
    progress.advance();
    progress.finish();
    CHECK(bench.written.size() == count);
  }
  CHECK(bench.written.back() == "\n");
}

TEST_CASE("more steps than announced are counted, with a full bar and no remaining time") {
  Bench bench;
  Progress progress("train", 4, bench.options(Mode::terminal));
  bench.time += 2;
  progress.update(6);
  CHECK(bench.written.back() == "\rtrain 100% [====================] 6/4  3.00/s  0:02\x1b[K");
}

TEST_CASE("control characters in label and extra text cannot break the line") {
  Bench bench;
  Progress progress("a\nb", 2, bench.options(Mode::log));
  progress.advance(1, "c\rd\x1b[2J\te\x7F");
  REQUIRE(bench.written.size() == 1);
  CHECK(bench.written[0] == "a b  50% 1/2  0:00  c d [2J e \n");
}

TEST_CASE("a terminal line is cut to the width, between characters") {
  Bench bench;
  // Labels of 1, 2, ... bytes before two-byte characters: wherever the cut falls, no character may be halved.
  for (std::size_t ahead = 0; ahead < 8; ++ahead) {
    std::string label(ahead, 'x');
    for (int i = 0; i < 30; ++i) { label += "\xC3\xA9"; }
    bench.written.clear();
    Progress progress(label, 10, bench.options(Mode::terminal, 24));
    const std::string& line = bench.written.at(0);
    const std::string shown = line.substr(1, line.size() - 4);  // without the return and the erasing of the rest
    std::size_t characters = 0;
    for (const char letter : shown) { characters += (static_cast<unsigned char>(letter) & 0xC0U) != 0x80U ? 1U : 0U; }
    CHECK(characters == 23);
    CHECK(static_cast<unsigned char>(shown.back()) == 0xA9);
  }
}

TEST_CASE("a sink that throws does not end the program when the object goes") {
  ProgressOptions options;
  options.mode = Mode::log;
  options.sink = [](std::string_view) { throw std::runtime_error("disk full"); };
  CHECK_NOTHROW([&] { Progress progress("train", 10, options); }());
  Progress progress("train", 10, options);
  CHECK_THROWS_AS(progress.advance(10), std::runtime_error);
}

TEST_CASE("durations are written like clock times") {
  CHECK(Progress::clock_text(0) == "0:00");
  CHECK(Progress::clock_text(7.4) == "0:07");
  CHECK(Progress::clock_text(59.6) == "1:00");
  CHECK(Progress::clock_text(754) == "12:34");
  CHECK(Progress::clock_text(3723) == "1:02:03");
  CHECK(Progress::clock_text(360000) == "100:00:00");
  CHECK(Progress::clock_text(-1) == "?");
  CHECK(Progress::clock_text(1e300) == "?");
}
