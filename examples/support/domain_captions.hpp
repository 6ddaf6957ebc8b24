#pragma once
/// Captions for pictures of which only the domain and the class are known, and the tokenizer that reads them.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "captions.hpp"
#include "word_tokenizer.hpp"

namespace example {

/// "art_painting" as it stands in a sentence: "art painting".
inline std::string in_words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// The text with "a" turned into "an" before a vowel.
inline std::string with_articles(const std::string& text) {
  std::string out;
  const std::vector<std::string> words = words_of(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool vowel = i + 1 < words.size() && std::string("aeiouAEIOU").find(words[i + 1][0]) != std::string::npos;
    out += (i == 0 ? "" : " ") + (words[i] == "a" && vowel ? std::string("an") : words[i]);
  }
  return out;
}

/// What is said about a picture of a domain and a class. In training one of these is drawn for every picture.
inline std::vector<std::string> domain_captions(const std::string& domain, const std::string& class_name) {
  const std::string d = in_words(domain), c = in_words(class_name);
  return {with_articles("a " + d + " of a " + c), with_articles("this " + d + " shows a " + c),
          with_articles("a " + d + " with a " + c + " in it"), with_articles("the " + c + " in this " + d),
          with_articles("a " + c)};
}

/// The prompts whose features are averaged to one row of the zero-shot head: the class in every domain, and alone.
inline std::vector<std::string> class_prompts(const std::vector<std::string>& domains, const std::string& class_name) {
  std::vector<std::string> prompts{with_articles("a " + in_words(class_name))};
  for (const std::string& domain : domains) {
    prompts.push_back(with_articles("a " + in_words(domain) + " of a " + in_words(class_name)));
  }
  return prompts;
}

/// Text to token ids, from start to end of text.
using Encode = std::function<std::vector<std::int64_t>(const std::string&)>;

/// One word, one token, for the words of these domains and classes. A model trained with it cannot be used with CLIP's
/// tokenizer.
inline Encode word_encoder(const std::vector<std::string>& domains, const std::vector<std::string>& class_names) {
  std::set<std::string> words;
  for (const std::string& domain : domains) {
    for (const std::string& class_name : class_names) {
      for (const std::string& caption : domain_captions(domain, class_name)) {
        for (const std::string& word : words_of(caption)) { words.insert(word); }
      }
      for (const std::string& prompt : class_prompts(domains, class_name)) {
        for (const std::string& word : words_of(prompt)) { words.insert(word); }
      }
    }
  }
  return [tokenizer = WordTokenizer({words.begin(), words.end()})](const std::string& text) {
    return tokenizer.encode(text);
  };
}

}  // namespace example
