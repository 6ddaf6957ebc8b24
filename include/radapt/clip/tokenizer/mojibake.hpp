#pragma once
/// Repair of text whose UTF-8 bytes were once read as windows-1252 or Latin-1: "cafÃ©" was "café".
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "radapt/clip/tokenizer/html_unescape.hpp"
#include "radapt/clip/tokenizer/unicode_text.hpp"

namespace radapt {

/// The byte that windows-1252 reads as `c`. The controls U+0080 to U+009F are what Latin-1 makes of the same bytes.
inline std::optional<std::uint8_t> windows_1252_byte(char32_t c) {
  if (c < 0x100) { return static_cast<std::uint8_t>(c); }
  const std::size_t at = windows_1252_upper.find(c);
  if (at == std::u32string_view::npos) { return std::nullopt; }
  return static_cast<std::uint8_t>(0x80 + at);
}

/// How many characters from `at` on are, as bytes of windows-1252, one well-formed character of two to four bytes; 0
/// for none.
inline std::size_t misread_character_length(std::u32string_view text, std::size_t at) {
  std::string bytes;
  for (std::size_t i = at; i < text.size() && bytes.size() < 4; ++i) {
    const std::optional<std::uint8_t> byte = windows_1252_byte(text[i]);
    if (!byte || *byte < 0x80) { break; }
    bytes += static_cast<char>(*byte);
  }
  if (bytes.empty()) { return 0; }
  return read_utf8(bytes, 0).bytes;
}

/// Whether `byte` is in `set`.
inline bool is_one_of(std::uint8_t byte, std::string_view set) {
  return set.find(static_cast<char>(byte)) != std::string_view::npos;
}

/// Whether the misread character of two characters at `at` could not be meant as it stands. `byte` holds its bytes.
inline bool is_surely_misread_pair(std::u32string_view text, std::size_t at, const std::array<std::uint8_t, 4>& byte) {
  const auto has_letter = [&](std::size_t i) { return i < text.size() && is_letter(text[i]); };
  if (is_one_of(byte[0], "\xC2\xC3\xCE\xD0")) {  // the letters at the beginning of nearly all misread pairs
    // A yen sign behind a capital, or at the very beginning, may be a price.
    const bool no_small_letter_before = at == 0 || category_of(text[at - 1]) == UTF8PROC_CATEGORY_LU;
    if (byte[1] == 0xA5) { return !no_small_letter_before; }
    return !is_one_of(byte[1], "\x85\x8C\x8E\x92");  // an ellipsis, two capitals and an apostrophe do follow a capital
  }
  if (is_one_of(byte[0], "\xD2\xD3\xD4\xD5\xD6\xD7\xD9\xDA\xDB\xDE")) { return false; }
  // Signs that healthy text hardly ever has right behind a capital with an accent: a euro, a dagger, a half.
  constexpr std::string_view strange =
      "\x80\x81\x86\x87\x88\x89\x8D\x8F\x90\x98\x9D"
      "\xA2\xA4\xA5\xA6\xA7\xA8\xAC\xAF\xB1\xB4\xB5\xB6\xB8\xBC\xBD\xBE";
  // Signs that may end a word, but not stand inside it.
  constexpr std::string_view between_words = "\x93\x95\x99\x9B\xA1\xA9\xAA\xAE\xB0\xB2\xB3\xB9\xBA\xBB\xBF";
  return is_one_of(byte[1], strange) || (is_one_of(byte[1], between_words) && has_letter(at + 2));
}

/// Whether the misread character of `length` characters at `at` could not be meant as it stands.
inline bool is_surely_misread(std::u32string_view text, std::size_t at, std::size_t length) {
  std::array<std::uint8_t, 4> byte{};
  for (std::size_t i = 0; i < length; ++i) {
    byte[i] = windows_1252_byte(text[at + i]).value_or(0);
    if (text[at + i] >= 0x80 && text[at + i] < 0xA0) { return true; }
  }
  if (length == 2) { return is_surely_misread_pair(text, at, byte); }
  if (byte[0] == 0xF0) { return true; }
  // Signs that healthy text hardly ever has behind a small letter with an accent, alone or after another sign.
  constexpr std::string_view strange =
      "\x80\x83\x86\x87\x88\x89\x98\x9F"
      "\xA2\xA3\xA4\xA5\xA6\xA7\xA8\xAC\xAF\xB1\xB4\xB5\xB6\xB8\xBC\xBD\xBE";
  // Letters that do so behind some vowels; behind the others they stand in Slavic and Baltic words.
  constexpr std::string_view letters = "\x8A\x8C\x8E\x9A\x9C\x9E";
  const bool rare_before_letters = byte[0] >= 0xE2 && byte[0] <= 0xE8 && byte[0] != 0xE4;
  for (std::size_t i = 1; i < length; ++i) {
    if (is_one_of(byte[i], strange) || (rare_before_letters && is_one_of(byte[i], letters))) { return true; }
  }
  return false;
}

/// Whether the capital A with a tilde or circumflex at `at`, with a space behind it, must be half of a misread
/// character whose other half, a no-break space, was turned into that space. In a text in capitals it need not be.
inline bool surely_lost_its_no_break_space(std::u32string_view text, std::size_t at) {
  if ((text[at] != 0xC3 && text[at] != 0xC2) || at + 1 >= text.size() || text[at + 1] != U' ') { return false; }
  const auto capital = [&](std::size_t i) { return category_of(text[i]) == UTF8PROC_CATEGORY_LU; };
  if (at > 0 && text[at - 1] != U' ') { return !capital(at - 1); }
  return at + 2 >= text.size() || !capital(at + 2);
}

/// Whether a Portuguese word such as "àquele" or "às" goes on in `rest`, which follows an a with a grave accent.
inline bool goes_on_after_a_grave(std::u32string_view rest) {
  return rest.starts_with(U"quele") || rest.starts_with(U"quela") || rest.starts_with(U"quilo") ||
         rest.starts_with(U"s ");
}

/// All of `text` read as UTF-8 from its windows-1252 bytes, or nothing where those bytes are not UTF-8. Spaces that
/// were no-break spaces are put back first.
inline std::optional<std::u32string> read_as_utf8(std::u32string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::optional<std::uint8_t> byte = windows_1252_byte(text[i]);
    if (!byte) { return std::nullopt; }
    bytes += static_cast<char>(*byte);
    const bool before_space = i + 1 < text.size() && text[i + 1] == U' ';
    if (before_space && is_one_of(*byte, "\xC2\xC3\xC5\xCE\xD0\xD9")) {  // else these bytes were no UTF-8
      const std::u32string_view rest = text.substr(i + 2);
      bytes += '\xA0';
      // "\u00E0" is a word, and needs a space behind it besides the one that it lost.
      const bool alone = *byte == 0xC3 && !rest.starts_with(U' ') && !goes_on_after_a_grave(rest);
      if (alone) { bytes += ' '; }
      ++i;
    }
  }
  std::u32string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8CodePoint next = read_utf8(bytes, at);
    if (next.bytes == 0) { return std::nullopt; }
    out += next.value;
    at += next.bytes;
  }
  return out;
}

/// Undoes one misreading of `line`, of the whole line if it is UTF-8 throughout and else of each run of misread
/// characters. A line is only touched where it has a sign that was surely not meant, or two misread characters side by
/// side; healthy text that happens to be readable in this way stays. Only windows-1252 and Latin-1 are considered.
inline std::u32string repair_mojibake(std::u32string_view line) {
  std::u32string piecewise;
  bool misread = false;
  for (std::size_t at = 0; at < line.size();) {
    std::size_t end = at, characters = 0;
    bool sure_in_line = false;
    while (const std::size_t length = misread_character_length(line, end)) {
      ++characters;
      sure_in_line = sure_in_line || characters > 1 || is_surely_misread(line, end, length);
      end += length;
    }
    if (end == at) {
      misread = misread || surely_lost_its_no_break_space(line, at);
      piecewise += line[at++];
      continue;
    }
    const std::u32string_view run = line.substr(at, end - at);
    const bool sure = characters > 1 || is_surely_misread(run, 0, run.size());
    misread = misread || sure_in_line;
    piecewise += sure ? read_as_utf8(run).value_or(std::u32string(run)) : std::u32string(run);
    at = end;
  }
  if (!misread) { return std::u32string(line); }
  return read_as_utf8(line).value_or(piecewise);
}

}  // namespace radapt
