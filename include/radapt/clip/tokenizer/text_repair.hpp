#pragma once
/// Repair of text as OpenAI's tokenizer has it done before anything else: what ftfy 6.3 does with its default settings.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "radapt/clip/tokenizer/html_unescape.hpp"
#include "radapt/clip/tokenizer/mojibake.hpp"
#include "radapt/clip/tokenizer/unicode_text.hpp"

namespace radapt {

/// Appends the letters of a Latin ligature or digraph, or `c` itself.
inline void append_without_ligature(std::u32string& out, char32_t c) {
  switch (c) {
    case 0x132:
      out += U"IJ";
      break;
    case 0x133:
      out += U"ij";
      break;
    case 0x149:
      out += U"\u02BCn";
      break;
    case 0x1C4:
      out += U"D\u017D";
      break;
    case 0x1C5:
      out += U"D\u017E";
      break;
    case 0x1C6:
      out += U"d\u017E";
      break;
    case 0x1C7:
      out += U"LJ";
      break;
    case 0x1C8:
      out += U"Lj";
      break;
    case 0x1C9:
      out += U"lj";
      break;
    case 0x1CA:
      out += U"NJ";
      break;
    case 0x1CB:
      out += U"Nj";
      break;
    case 0x1CC:
      out += U"nj";
      break;
    case 0x1F1:
      out += U"DZ";
      break;
    case 0x1F2:
      out += U"Dz";
      break;
    case 0x1F3:
      out += U"dz";
      break;
    case 0xFB00:
      out += U"ff";
      break;
    case 0xFB01:
      out += U"fi";
      break;
    case 0xFB02:
      out += U"fl";
      break;
    case 0xFB03:
      out += U"ffi";
      break;
    case 0xFB04:
      out += U"ffl";
      break;
    case 0xFB05:
      out += U"\u017Ft";
      break;
    case 0xFB06:
      out += U"st";
      break;
    default:
      out += c;
  }
}

/// Appends the ordinary form of a full-width or half-width character (its NFKC form), or `c` itself.
inline void append_in_ordinary_width(std::u32string& out, char32_t c) {
  if (c == 0x3000) {
    out += U' ';
  } else if (c > 0xFF00 && c < 0xFFF0) {
    std::array<utf8proc_int32_t, 8> parts{};  // these characters have at most two parts
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT), &boundary);
    std::u32string ordinary(1, c);
    if (count > 0 && count <= static_cast<utf8proc_ssize_t>(parts.size())) {
      ordinary.assign(parts.begin(), parts.begin() + count);
    }
    out += compose(ordinary);
  } else {
    out += c;
  }
}

/// A straight quote for a curly one, or `c` itself.
inline char32_t straight_quote(char32_t c) {
  if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) { return U'\''; }
  if (c >= 0x201C && c <= 0x201F) { return U'"'; }
  return c;
}

/// `text` with every kind of line break written as U+000A.
inline std::u32string unify_line_breaks(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == U'\r' && i + 1 < text.size() && text[i + 1] == U'\n') { continue; }
    const bool breaks = c == U'\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
    out += breaks ? U'\n' : c;
  }
  return out;
}

/// `text` without the escape sequences that colour a terminal's text.
inline std::u32string remove_terminal_escapes(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == 0x1B && i + 1 < text.size() && text[i + 1] == U'[') {
      std::size_t end = i + 2;
      while (end < text.size() && (text[end] == U';' || category_of(text[end]) == UTF8PROC_CATEGORY_ND)) { ++end; }
      if (end < text.size() && text[end] < 0x80 && is_letter(text[end])) {
        i = end;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

/// Whether `c` is a control character that has no place in a text: not a tab, a line break or a mark that shapes
/// glyphs.
inline bool is_unwanted_control(char32_t c) {
  return c < 0x09 || c == 0x0B || (c >= 0x0E && c < 0x20) || c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFC);
}

/// Repairs one line until nothing changes any more. `references` tells whether character references are replaced.
inline std::u32string repair_line(std::u32string_view line, bool references) {
  const auto sound = [&](char32_t c) { return (c >= 0x20 && c < 0x7F && !(references && c == U'&')) || c == U'\n'; };
  if (std::all_of(line.begin(), line.end(), sound)) { return std::u32string(line); }
  std::u32string text(line), before;
  do {
    before = text;
    if (references) { text = unescape_complete_references(text); }
    for (std::u32string repaired = repair_mojibake(text); repaired != text; repaired = repair_mojibake(text)) {
      text = repaired;
    }
    std::u32string letters, ordinary;
    for (char32_t c : text) {
      if (c >= 0x80 && c < 0xA0) { c = windows_1252_upper[c - 0x80]; }
      append_without_ligature(letters, c);
    }
    for (const char32_t c : letters) { append_in_ordinary_width(ordinary, c); }
    for (char32_t& c : ordinary) { c = straight_quote(c); }
    const std::u32string plain = remove_terminal_escapes(unify_line_breaks(ordinary));
    text.clear();
    for (const char32_t c : plain) {
      if (!is_unwanted_control(c)) { text += c; }
    }
    text = compose(text);
  } while (text != before);
  return text;
}

/// Repairs `text` line by line: character references that end in a semicolon (until a line has a "<": then the text may
/// be meant as HTML), misread UTF-8 (`repair_mojibake`), C1 controls read as windows-1252, Latin ligatures, full and
/// half width, curly quotes, line breaks, terminal escapes, control characters, and canonical composition, over and
/// over until nothing changes. It differs from ftfy only in `repair_mojibake`, which knows windows-1252 and Latin-1
/// alone, and leaves characters that were lost on the way as they are.
inline std::u32string repair_text(std::u32string_view text) {
  std::u32string out;
  bool references = true;
  while (!text.empty()) {
    const std::size_t newline = text.find(U'\n');
    const std::size_t length = newline == std::u32string_view::npos ? text.size() : newline + 1;
    const std::u32string_view line = text.substr(0, length);
    references = references && line.find(U'<') == std::u32string_view::npos;
    out += repair_line(line, references);
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace radapt
