#pragma once
/// The text of an error, for tests that ask whether it names what is wrong.
#include <string>

#include "radapt/core/error.hpp"

namespace radapt_test {

/// The text of the radapt::error that `f` ends with; empty if it does not.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const radapt::error& e) { return e.what(); }
  return {};
}

/// Whether `f` ends with an error that holds `part`.
template <class F>
bool fails_with(const std::string& part, F&& f) {
  const std::string text = error_of(f);
  return !text.empty() && text.find(part) != std::string::npos;
}

}  // namespace radapt_test
