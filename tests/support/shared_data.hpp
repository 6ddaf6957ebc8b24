#pragma once
/// Where the golden values and the real data of the tests lie.
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace radapt_test {

/// The file or folder `name` below the shared folder: the environment variable RADAPT_SHARED, or else the value that
/// CMake was configured with. Absent data is an error: a test that asks for it must not pass without it.
inline std::filesystem::path shared_data(const std::string& name) {
  const char* chosen = std::getenv("RADAPT_SHARED");
  const std::filesystem::path path = std::filesystem::path(chosen != nullptr ? chosen : RADAPT_SHARED_DEFAULT) / name;
  if (!std::filesystem::exists(path)) {
    throw std::runtime_error("test data '" + path.string() +
                             "' does not exist; set RADAPT_SHARED to the folder that holds fixtures/ and data/");
  }
  return path;
}

}  // namespace radapt_test
