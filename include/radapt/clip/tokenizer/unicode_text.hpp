#pragma once
/// UTF-8, character classes, composition and lower-casing of the text that the tokenizer reads.
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"

namespace radapt {

/// The outcome of reading one code point: the code point and the bytes it took, or no bytes where none is well formed.
struct Utf8CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;
};

/// Reads the code point at `at` (`at < text.size()`) by the rules of RFC 3629: no overlong forms, no surrogates,
/// nothing above U+10FFFF.
inline Utf8CodePoint read_utf8(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(at);
  if (lead < 0x80) { return {lead, 1}; }
  const std::size_t length = lead >= 0xF0 ? 4U : lead >= 0xE0 ? 3U : 2U;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - at < length) { return {}; }
  char32_t value = static_cast<char32_t>(lead & (0xFFU >> (length + 1U)));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) { return {}; }
    value = (value << 6U) | (byte(at + i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value < 0xE000;
  if (value < smallest[length] || value > 0x10FFFF || surrogate) { return {}; }
  return {value, length};
}

/// Appends one code point to `out` as UTF-8.
inline void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80U | ((c >> shift) & 0x3FU)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0U | (c >> 6U));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0U | (c >> 12U));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0U | (c >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

/// The code points of UTF-8 `text`; `what` names the text in the error for bytes that are not UTF-8.
inline std::u32string decode_utf8(std::string_view text, std::string_view what) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8CodePoint next = read_utf8(text, at);
    if (next.bytes == 0) {
      fail({.what = "reading " + std::string(what),
            .expected = "UTF-8",
            .got = "byte " + std::to_string(static_cast<unsigned>(static_cast<std::uint8_t>(text[at]))) +
                   " at offset " + std::to_string(at) + ", which begins no well-formed character",
            .hint = "Convert the text to UTF-8 first"});
    }
    out += next.value;
    at += next.bytes;
  }
  return out;
}

/// `text` as UTF-8.
inline std::string encode_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) { append_utf8(out, c); }
  return out;
}

/// `bytes` with every byte that belongs to no well-formed character replaced by U+FFFD.
inline std::string replace_malformed_utf8(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8CodePoint next = read_utf8(bytes, at);
    append_utf8(out, next.bytes == 0 ? char32_t{0xFFFD} : next.value);
    at += std::max<std::size_t>(next.bytes, 1);
  }
  return out;
}

/// The Unicode general category of `c`.
inline utf8proc_category_t category_of(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

/// Whether `c` is in the class `\p{L}`.
inline bool is_letter(char32_t c) {
  if (c < 0x80) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }
  const utf8proc_category_t category = category_of(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

/// Whether `c` is in the class `\p{N}`: decimal digits, letter numbers and other numbers such as one half.
inline bool is_number(char32_t c) {
  if (c < 0x80) { return c >= U'0' && c <= U'9'; }
  const utf8proc_category_t category = category_of(c);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

/// Whether `c` has the Unicode property White_Space, which is what `\s` means to the tokenizers.
inline bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// `text` without white space at its ends, where the separators U+001C to U+001F count as white space too, as they do
/// for Python's str.strip.
inline std::u32string_view strip(std::u32string_view text) {
  const auto blank = [](char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); };
  while (!text.empty() && blank(text.front())) { text.remove_prefix(1); }
  while (!text.empty() && blank(text.back())) { text.remove_suffix(1); }
  return text;
}

/// `text` with every run of white space replaced by one space.
inline std::u32string collapse_white_space(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  bool in_run = false;
  for (const char32_t c : text) {
    const bool space = is_white_space(c);
    if (!space) { out += c; }
    if (space && !in_run) { out += U' '; }
    in_run = space;
  }
  return out;
}

/// Whether `c` can stand between the letters of a word without breaking it (the Unicode property Case_Ignorable).
inline bool is_case_ignorable(char32_t c) {
  switch (category_of(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      break;
  }
  constexpr std::u32string_view others =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  return others.find(c) != std::u32string_view::npos;
}

/// Whether `c` is an upper-case, lower-case or title-case letter or a symbol made of one (the Unicode property Cased,
/// for characters that are not case-ignorable).
inline bool is_cased(char32_t c) {
  switch (category_of(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      break;
  }
  return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9) ||
         (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/// Appends the lower case of one code point: itself, one other, or for U+0130 the letter i with a dot above it.
inline void append_lower_case(std::u32string& out, char32_t c) {
  if (c < 0x80) {
    out += c >= U'A' && c <= U'Z' ? c + 32U : c;
  } else if (c == 0x130) {
    out += U"i\u0307";
  } else {
    out += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
}

/// Lower case of each code point by itself, as the transformers tokenizer does: a capital sigma is always U+03C3.
inline std::u32string lower_case_each(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) { append_lower_case(out, c); }
  return out;
}

/// Full lower case by the Unicode rules, as Python's str.lower: a capital sigma at the end of a word becomes U+03C2.
inline std::u32string lower_case(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  bool after_cased = false;  // the last character that is not case-ignorable is cased
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == 0x3A3 && after_cased) {
      std::size_t next = i + 1;
      while (next < text.size() && is_case_ignorable(text[next])) { ++next; }
      const bool word_goes_on = next < text.size() && is_cased(text[next]);
      out += word_goes_on ? char32_t{0x3C3} : char32_t{0x3C2};
    } else {
      append_lower_case(out, c);
    }
    if (!is_case_ignorable(c)) { after_cased = is_cased(c); }
  }
  return out;
}

/// Canonical composition (NFC).
inline std::u32string compose(std::u32string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; })) { return std::u32string(text); }
  std::vector<utf8proc_int32_t> parts;
  parts.reserve(text.size());
  for (const char32_t c : text) {
    std::array<utf8proc_int32_t, 8> one{};  // a canonical decomposition has at most four code points
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), one.data(), static_cast<utf8proc_ssize_t>(one.size()),
                                UTF8PROC_DECOMPOSE, &boundary);
    if (count <= 0 || count > static_cast<utf8proc_ssize_t>(one.size())) {
      parts.push_back(static_cast<utf8proc_int32_t>(c));
    } else {
      parts.insert(parts.end(), one.begin(), one.begin() + count);
    }
  }
  const auto combining_class = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto from = parts.begin(); from != parts.end();) {  // marks go in the order of their combining class
    if (combining_class(*from) == 0) {
      ++from;
      continue;
    }
    const auto to = std::find_if(from, parts.end(), [&](utf8proc_int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(from, to, [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
    from = to;
  }
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (length < 0) { fail({.what = "composing text", .got = utf8proc_errmsg(length)}); }
  return {parts.begin(), parts.begin() + length};
}

}  // namespace radapt
