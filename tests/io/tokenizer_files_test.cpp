/// Copying the files of a tokenizer from one checkpoint to another.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "radapt/io/tokenizer_files.hpp"
#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

using namespace radapt_test;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("the tokenizer's files are copied byte for byte, and nothing else is") {
  const TemporaryFolder from, to;
  const std::string merges("#version: 0.2\r\ni n\0\xff", 20);
  std::ofstream(from.path() / "vocab.json") << "{}";
  std::ofstream(from.path() / "merges.txt", std::ios::binary) << merges;
  std::ofstream(from.path() / "model.safetensors") << "weights";
  const auto target = to.path() / "deep" / "folder";
  CHECK(radapt::copy_tokenizer_files(from.path(), target) == std::vector<std::string>{"vocab.json", "merges.txt"});
  CHECK(content(target / "vocab.json") == "{}");
  CHECK(content(target / "merges.txt") == merges);
  CHECK_FALSE(std::filesystem::exists(target / "model.safetensors"));
  // Into the folder itself: named, and left as they are.
  CHECK(radapt::copy_tokenizer_files(target, target).size() == 2);
  CHECK(content(target / "merges.txt") == merges);
}

TEST_CASE("a checkpoint without a tokenizer has none to copy") {
  const TemporaryFolder from, to;
  CHECK(radapt::copy_tokenizer_files(from.path(), to.path() / "target").empty());
  CHECK_FALSE(std::filesystem::exists(to.path() / "target"));
  std::ofstream(from.path() / "model.safetensors") << "weights";
  CHECK(radapt::copy_tokenizer_files(from.path() / "model.safetensors", to.path()).empty());
}

TEST_CASE("CLIP's list of merges is copied under the name that a folder is searched for") {
  const TemporaryFolder from, to;
  std::ofstream(from.path() / "merges of mine.txt.gz") << "list";
  const auto copied = radapt::copy_tokenizer_files(from.path() / "merges of mine.txt.gz", to.path());
  CHECK(copied == std::vector<std::string>{"bpe_simple_vocab_16e6.txt.gz"});
  CHECK(content(to.path() / copied.front()) == "list");
}
