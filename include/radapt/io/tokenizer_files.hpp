#pragma once
/// The files of a tokenizer that lie beside a checkpoint: what a model that is saved elsewhere needs as well.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/io/atomic_file.hpp"

namespace radapt {

/// Names under which transformers and open_clip look for a CLIP tokenizer.
inline constexpr const char* bpe_file_name = "bpe_simple_vocab_16e6.txt.gz";
inline constexpr const char* tokenizer_file_names[] = {"vocab.json",        "merges.txt",
                                                       "tokenizer.json",    "tokenizer_config.json",
                                                       "added_tokens.json", "special_tokens_map.json",
                                                       bpe_file_name};

/// Copies the tokenizer's files of folder `from` into folder `to`, each atomically, and returns their names; none where
/// it has none. A `from` that is CLIP's list of merges (.txt or .txt.gz) gets the name under which it is looked for;
/// any other file has none. Without vocab.json and merges.txt, or tokenizer.json, transformers makes an empty tokenizer
/// and does not say so. Errors: a file cannot be read or written.
inline std::vector<std::string> copy_tokenizer_files(const std::filesystem::path& from,
                                                     const std::filesystem::path& to) {
  std::vector<std::string> copied;
  std::error_code ignored;
  const std::string name_of_from = from.filename().string();
  const bool is_file = std::filesystem::is_regular_file(from, ignored);
  if (is_file && !name_of_from.ends_with(".txt") && !name_of_from.ends_with(".txt.gz")) { return copied; }
  for (const char* name : tokenizer_file_names) {
    const std::filesystem::path source = is_file ? from : from / name;
    if (!std::filesystem::is_regular_file(source, ignored) || (is_file && std::string_view(name) != bpe_file_name)) {
      continue;
    }
    std::ifstream file(source, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file.good() && !file.eof()) {
      fail({.what = "reading '" + source.string() + "'",
            .expected = "a readable file",
            .got = "an error after " + std::to_string(content.size()) + " bytes",
            .hint = ""});
    }
    std::filesystem::create_directories(to);
    if (!std::filesystem::equivalent(source, to / name, ignored)) { write_text_atomically(to / name, content); }
    copied.emplace_back(name);
  }
  return copied;
}

}  // namespace radapt
