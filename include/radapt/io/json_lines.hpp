#pragma once
/// A log of JSON lines: one object per line, each line on disk before the next step begins.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"

namespace radapt {

/// Appends to a .jsonl file; a resumed run goes on in the same file. What a run left of a line that it could not finish
/// becomes a line of its own.
class JsonLines {
 public:
  explicit JsonLines(const std::filesystem::path& path) : name_(path.string()), file_(std::fopen(name_.c_str(), "ab")) {
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
  std::FILE* file_;
};

}  // namespace radapt
