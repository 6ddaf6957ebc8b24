#pragma once
/// Progress bars in tests: kept as text, or silent.
#include <string>
#include <string_view>

#include "radapt/train/progress.hpp"

namespace radapt_test {

/// What a progress bar writes, kept instead of shown.
struct Shown {
  std::string text;
  radapt::ProgressOptions options() {
    return {.sink = [this](std::string_view piece) { text += piece; }};
  }
};

inline radapt::ProgressOptions quiet() { return {.mode = radapt::ProgressOptions::Mode::quiet}; }

}  // namespace radapt_test
