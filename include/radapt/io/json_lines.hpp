#pragma once
/// A log of JSON lines: one object per line, each line on disk before the next step begins.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"

namespace radapt {

/// Appends to a .jsonl file; a resumed run goes on in the same file. What a run left of a line that it could not finish
/// becomes a line of its own. Error: a file that begins as no such line does, which would be spoilt.
class JsonLines {
 public:
  explicit JsonLines(const std::filesystem::path& path) : name_(path.string()) {
    if (!may_be_lines(path)) {
      fail({.what = "opening the log '" + name_ + "'",
            .expected = "no file, an empty one, or one of JSON lines",
            .got = "a file that begins otherwise",
            .hint = "Choose another name: lines would be added to it"});
    }
    file_ = std::fopen(name_.c_str(), "ab");
    if (file_ == nullptr) { failed("opening"); }
    if (ends_inside_a_line(path) && std::fputc('\n', file_) == EOF) { failed("writing"); }
  }
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;
  ~JsonLines() { std::fclose(file_); }

  /// Writes one object as one line. Numbers that are not finite become null, as JSON has no other word for them.
  void write(const nlohmann::ordered_json& object) {
    const std::string line = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0) {
      failed("writing");
    }
  }

 private:
  /// Whether it is empty, or its first line begins as an object with a key.
  static bool may_be_lines(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) { return true; }
    std::ifstream file(path, std::ios::binary);
    char begin[2] = {};
    file.read(begin, 2);
    return file.gcount() == 0 || (begin[0] == '{' && (file.gcount() == 1 || begin[1] == '"' || begin[1] == '}'));
  }
  static bool ends_inside_a_line(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file || file.tellg() == 0) { return false; }
    file.seekg(-1, std::ios::end);
    return file.get() != '\n';
  }
  [[noreturn]] void failed(const char* doing) const {
    fail({.what = std::string(doing) + " the log '" + name_ + "'",
          .expected = "a writable file",
          .got = std::strerror(errno),
          .hint = "Check the folder and the free space"});
  }

  std::string name_;
  std::FILE* file_ = nullptr;
};

}  // namespace radapt
