#pragma once
/// Small JSON files from unknown hands: size and depth limited, no key twice, one clear error with file and key.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"
#include "radapt/io/mapped_file.hpp"
#include "radapt/io/quoted_name.hpp"

namespace radapt {

/// What a JSON file may be like before it is refused.
struct JsonLimits {
  std::size_t bytes = std::size_t{4} << 20;
  int depth = 32;
};

/// Parses `bytes`; `file` names it in messages. Errors: too large, not JSON (which NaN and Infinity are not), numbers
/// beyond double, not UTF-8, nested too deeply, a key twice in one object.
inline nlohmann::json parse_json_value(std::span<const std::byte> bytes, const std::string& file,
                                       JsonLimits limits = {}) {
  const std::string what = "reading '" + file + "'";
  if (bytes.size() > limits.bytes) {
    fail({.what = what,
          .expected = "at most " + std::to_string(limits.bytes) + " bytes",
          .got = std::to_string(bytes.size()),
          .hint = {}});
  }
  // The parser takes a zero byte for the end of its input.
  if (!bytes.empty() && std::memchr(bytes.data(), 0, bytes.size()) != nullptr) {
    fail({.what = what, .expected = "JSON", .got = "a zero byte", .hint = {}});
  }
  std::vector<std::set<std::string>> keys;
  std::string last_key;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using event_t = nlohmann::json::parse_event_t;
    if (event == event_t::object_start || event == event_t::array_start) {
      if (depth >= limits.depth) {
        fail({.what = what,
              .expected = "at most " + std::to_string(limits.depth) + " levels of nesting",
              .got = "more",
              .hint = {}});
      }
      if (event == event_t::object_start) { keys.emplace_back(); }
    } else if (event == event_t::object_end) {
      keys.pop_back();
    } else if (event == event_t::key) {
      last_key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(last_key).second) {
        fail({.what = what, .expected = "every key once", .got = quoted_name(last_key) + " twice", .hint = {}});
      }
    }
    return true;
  };
  const char* const text = reinterpret_cast<const char*>(bytes.data());
  nlohmann::json document;
  try {
    document = nlohmann::json::parse(text, text + bytes.size(), watch);
  } catch (const nlohmann::json::parse_error& problem) {
    fail({.what = what,
          .expected = "valid JSON",
          .got = "an error at byte " + std::to_string(problem.byte) +
                 (last_key.empty() ? std::string() : ", after the key " + quoted_name(last_key)),
          .hint = {}});
  } catch (const nlohmann::json::out_of_range&) {
    fail({.what = what,
          .expected = "numbers that a double can hold",
          .got = "a larger one after the key " + quoted_name(last_key),
          .hint = {}});
  }
  return document;
}

/// The same, which is an object. Errors: those, and no object.
inline nlohmann::json parse_json(std::span<const std::byte> bytes, const std::string& file, JsonLimits limits = {}) {
  nlohmann::json document = parse_json_value(bytes, file, limits);
  if (!document.is_object()) {
    fail({.what = "reading '" + file + "'",
          .expected = "a JSON object",
          .got = std::string("JSON of type ") + document.type_name(),
          .hint = {}});
  }
  return document;
}

/// Parses the file at `path`; see `parse_json`.
inline nlohmann::json read_json(const std::filesystem::path& path, JsonLimits limits = {}) {
  const MappedFile file(path);
  return parse_json(file.bytes(), path.string(), limits);
}

}  // namespace radapt
