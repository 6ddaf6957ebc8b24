#pragma once
/// Names that a misspelt name may have meant.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/io/quoted_name.hpp"

namespace radapt {

/// Number of single-character insertions, deletions and replacements between two names (Levenshtein).
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) { row[j] = j; }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// Up to three of `names` that resemble `wanted`, best first, quoted and joined by commas; empty if none does. A name
/// resembles another if at most a third of it differs, or if one ends with the other after a dot (a lost prefix).
inline std::string near_names(std::string_view wanted, const std::vector<std::string>& names) {
  // Only the way to an error message: long names and the tail of huge lists are not worth comparing.
  constexpr std::size_t longest_name = 200;
  constexpr std::size_t most_names = 5000;
  const auto extends = [](std::string_view longer, std::string_view shorter) {
    return longer.size() > shorter.size() && longer.ends_with(shorter) &&
           longer[longer.size() - shorter.size() - 1] == '.';
  };
  std::vector<std::pair<std::size_t, std::string_view>> close;
  if (wanted.size() > longest_name) { return {}; }
  for (std::size_t i = 0; i < std::min(names.size(), most_names); ++i) {
    const std::string_view name = names[i];
    if (name.size() > longest_name) { continue; }
    if (extends(name, wanted) || extends(wanted, name)) {
      close.emplace_back(0, name);
    } else if (const std::size_t distance = edit_distance(wanted, name); distance <= wanted.size() / 3) {
      close.emplace_back(distance, name);
    }
  }
  std::sort(close.begin(), close.end());
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(close.size(), 3); ++i) {
    text += (i == 0 ? "" : ", ") + quoted_name(close[i].second);
  }
  return text;
}

}  // namespace radapt
