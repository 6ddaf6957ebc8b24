#pragma once
/// The inputs of a work, which all workers of a row read from the same files.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "radapt/clip/captions.hpp"
#include "radapt/core/error.hpp"

namespace radapt_bench {

using radapt::Index;

/// The first `count` floats of a file.
inline std::vector<float> read_floats(const std::filesystem::path& path, Index count) {
  std::vector<float> values(count);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(float)));
  if (!file) {
    radapt::fail({.what = "reading '" + path.string() + "'",
                  .expected = std::to_string(count) + " floats",
                  .got = "fewer",
                  .hint = "bench/compare writes it for the largest batch that it is asked for"});
  }
  return values;
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  nlohmann::json document = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) {
    radapt::fail({.what = "reading '" + path.string() + "'", .expected = "JSON", .got = "something else", .hint = {}});
  }
  return document;
}

/// The first `count` captions of a list of lists of token ids; all for 0.
template <class Model>
radapt::Captions captions_of(const nlohmann::json& lists, Index count = 0) {
  auto captions = radapt::Captions::of<Model>();
  if (count > lists.size()) {
    radapt::fail({.what = "captions of a benchmark",
                  .expected = std::to_string(count),
                  .got = std::to_string(lists.size()),
                  .hint = "bench/compare writes them for the largest batch that it is asked for"});
  }
  for (Index i = 0; i < (count == 0 ? lists.size() : count); ++i) {
    captions.add(lists[i].template get<std::vector<std::int64_t>>());
  }
  return captions;
}

}  // namespace radapt_bench
