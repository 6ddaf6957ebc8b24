#pragma once
/// What the tests of the tokenizer share: files of their own, and errors by their message.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "radapt/core/error.hpp"
#include "support/shared_data.hpp"

namespace radapt_test {

using Ids = std::vector<std::int64_t>;

/// A folder of its own that is gone when the test ends.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int made = 0;
    const std::string name = "radapt_tokenizer_" + std::to_string(::getpid()) + "_" + std::to_string(made++);
    path_ = std::filesystem::temp_directory_path() / name;
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The message of the radapt::error that `action` throws; empty if it throws none. Other exceptions fail the test.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const radapt::error& problem) { return problem.what(); }
  return {};
}

/// Checks that `action` throws radapt::error with `part` in its message.
inline void check_error(const std::string& part, const std::function<void()>& action) {
  const std::string message = error_of(action);
  CAPTURE(part);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::filesystem::path bpe_file() { return shared_data("data/clip_bpe/bpe_simple_vocab_16e6.txt.gz"); }
inline std::filesystem::path vocab_json() { return shared_data("data/clip_bpe/vocab.json"); }
inline std::filesystem::path merges_txt() { return shared_data("data/clip_bpe/merges.txt"); }

}  // namespace radapt_test
