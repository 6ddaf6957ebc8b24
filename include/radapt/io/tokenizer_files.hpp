#pragma once
/// The files of a tokenizer that lie beside a checkpoint: what a model that is saved elsewhere needs as well.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/atomic_file.hpp"

namespace radapt {

/// Names under which transformers and open_clip look for a CLIP tokenizer.
inline constexpr const char* tokenizer_file_names[] = {"vocab.json",        "merges.txt",
                                                       "tokenizer.json",    "tokenizer_config.json",
                                                       "added_tokens.json", "special_tokens_map.json"};

/// Copies the tokenizer's files of folder `from` into folder `to`, each atomically, and returns their names; none where
/// `from` is a file or has none. Without vocab.json and merges.txt, or tokenizer.json, transformers makes an empty
/// tokenizer and does not say so. Errors: a file cannot be read or written.
inline std::vector<std::string> copy_tokenizer_files(const std::filesystem::path& from,
                                                     const std::filesystem::path& to) {
  std::vector<std::string> copied;
  for (const char* name : tokenizer_file_names) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(from / name, ignored)) { continue; }
    std::ifstream file(from / name, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file.good() && !file.eof()) {
      fail({.what = "reading '" + (from / name).string() + "'",
            .expected = "a readable file",
            .got = "an error after " + std::to_string(content.size()) + " bytes",
            .hint = ""});
    }
    std::filesystem::create_directories(to);
    if (!std::filesystem::equivalent(from, to, ignored)) { write_text_atomically(to / name, content); }
    copied.emplace_back(name);
  }
  return copied;
}

}  // namespace radapt
