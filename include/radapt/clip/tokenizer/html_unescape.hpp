#pragma once
/// Character references of HTML in text: the rules of a browser, and stricter ones for text that may not be HTML.
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "radapt/clip/tokenizer/html_entities.hpp"
#include "radapt/clip/tokenizer/unicode_text.hpp"

namespace radapt {

/// The entity called `name` (without ampersand and semicolon), or null.
inline const HtmlEntity* find_html_entity(std::string_view name) {
  const auto found = std::lower_bound(html_entities.begin(), html_entities.end(), name,
                                      [](const HtmlEntity& entity, std::string_view n) { return entity.name < n; });
  return found != html_entities.end() && found->name == name ? &*found : nullptr;
}

/// The 32 characters that bytes 0x80 to 0x9F stand for in windows-1252; the five unused bytes stand for themselves.
inline constexpr std::u32string_view windows_1252_upper =
    U"\u20AC\x81\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\x8D\u017D\x8F"
    U"\x90\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\x9D\u017E\u0178";

/// Appends the character of a numeric reference, by HTML's table of exceptions: 0x80 to 0x9F are read as windows-1252,
/// a number that is no character becomes U+FFFD, and control characters and non-characters vanish.
inline void append_numbered_character(std::u32string& out, char32_t number) {
  if (number == 0 || (number >= 0xD800 && number < 0xE000) || number > 0x10FFFF) {
    out += char32_t{0xFFFD};
  } else if (number >= 0x80 && number < 0xA0) {
    out += windows_1252_upper[number - 0x80];
  } else {
    const bool control =
        (number < 0x20 && number != 0x09 && number != 0x0A && number != 0x0C && number != 0x0D) || number == 0x7F;
    const bool no_character = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFEU) == 0xFFFE;
    if (!control && !no_character) { out += number; }
  }
}

/// A numeric reference read from `text`, which begins after the ampersand: its value and how many characters it spans.
struct NumericReference {
  char32_t number = 0;
  std::size_t length = 0;  ///< 0 where there is no numeric reference
  bool closed = false;     ///< it ends in a semicolon
};

/// Reads `#123;` or `#x1F;`; the semicolon may be missing. Numbers beyond Unicode are all read as 0x110000.
inline NumericReference read_numeric_reference(std::u32string_view text) {
  if (text.size() < 2 || text[0] != U'#') { return {}; }
  const bool hexadecimal = text[1] == U'x' || text[1] == U'X';
  const char32_t base = hexadecimal ? 16 : 10;
  const std::size_t first = hexadecimal ? 2 : 1;
  NumericReference result;
  std::size_t at = first;
  for (; at < text.size(); ++at) {
    const char32_t c = text[at], lower = c | 0x20U;
    char32_t digit = base;
    if (c >= U'0' && c <= U'9') { digit = c - U'0'; }
    if (hexadecimal && lower >= U'a' && lower <= U'f') { digit = lower - U'a' + 10; }
    if (digit >= base) { break; }
    result.number = std::min<char32_t>(result.number * base + digit, 0x110000);
  }
  if (at == first) { return {}; }
  result.closed = at < text.size() && text[at] == U';';
  result.length = at + (result.closed ? 1 : 0);
  return result;
}

/// Appends what `entity` stands for.
inline void append_entity(std::u32string& out, const HtmlEntity& entity) {
  out += entity.first;
  if (entity.second != 0) { out += entity.second; }
}

/// Replaces character references as a browser does in text, and as Python's html.unescape: named ones, where the
/// longest known beginning of a name counts if it may stand without a semicolon ("&notit;" is "\u00ACit;"), and numeric
/// ones.
inline std::u32string unescape_html(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != U'&') {
      out += text[at++];
      continue;
    }
    const std::u32string_view rest = text.substr(++at);
    if (const NumericReference numeric = read_numeric_reference(rest); numeric.length != 0) {
      append_numbered_character(out, numeric.number);
      at += numeric.length;
      continue;
    }
    std::string name;  // of ASCII characters only: no name has others
    while (name.size() < std::min<std::size_t>(rest.size(), 32) && rest[name.size()] < 0x80 &&
           std::u32string_view(U"\t\n\f <&#;").find(rest[name.size()]) == std::u32string_view::npos) {
      name += static_cast<char>(rest[name.size()]);
    }
    const bool closed = name.size() < rest.size() && rest[name.size()] == U';';
    const HtmlEntity* entity = find_html_entity(name);
    if (entity != nullptr && closed) {
      append_entity(out, *entity);
      at += name.size() + 1;
      continue;
    }
    while (name.size() > 1 && (entity == nullptr || !entity->bare)) {
      name.pop_back();
      entity = find_html_entity(name);
    }
    if (name.size() > 1 && entity != nullptr) {
      append_entity(out, *entity);
      at += name.size();
    } else {
      out += U'&';
    }
  }
  return out;
}

/// What an entity name in capitals stands for where HTML does not know it: the capital of what the name in small
/// letters stands for, so that "EACUTE" is U+00C9. Empty for every other name.
inline std::u32string shouted_entity(std::string_view name) {
  std::string small(name);
  for (char& c : small) {
    if (c >= 'a' && c <= 'z') { return {}; }
    if (c >= 'A' && c <= 'Z') { c = static_cast<char>(c + ('a' - 'A')); }
  }
  // A name whose beginning is already a reference without a semicolon is not taken for a shouted one.
  for (std::size_t length = name.size(); length > 1; --length) {
    const HtmlEntity* known = find_html_entity(name.substr(0, length));
    if (known != nullptr && known->bare) { return {}; }
  }
  const HtmlEntity* entity = find_html_entity(small);
  if (entity == nullptr) { return {}; }
  std::u32string out;
  for (const char32_t c : {entity->first, entity->second}) {
    switch (c) {
      case 0:
        break;
      case 0x00DF:
        out += U"SS";
        break;
      case 0x0149:
        out += U"\u02BCN";
        break;
      case 0xFB00:
        out += U"FF";
        break;
      case 0xFB01:
        out += U"FI";
        break;
      case 0xFB02:
        out += U"FL";
        break;
      case 0xFB03:
        out += U"FFI";
        break;
      case 0xFB04:
        out += U"FFL";
        break;
      default:
        out += static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
    }
  }
  return out;
}

/// What the reference between an ampersand and a semicolon stands for, where it certainly is one.
inline std::optional<std::u32string> complete_reference(std::u32string_view body) {
  std::u32string out;
  if (const NumericReference numeric = read_numeric_reference(body); numeric.length != 0) {
    if (numeric.length != body.size()) { return std::nullopt; }
    append_numbered_character(out, numeric.number);
    if (out == U";") { return std::nullopt; }
    return out;
  }
  const std::string name = encode_utf8(body);
  if (const HtmlEntity* entity = find_html_entity(name); entity != nullptr) {
    append_entity(out, *entity);
    return out;
  }
  out = shouted_entity(name);
  if (out.empty()) { return std::nullopt; }
  return out;
}

/// Replaces only references that end in a semicolon, over and over until none is left: the rule for text that may not
/// be HTML. Names in capitals count as `shouted_entity` says.
inline std::u32string unescape_complete_references(std::u32string_view text) {
  constexpr std::size_t longest = 24;  // characters between the ampersand, or "&#", and the semicolon
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    out += text[at++];
    // An ampersand that a reference stood for may begin the next one.
    while (out.back() == U'&') {
      const std::u32string_view rest = text.substr(at);
      const std::size_t first = !rest.empty() && rest[0] == U'#' ? 1 : 0;
      std::size_t end = first;
      while (end < rest.size() && end - first < longest && rest[end] < 0x80 &&
             (is_letter(rest[end]) || is_number(rest[end]))) {
        ++end;
      }
      if (end == first || end >= rest.size() || rest[end] != U';') { break; }
      const std::optional<std::u32string> value = complete_reference(rest.substr(0, end));
      if (!value) { break; }
      out.pop_back();
      out += *value;
      at += end + 1;
      if (value->empty()) { break; }
    }
  }
  return out;
}

}  // namespace radapt
