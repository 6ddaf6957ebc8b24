#pragma once
/// Names of the nodes of a parameter tree: compile-time strings, positions, and how they join to a tensor's name.
#include <cstddef>
#include <string>
#include <string_view>

namespace radapt {

/// A string that can be a template argument: `Named<"ln_1", LayerNorm<768>>`.
template <std::size_t N>
struct fixed_string {
  char text[N] = {};
  constexpr fixed_string() = default;
  constexpr fixed_string(const char (&literal)[N]) {
    for (std::size_t i = 0; i < N; ++i) { text[i] = literal[i]; }
  }
  constexpr std::string_view view() const { return {text, N - 1}; }
};

namespace detail {
constexpr std::size_t digits_of(std::size_t number) { return number < 10 ? 1 : 1 + digits_of(number / 10); }

/// `word.Number`, the name of one element of a Repeat that has a type of its own.
template <std::size_t Number, std::size_t N>
constexpr fixed_string<N + 1 + digits_of(Number)> numbered(const fixed_string<N>& word) {
  fixed_string<N + 1 + digits_of(Number)> name;
  for (std::size_t i = 0; i + 1 < N; ++i) { name.text[i] = word.text[i]; }
  name.text[N - 1] = '.';
  std::size_t rest = Number;
  for (std::size_t i = digits_of(Number); i-- > 0; rest /= 10) {
    name.text[N + i] = static_cast<char>('0' + rest % 10);
  }
  return name;
}
}  // namespace detail

/// The name of one step in a parameter tree: a word, or a position in a Repeat. An empty word adds nothing to the path.
struct Label {
  std::string_view word;
  std::size_t number = 0;
  bool is_number = false;
  constexpr Label(std::string_view w) : word(w) {}
  constexpr Label(const char* w) : word(w) {}
  constexpr explicit Label(std::size_t n) : number(n), is_number(true) {}
};

/// `path` and `label` with a dot between them. No dot after a path that ends in an underscore, so that `in_proj_` and
/// `weight` join to `in_proj_weight` as in open_clip's tensor names.
[[gnu::noinline]] inline std::string join(const std::string& path, Label label) {
  const std::string step = label.is_number ? std::to_string(label.number) : std::string(label.word);
  if (step.empty() || path.empty()) { return path + step; }
  return path.back() == '_' ? path + step : path + "." + step;
}

}  // namespace radapt
