#pragma once
/// Names from unknown files, made fit for an error message.
#include <cstddef>
#include <string>
#include <string_view>

namespace radapt {

/// A name from a file, quoted for a message: control characters spelled as `\xNN`, cut after 120 bytes.
inline std::string quoted_name(std::string_view name) {
  constexpr std::size_t longest = 120;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "'";
  for (const char c : name.substr(0, longest)) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) {
      text += "\\x";
      text += digits[code >> 4U];
      text += digits[code & 0xfU];
    } else {
      text += c;
    }
  }
  return text + (name.size() > longest ? "...'" : "'");
}

}  // namespace radapt
