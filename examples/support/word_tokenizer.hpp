#pragma once
/// A tokenizer for captions of a fixed set of words: one word, one token.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "captions.hpp"
#include "radapt/core/error.hpp"

namespace example {

/// Ids 0 .. words-1 in the order given, then start and end of text; the largest id is end of text, as CLIP's pooling
/// wants.
class WordTokenizer {
 public:
  explicit WordTokenizer(const std::vector<std::string>& words) {
    for (const std::string& word : words) { ids_.emplace(word, static_cast<std::int64_t>(ids_.size())); }
  }
  std::int64_t start_of_text() const { return static_cast<std::int64_t>(ids_.size()); }
  std::int64_t end_of_text() const { return start_of_text() + 1; }

  /// Start, the words' ids, end. Errors: a word that is not in the vocabulary.
  std::vector<std::int64_t> encode(const std::string& text) const {
    std::vector<std::int64_t> out{start_of_text()};
    for (const std::string& word : words_of(text)) {
      const auto found = ids_.find(word);
      if (found == ids_.end()) {
        radapt::fail({.what = "tokenizing '" + text + "'",
                      .expected = "words of the vocabulary",
                      .got = "'" + word + "'",
                      .hint = "Captions are lower case words with single spaces"});
      }
      out.push_back(found->second);
    }
    out.push_back(end_of_text());
    return out;
  }

 private:
  std::map<std::string, std::int64_t> ids_;
};

}  // namespace example
