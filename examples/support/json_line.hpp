#pragma once
/// Lines of JSON from files that a user may have edited.
#include <cstddef>
#include <span>
#include <string>

#include "radapt/core/error.hpp"
#include "radapt/io/json_document.hpp"

namespace example {

/// What a line holds; null where it is no JSON, or nested too deeply.
inline nlohmann::json json_of_line(const std::string& line) {
  try {
    return radapt::parse_json_value(std::as_bytes(std::span(line.data(), line.size())), "a line");
  } catch (const radapt::error&) { return nullptr; }
}

}  // namespace example
