/// What a project that uses radapt compiles: its own code, with radapt's headers found through CMake alone.
#include <cstdio>

#include "radapt/core/error.hpp"
#include "radapt/version.hpp"

int main() {
  try {
    radapt::fail({.what = "downstream", .expected = "an exception", .got = "one", .hint = ""});
  } catch (const radapt::error& e) {
    std::printf("%s; radapt %.*s\n", e.what(), static_cast<int>(radapt::version.size()), radapt::version.data());
    return 0;
  }
}
