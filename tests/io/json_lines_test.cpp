/// The log of JSON lines: one object per line, on disk at once, and continued when it is opened again.
#include "radapt/io/json_lines.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("every object is one line, in the order of its fields, and on disk before the next") {
  const radapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  radapt::JsonLines log(path);
  CHECK(content(path).empty());
  log.write({{"step", 0}, {"loss", 1.5}, {"lr", 1e-05}});
  CHECK(content(path) == "{\"step\":0,\"loss\":1.5,\"lr\":1e-05}\n");
  log.write({{"step", 1}, {"name", "two\nlines"}, {"list", {1, 2}}});
  CHECK(content(path) ==
        "{\"step\":0,\"loss\":1.5,\"lr\":1e-05}\n{\"step\":1,\"name\":\"two\\nlines\",\"list\":[1,2]}\n");
}

TEST_CASE("numbers survive the log exactly, and those that are not finite become null") {
  const radapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  const std::vector<double> values{0.1, 1.0 / 3.0, 5e-324, -1.7976931348623157e308, 123456789.125};
  {
    radapt::JsonLines log(path);
    log.write({{"values", values}});
    log.write({{"nan", std::numeric_limits<double>::quiet_NaN()}, {"inf", -std::numeric_limits<double>::infinity()}});
  }
  std::ifstream file(path);
  std::string first, second, none;
  std::getline(file, first);
  std::getline(file, second);
  CHECK(nlohmann::json::parse(first).at("values").get<std::vector<double>>() == values);
  CHECK(second == "{\"nan\":null,\"inf\":null}");
  CHECK_FALSE(std::getline(file, none));
}

TEST_CASE("a log that is opened again goes on behind what is there") {
  const radapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  for (int run = 0; run < 2; ++run) { radapt::JsonLines(path).write({{"run", run}}); }
  CHECK(content(path) == "{\"run\":0}\n{\"run\":1}\n");
}

TEST_CASE("what a run left of a line becomes a line of its own") {
  const radapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  std::ofstream(path) << "{\"run\":0}\n{\"ru";
  radapt::JsonLines(path).write({{"run", 1}});
  CHECK(content(path) == "{\"run\":0}\n{\"ru\n{\"run\":1}\n");
}

TEST_CASE("text that is no UTF-8 does not stop a run") {
  const radapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "run.jsonl";
  radapt::JsonLines(path).write({{"file", "caf\xe9.jpg"}});
  CHECK(content(path) == "{\"file\":\"caf\xef\xbf\xbd.jpg\"}\n");  // U+FFFD in its place
}

TEST_CASE("a file of something else is not added to") {
  const radapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  for (const std::string text : {"[\"cat\", \"dog\"]", "<!doctype html>", "{\n  \"pretty\": 1\n}"}) {
    std::ofstream(path) << text;
    CHECK_THROWS_WITH_AS(radapt::JsonLines{path}, doctest::Contains("a file that begins otherwise"), radapt::error);
    CHECK(content(path) == text);
  }
}

TEST_CASE("a log that cannot be written is one clear error") {
  const radapt_test::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(radapt::JsonLines(folder.path() / "absent" / "run.jsonl"),
                       doctest::Contains("opening the log '"), radapt::error);
  CHECK_THROWS_WITH_AS(radapt::JsonLines{folder.path()}, doctest::Contains("opening the log '"), radapt::error);
  if (std::filesystem::exists("/dev/full")) {  // Linux: a device on which every write fails for want of space
    radapt::JsonLines log("/dev/full");
    CHECK_THROWS_WITH_AS(log.write({{"step", 0}}), doctest::Contains("writing the log '/dev/full'"), radapt::error);
  }
}
