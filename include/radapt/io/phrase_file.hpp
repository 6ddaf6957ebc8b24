#pragma once
/// Pools of phrases in text files: one phrase on each line.
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "radapt/clip/phrase_pool.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/quoted_name.hpp"

namespace radapt {

/// The phrases of a UTF-8 text file, such as "{} on a beach.". Empty lines and lines that begin with # are passed over,
/// and so are spaces at both ends of a line. Error: a line with `phrase_fault`, by its number, or no phrase at all.
inline PhrasePool load_phrases(const std::filesystem::path& path) {
  constexpr std::uintmax_t most_bytes = 1 << 24;  // no list of phrases is as long as that
  const std::vector<std::byte> bytes = read_file(path, most_bytes);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xef\xbb\xbf")) { text.remove_prefix(3); }  // the byte order mark of UTF-8
  std::vector<std::string> phrases;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    constexpr std::string_view blanks = " \t\r";
    const std::size_t first = line.find_first_not_of(blanks);
    if (first == std::string_view::npos || line[first] == '#') { continue; }
    line = line.substr(first, line.find_last_not_of(blanks) - first + 1);
    if (const std::string_view fault = phrase_fault(line); !fault.empty()) {
      fail({.what = path.string() + ":" + std::to_string(number),
            .expected = "a phrase with {} once, where the caption goes, or a comment that begins with #",
            .got = std::string(fault) + ": " + quoted_name(line),
            .hint = "For example: {} on a beach."});
    }
    phrases.emplace_back(line);
  }
  if (phrases.empty()) {
    fail({.what = "reading '" + path.string() + "'",
          .expected = "at least one phrase",
          .got = "empty lines and comments only",
          .hint = "Write one phrase on each line, for example: {} on a beach."});
  }
  return PhrasePool(std::move(phrases));
}

}  // namespace radapt
