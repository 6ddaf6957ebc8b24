#pragma once
/// Saving a failure set of VRF: it is made once, over the whole training set, and used with every test set.
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "radapt/ensemble/failure_set.hpp"
#include "radapt/io/safetensors.hpp"
#include "radapt/io/safetensors_write.hpp"

namespace radapt {

/// Writes a failure set as a safetensors file, atomically: `features` (size, width) of rows of length 1, `indices`
/// (size) into the training set, and the number of training samples in the metadata.
template <class T>
void save_failure_set(const std::filesystem::path& path, const FailureSet<T>& set) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  const std::vector<std::int64_t> indices(set.indices().begin(), set.indices().end());
  const std::map<std::string, safetensors::Entry> tensors{
      {"features",
       {.dtype = sizeof(T) == 8 ? safetensors::DType::F64 : safetensors::DType::F32,
        .shape = {set.size(), set.width()},
        .data = std::as_bytes(std::span<const T>(set.rows()))}},
      {"indices",
       {.dtype = safetensors::DType::I64,
        .shape = {set.size()},
        .data = std::as_bytes(std::span<const std::int64_t>(indices))}}};
  safetensors::write(path, tensors, {{"radapt.failure_set", std::to_string(set.samples())}});
}

/// Reads what save_failure_set wrote: the same distances, up to the rounding of one more normalisation. A file of
/// another kind, and tensors that do not fit together, are errors.
template <class T>
FailureSet<T> load_failure_set(const std::filesystem::path& path) {
  const safetensors::File file = safetensors::open(path);
  const std::string* samples = file.metadata().find("radapt.failure_set");
  const bool is_number = samples != nullptr && !samples->empty() && samples->size() <= 18 &&
                         samples->find_first_not_of("0123456789") == std::string::npos;
  if (!is_number || file.at("features").shape.size() != 2) {
    fail({.what = "failure set '" + path.string() + "'",
          .expected = "a file that save_failure_set wrote",
          .got = "a file without its number of samples or its features",
          .hint = ""});
  }
  const auto stored = file.read<std::int64_t>("indices");
  std::vector<Index> indices;
  for (const std::int64_t i : stored) { indices.push_back(static_cast<Index>(i)); }
  return FailureSet<T>(file.read<T>("features"), static_cast<Index>(file.at("features").shape[1]), std::move(indices),
                       static_cast<Index>(std::stoull(*samples)));
}

}  // namespace radapt
