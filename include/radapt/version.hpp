#pragma once
/// The version of radapt; CMake reads it from here, so that it is written once.
#include <string_view>

#define RADAPT_VERSION_MAJOR 0
#define RADAPT_VERSION_MINOR 1
#define RADAPT_VERSION_PATCH 0

/// One number to compare in `#if`: 10000 * major + 100 * minor + patch.
#define RADAPT_VERSION (10000 * RADAPT_VERSION_MAJOR + 100 * RADAPT_VERSION_MINOR + RADAPT_VERSION_PATCH)

#define RADAPT_VERSION_TEXT_OF_VALUES(major, minor, patch) #major "." #minor "." #patch
#define RADAPT_VERSION_TEXT(major, minor, patch) RADAPT_VERSION_TEXT_OF_VALUES(major, minor, patch)

namespace radapt {

/// The version as text, "major.minor.patch".
inline constexpr std::string_view version =
    RADAPT_VERSION_TEXT(RADAPT_VERSION_MAJOR, RADAPT_VERSION_MINOR, RADAPT_VERSION_PATCH);

}  // namespace radapt

#undef RADAPT_VERSION_TEXT
#undef RADAPT_VERSION_TEXT_OF_VALUES
