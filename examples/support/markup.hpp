#pragma once
/// Text for SVG and HTML: escaped strings, and numbers that look the same in every locale.
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "radapt/core/error.hpp"

namespace example {

/// The length in bytes of the UTF-8 character that starts at `first`, or 0 if there is none: a stray or cut-off byte,
/// an overlong form, a surrogate, or a code point above U+10FFFF.
inline std::size_t character_length(std::string_view text, std::size_t first) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[first + i]); };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || first + length > text.size()) { return 0; }
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) { return 0; }
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

/// `text` as it may stand between tags and inside quoted attributes. Control characters become spaces and bytes that
/// are not UTF-8 become U+FFFD, since XML can hold neither.
inline std::string escaped(std::string_view text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = character_length(text, i);
    const char letter = text[i];
    if (length == 0) {
      safe += "\xEF\xBF\xBD";
    } else if (letter == '&') {
      safe += "&amp;";
    } else if (letter == '<') {
      safe += "&lt;";
    } else if (letter == '>') {
      safe += "&gt;";
    } else if (letter == '"') {
      safe += "&quot;";
    } else if (letter == '\'') {
      safe += "&#39;";
    } else if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F) {
      safe += ' ';
    } else if (length == 3 && text.substr(i, 2) == "\xEF\xBF" && static_cast<unsigned char>(text[i + 2]) >= 0xBE) {
      safe += "\xEF\xBF\xBD";  // U+FFFE and U+FFFF are no characters of XML
    } else {
      safe += text.substr(i, length);
    }
    i += length == 0 ? 1 : length;
  }
  return safe;
}

/// `value` if it is finite; otherwise an error that names `where`.
inline double finite(double value, const std::string& where) {
  if (!std::isfinite(value)) {
    radapt::fail({.what = where,
                  .expected = "a finite number",
                  .got = std::isnan(value) ? "nan"
                         : value > 0       ? "infinity"
                                           : "-infinity",
                  .hint = "Leave a value that was not measured out instead of drawing it"});
  }
  return value;
}

/// A finite number with exactly `decimals` digits (0 .. 17) after the point; never "-0".
inline std::string decimal(double value, int decimals) {
  std::array<char, 400> buffer{};  // the largest double has 309 digits before the point
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), finite(value, "writing a number"),
                                 std::chars_format::fixed, decimals);
  std::string text(buffer.data(), end.ptr);
  if (text.find_first_not_of("-0.") == std::string::npos && text[0] == '-') { text.erase(0, 1); }
  return text;
}

/// A number with at most `decimals` digits after the point and no needless zeros.
inline std::string short_decimal(double value, int decimals) {
  std::string text = decimal(value, decimals);
  if (text.find('.') == std::string::npos) { return text; }
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') { text.pop_back(); }
  return text;
}

}  // namespace example
