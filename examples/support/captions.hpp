#pragma once
/// What can be said about a picture: captions from its facts, prompts for classes, and the words that both use.
#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "radapt/core/error.hpp"

#include "facts.hpp"
#include "random.hpp"

namespace example {

/// What a picture in a style is called: "photo", "neon sign", ...
constexpr std::string_view medium(Style style) {
  constexpr std::array<std::string_view, count_of<Style>> media{
      "photo", "sketch", "neon sign", "poster", "chalk drawing", "negative", "mosaic", "watercolour"};
  return media[static_cast<std::size_t>(style)];
}

/// Whether the colour of the object can be seen in a style; captions name nothing that cannot be seen.
constexpr bool shows_colour(Style style) { return style != Style::sketch; }
/// Whether the colour of the background can be seen in a style.
constexpr bool shows_ground_colour(Style style) {
  return style != Style::sketch && style != Style::neon && style != Style::chalk;
}

/// Whether one can see that an object is turned.
constexpr bool shows_tilt(Object object) { return object != Object::circle && object != Object::ring; }

/// The words put for the names of facts in a caption pattern:
/// {medium}, {object} (with "turned" before it where that can be seen), {plain object}, {colour}, {ground},
/// {background}, and {a}, which becomes "a" or "an" to fit the word after it.
struct CaptionPattern {
  std::string_view text;
  bool names_colour;
  bool names_ground_colour;
};

/// Captions are lower case words with single spaces and no punctuation, so that a word is a token.
inline constexpr std::array<CaptionPattern, 14> caption_patterns{{
    {"{a} {medium} of {a} {object}", false, false},
    {"{a} {medium} of {a} {object}", false, false},
    {"{a} {object}", false, false},
    {"{a} {object} on {a} {background} background", false, false},
    {"this {medium} shows {a} {object}", false, false},
    {"{a} {medium} of {a} {object} on {a} {background} background", false, false},
    {"{a} {colour} {object}", true, false},
    {"{a} {medium} of {a} {colour} {object}", true, false},
    {"{a} {medium} of {a} {colour} {object} on {a} {background} background", true, false},
    {"the {plain object} in this {medium} is {colour}", true, false},
    {"{a} {medium} of {a} {colour} {object} on {a} {ground} {background} background", true, true},
    {"{a} {colour} {object} on {ground}", true, true},
    {"{a} {ground} {background} background with {a} {colour} {object}", true, true},
    {"{a} {object} in front of {a} {ground} {background} background", false, true},
}};

/// Whether a pattern names only what can be seen in a style.
constexpr bool fits(const CaptionPattern& pattern, Style style) {
  return (shows_colour(style) || !pattern.names_colour) && (shows_ground_colour(style) || !pattern.names_ground_colour);
}

/// The words of a text, split at spaces.
inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char letter : text) {
    if (letter != ' ') {
      word += letter;
    } else if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  if (!word.empty()) { words.push_back(word); }
  return words;
}

/// Fills a pattern in with facts. Errors: a name in braces that is none of the above.
inline std::string fill_in(std::string_view pattern, const Facts& facts) {
  std::string text;
  for (std::size_t i = 0; i < pattern.size();) {
    if (pattern[i] != '{') {
      text += pattern[i++];
      continue;
    }
    const std::size_t end = pattern.find('}', i);
    // Without a closing brace the key keeps its opening one, so that it is none of the names below.
    const std::string_view key = end == std::string_view::npos ? pattern.substr(i) : pattern.substr(i + 1, end - i - 1);
    if (key == "medium") {
      text += medium(facts.style);
    } else if (key == "object") {
      text += facts.tilt == Tilt::turned && shows_tilt(facts.object) ? "turned " : "";
      text += name(facts.object);
    } else if (key == "plain object") {
      text += name(facts.object);
    } else if (key == "colour") {
      text += name(facts.colour);
    } else if (key == "ground") {
      text += name(facts.ground_colour);
    } else if (key == "background") {
      text += name(facts.background);
    } else if (key == "a") {
      text += "{a}";
    } else {
      radapt::fail({.what = "filling in the caption '" + std::string(pattern) + "'",
                    .expected = "one of {a}, {medium}, {object}, {plain object}, {colour}, {ground}, {background}",
                    .got = "'" + std::string(key) + "'",
                    .hint = "Correct the pattern"});
    }
    i = end == std::string_view::npos ? pattern.size() : end + 1;
  }
  std::string caption;
  const std::vector<std::string> words = words_of(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool vowel =
        i + 1 < words.size() && std::string_view("aeiou").find(words[i + 1][0]) != std::string_view::npos;
    caption += (i == 0 ? "" : " ") + (words[i] == "{a}" ? std::string(vowel ? "an" : "a") : words[i]);
  }
  return caption;
}

/// A random caption of a picture with these facts. It names some or all of them, and nothing that cannot be seen.
inline std::string caption(const Facts& facts, Random& random) {
  // Taken before the choice, so that the count of random numbers used does not depend on the style.
  Random choice(random.next());
  for (;;) {
    const CaptionPattern& pattern = caption_patterns[choice.below(caption_patterns.size())];
    if (fits(pattern, facts.style)) { return fill_in(pattern.text, facts); }
  }
}

/// The text of a class in one style, for a zero-shot head: "a photo of a circle".
inline std::string class_prompt(Object object, Style style = Style::photo) {
  Facts facts;
  facts.object = object;
  facts.style = style;
  return fill_in("{a} {medium} of {a} {object}", facts);
}

/// The texts of a class that a prompt ensemble averages: the object alone, and one text per style.
inline std::vector<std::string> class_prompts(Object object) {
  Facts facts;
  facts.object = object;
  std::vector<std::string> prompts{fill_in("{a} {object}", facts)};
  for (std::size_t style = 0; style < count_of<Style>; ++style) {
    prompts.push_back(class_prompt(object, static_cast<Style>(style)));
  }
  return prompts;
}

/// Every word that captions and prompts can use, in alphabetical order: the vocabulary of a word-level tokenizer.
inline std::vector<std::string> vocabulary() {
  std::set<std::string> words{"a", "an", "turned"};
  const auto add = [&words](std::string_view text) {
    for (const std::string& word : words_of(text)) { words.insert(word); }
  };
  const auto add_all = [&add](const auto& texts) {
    for (const std::string_view text : texts) { add(text); }
  };
  add_all(FactNames<Object>::all);
  add_all(FactNames<Colour>::all);
  add_all(FactNames<Background>::all);
  for (std::size_t style = 0; style < count_of<Style>; ++style) { add(medium(static_cast<Style>(style))); }
  for (const CaptionPattern& pattern : caption_patterns) {
    bool braces = false;
    std::string fixed_words;
    for (const char letter : pattern.text) {
      braces = letter == '{' || (braces && letter != '}');
      fixed_words += braces || letter == '}' ? ' ' : letter;
    }
    add(fixed_words);
  }
  return {words.begin(), words.end()};
}

/// The most words in any caption: what a tokenizer has to make room for.
inline std::size_t longest_caption() {
  Facts facts;
  facts.style = Style::neon;  // a medium of two words
  facts.object = Object::arrow;
  facts.tilt = Tilt::turned;
  std::size_t longest = 0;
  for (const CaptionPattern& pattern : caption_patterns) {
    // The two-word media hide the ground colour, but counting them anyway only makes the bound one word looser.
    longest = std::max(longest, words_of(fill_in(pattern.text, facts)).size());
  }
  return longest;
}

}  // namespace example
