#pragma once
/// Names of shards as WebDataset writes them: `train-{000000..000012}.tar`, `{a,b}.tar`, sources joined by `::`.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/io/quoted_name.hpp"

namespace radapt {

namespace detail {

/// More names than this are a slip of the keyboard: {0..10000000000}.
inline constexpr Index most_shard_names = 1'000'000;

inline void too_many_shards(std::string_view pattern) {
  fail({.what = "expanding " + quoted_name(pattern),
        .expected = "at most " + std::to_string(most_shard_names) + " names",
        .got = "more",
        .hint = {}});
}

/// The numbers of `000..012` or `0..12..3` as text, padded with zeros to the longer end if one of them is. Empty if
/// `text` is no range.
inline std::vector<std::string> number_range(std::string_view text) {
  std::string_view parts[3];
  Index count = 0;
  while (true) {
    const std::size_t dots = text.find("..");
    if (count == 3) { return {}; }
    parts[count++] = text.substr(0, dots);
    if (dots == std::string_view::npos) { break; }
    text.remove_prefix(dots + 2);
  }
  std::int64_t numbers[3] = {0, 0, 1};
  bool padded = false;
  std::size_t width = 0;
  for (Index i = 0; i < count; ++i) {
    const char* const end = parts[i].data() + parts[i].size();
    const auto [stop, problem] = std::from_chars(parts[i].data(), end, numbers[i]);
    // Eighteen digits and a sign: differences of such numbers stay within 64 bits.
    if (problem != std::errc{} || stop != end || parts[i].size() > 18) { return {}; }
    if (i < 2) {
      const std::string_view digits = parts[i].substr(parts[i].starts_with('-') ? 1 : 0);
      padded = padded || (digits.size() > 1 && digits.front() == '0');
      width = std::max(width, parts[i].size());
    }
  }
  if (count < 2) { return {}; }
  const std::int64_t step = std::max<std::int64_t>(numbers[2] < 0 ? -numbers[2] : numbers[2], 1);
  const bool up = numbers[0] <= numbers[1];
  const std::int64_t span = up ? numbers[1] - numbers[0] : numbers[0] - numbers[1];
  if (static_cast<Index>(span / step) >= most_shard_names) { too_many_shards(text); }
  std::vector<std::string> names;
  for (std::int64_t i = 0; i <= span / step; ++i) {
    const std::int64_t number = numbers[0] + (up ? i : -i) * step;
    std::string digits = std::to_string(number < 0 ? -number : number);
    const std::size_t room = width - std::min<std::size_t>(width, number < 0 ? 1 : 0);
    if (padded && digits.size() < room) { digits.insert(0, room - digits.size(), '0'); }
    names.push_back((number < 0 ? "-" : "") + digits);
  }
  return names;
}

/// The letters of `a..e` or `a..e..2`, up or down; small ones follow capital ones. Empty if `text` is no such range.
inline std::vector<std::string> letter_range(std::string_view text) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  if (text.size() < 4 || text.substr(1, 2) != ".." || (text.size() > 4 && text.substr(4, 2) != "..")) { return {}; }
  const std::size_t first = letters.find(text[0]), last = letters.find(text[3]);
  if (first == std::string_view::npos || last == std::string_view::npos) { return {}; }
  int step = 1;
  if (text.size() > 4) {
    const char* const end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data() + 6, end, step);
    if (problem != std::errc{} || stop != end) { return {}; }
  }
  const int furthest = static_cast<int>(letters.size());
  const auto stride = static_cast<std::size_t>(std::max(std::abs(std::clamp(step, -furthest, furthest)), 1));
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= (first <= last ? last - first : first - last); i += stride) {
    names.emplace_back(1, letters[first <= last ? first + i : first - i]);
  }
  return names;
}

/// Position of the brace that closes the one at `open`, or npos.
inline std::size_t closing_brace(std::string_view text, std::size_t open) {
  Index depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') { ++depth; }
    if (text[i] == '}' && --depth == 0) { return i; }
  }
  return std::string_view::npos;
}

inline std::vector<std::string> expand_braces(std::string_view text) {
  const std::size_t open = text.find('{');
  const std::size_t close = open == std::string_view::npos ? open : closing_brace(text, open);
  if (close == std::string_view::npos) { return {std::string(text)}; }
  const std::string_view inside = text.substr(open + 1, close - open - 1);
  std::vector<std::string> choices;
  Index depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= inside.size(); ++i) {
    if (i < inside.size() && inside[i] == '{') { ++depth; }
    if (i < inside.size() && inside[i] == '}') { --depth; }
    if (i == inside.size() || (inside[i] == ',' && depth == 0)) {
      for (std::string& choice : expand_braces(inside.substr(begin, i - begin))) {
        choices.push_back(std::move(choice));
      }
      begin = i + 1;
      if (i == inside.size() && choices.size() == 1) {
        // Neither a list nor a nested group: a range, or braces that mean themselves.
        auto range = number_range(inside);
        if (range.empty()) { range = letter_range(inside); }
        choices = range.empty() ? std::vector<std::string>{"{" + choices[0] + "}"} : range;
      }
    }
  }
  const std::vector<std::string> rests = expand_braces(text.substr(close + 1));
  if (choices.size() > most_shard_names / rests.size()) { too_many_shards(text); }
  std::vector<std::string> names;
  names.reserve(choices.size() * rests.size());
  for (const std::string& choice : choices) {
    for (const std::string& rest : rests) { names.push_back(std::string(text.substr(0, open)) + choice + rest); }
  }
  return names;
}

}  // namespace detail

/// All names that `pattern` stands for, in its order: braces hold a list `{a,b}`, a range of numbers `{000..012}` (up
/// or down, with a step `{0..12..3}`, padded with zeros where an end is) or of letters `{a..d}`, and may be nested;
/// sources are joined by
/// `::`. Braces around anything else mean themselves, as in a shell. Names are files: an address such as `http://` or a
/// `pipe:` is an error, and so are no name and more than a million.
inline std::vector<std::string> shard_names(std::string_view pattern) {
  std::vector<std::string> names;
  std::string_view rest = pattern;
  while (true) {
    const std::size_t joint = rest.find("::");
    for (std::string& name : detail::expand_braces(rest.substr(0, joint))) {
      if (name.empty() || name.starts_with("pipe:") || name.find("://") != std::string::npos) {
        fail({.what = "expanding " + quoted_name(pattern),
              .expected = "names of files",
              .got = quoted_name(name),
              .hint = "Shards are read from disk; fetch them first"});
      }
      names.push_back(std::move(name));
    }
    if (joint == std::string_view::npos) { return names; }
    rest.remove_prefix(joint + 2);
  }
}

}  // namespace radapt
