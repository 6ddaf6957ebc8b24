#pragma once
/// The pieces that CLIP's byte-pair encoding works on: markers, contractions, words, single numbers and runs of signs.
#include <array>
#include <cstddef>
#include <string_view>

#include "radapt/clip/tokenizer/unicode_text.hpp"

namespace radapt {

/// Whether `text` begins with `prefix`, which is in small letters. With `ignore_case` a long s (U+017F) counts as an s:
/// the one character besides the capitals that equals a letter of the markers and contractions when case is ignored.
inline bool begins_with(std::u32string_view text, std::u32string_view prefix, bool ignore_case) {
  if (text.size() < prefix.size()) { return false; }
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    char32_t c = text[i];
    if (ignore_case && c == 0x17F) { c = U's'; }
    if (ignore_case && c >= U'A' && c <= U'Z') { c += 32; }
    if (c != prefix[i]) { return false; }
  }
  return true;
}

/// Calls `visit(piece)` for each piece of `text` from left to right, by the first of these that fits: one of `markers`;
/// an English contraction ('s 't 're 've 'm 'll 'd); a run of letters; one number character; a run of characters that
/// are neither letters nor numbers nor white space. White space between pieces is dropped. `ignore_case` applies to
/// markers and contractions.
template <class Markers, class Visit>
void for_each_piece(std::u32string_view text, const Markers& markers, bool ignore_case, Visit visit) {
  constexpr std::array<std::u32string_view, 7> contractions{U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};
  enum class Kind { space, letter, number, other };
  const auto kind_of = [ignore_case](char32_t c) {
    if (is_letter(c)) { return Kind::letter; }
    if (is_number(c)) { return Kind::number; }
    // Python's regex finds this one mark in no class when it ignores case, and drops it: an iota in small letters.
    if (ignore_case && c == 0x345) { return Kind::space; }
    return is_white_space(c) ? Kind::space : Kind::other;
  };
  const auto fixed_length = [&](std::u32string_view rest) -> std::size_t {
    for (const auto& marker : markers) {
      if (begins_with(rest, marker, ignore_case)) { return marker.size(); }
    }
    for (const std::u32string_view contraction : contractions) {
      if (begins_with(rest, contraction, ignore_case)) { return contraction.size(); }
    }
    return 0;
  };
  while (!text.empty()) {
    const Kind kind = kind_of(text[0]);
    std::size_t length = kind == Kind::other ? fixed_length(text) : 0;  // markers and contractions begin with a sign
    if (length == 0) {
      length = 1;
      if (kind == Kind::letter || kind == Kind::other) {
        while (length < text.size() && kind_of(text[length]) == kind) { ++length; }
      }
    }
    if (kind != Kind::space) { visit(text.substr(0, length)); }
    text.remove_prefix(length);
  }
}

}  // namespace radapt
