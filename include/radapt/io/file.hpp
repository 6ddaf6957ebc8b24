#pragma once
/// A whole file as bytes in memory.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "radapt/core/error.hpp"

namespace radapt {

/// All bytes of the regular file `path`. Fails for anything else, and for a file of more than `most_bytes`.
/// For files of moderate size, whose bytes must stay as they are while they are parsed: unlike with a mapping, nobody
/// can shorten or change them meanwhile.
inline std::vector<std::byte> read_file(const std::filesystem::path& path,
                                        std::uintmax_t most_bytes = std::uintmax_t{1} << 32) {
  const std::string what = "reading '" + path.string() + "'";
  std::error_code problem;
  const auto status = std::filesystem::status(path, problem);
  if (!std::filesystem::exists(status)) {
    fail({.what = what, .expected = "a file", .got = "nothing of that name", .hint = {}});
  }
  if (!std::filesystem::is_regular_file(status)) {
    fail({.what = what,
          .expected = "a file",
          .got = std::filesystem::is_directory(status) ? "a folder" : "a device",
          .hint = {}});
  }
  const std::uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem) { fail({.what = what, .expected = {}, .got = problem.message(), .hint = {}}); }
  if (size > most_bytes) {
    fail({.what = what,
          .expected = "at most " + std::to_string(most_bytes) + " bytes",
          .got = std::to_string(size),
          .hint = {}});
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  std::ifstream stream(path, std::ios::binary);
  if (!stream) { fail({.what = what, .expected = "a readable file", .got = std::strerror(errno), .hint = {}}); }
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (static_cast<std::uintmax_t>(stream.gcount()) != size) {
    fail({.what = what,
          .expected = std::to_string(size) + " bytes",
          .got = std::to_string(stream.gcount()),
          .hint = "The file shrank while it was read, or the disk failed."});
  }
  return bytes;
}

}  // namespace radapt
