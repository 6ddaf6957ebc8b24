#pragma once
/// Pools of phrases that are put into captions: StarFT's spurious captions (methods.md 4.2).
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/clip/captions.hpp"
#include "radapt/clip/zero_shot.hpp"
#include "radapt/core/error.hpp"
#include "radapt/core/random.hpp"

namespace radapt {

/// Which draw of a run: the phrase of a sample is a function of these three numbers, whatever was drawn before.
struct PhraseDraw {
  std::uint64_t seed = 0, step = 0, sample = 0;
};

/// What is wrong with a phrase, or nothing: one {} for the caption, no line breaks, no other braces.
inline std::string_view phrase_fault(std::string_view phrase) {
  const std::size_t at = phrase.find("{}");
  if (at == std::string_view::npos) { return "a phrase without {}"; }
  if (phrase.find_first_of("{}", at + 2) != std::string_view::npos ||
      phrase.substr(0, at).find_first_of("{}") != std::string_view::npos) {
    return "more braces than one {}";
  }
  for (const char c : phrase) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) { return "a control character"; }
  }
  return {};
}

/// A list of templates whose {} takes the caption of a class without its full stop: "{} on a beach." makes "a photo of
/// a dog on a beach." of "a photo of a dog.". Phrases know no classes.
class PhrasePool {
 public:
  /// Errors: no phrase at all, or one with `phrase_fault`.
  explicit PhrasePool(std::vector<std::string> phrases) : phrases_(std::move(phrases)) {
    if (phrases_.empty()) {
      fail({.what = "a pool of spurious phrases", .expected = "at least one phrase", .got = "none", .hint = ""});
    }
    for (const std::string& phrase : phrases_) {
      if (const std::string_view fault = phrase_fault(phrase); !fault.empty()) {
        fail({.what = "spurious phrase '" + phrase + "'",
              .expected = "{} once, where the caption goes",
              .got = std::string(fault),
              .hint = "For example: {} on a beach."});
      }
    }
  }
  explicit PhrasePool(std::span<const std::string_view> phrases)
      : PhrasePool(std::vector<std::string>(phrases.begin(), phrases.end())) {}

  /// This pool with the phrases of another behind its own.
  PhrasePool& add(const PhrasePool& other) {
    const std::vector<std::string> more = other.phrases_;  // `other` may be this pool
    phrases_.insert(phrases_.end(), more.begin(), more.end());
    return *this;
  }

  const std::vector<std::string>& phrases() const { return phrases_; }

  /// The phrase of a sample in a step; all are equally likely.
  const std::string& phrase(PhraseDraw at) const {
    const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
    // A key of its own, so that phrases and the masks of adapter dropping share no numbers.
    constexpr std::uint32_t own = 0x53545246u;
    const std::uint32_t word =
        philox({low(at.sample), high(at.sample), low(at.step), high(at.step)}, {low(at.seed) ^ own, high(at.seed)})[0];
    return phrases_[static_cast<std::size_t>((std::uint64_t{word} * phrases_.size()) >> 32)];
  }

  /// The class caption with the phrase of a sample. Prefix phrases give "crumpled a photo of a dog.", as published.
  std::string caption(std::string_view class_caption, PhraseDraw at) const {
    if (class_caption.ends_with('.')) { class_caption.remove_suffix(1); }
    return fill_template(phrase(at), std::string(class_caption));
  }

 private:
  std::vector<std::string> phrases_;
};

/// Appends a spurious caption for every one of `captions`: with the first captions in front of them, `to` is what
/// PairBatch::captions of a loss with SpuriousAlignment holds. `encode(text)` gives the ids of a text, ended; `step` is
/// that of the trainer.
template <class Encode>
void add_spurious(Captions& to, std::span<const std::string> captions, const PhrasePool& pool, std::uint64_t seed,
                  std::uint64_t step, Encode&& encode) {
  for (std::size_t i = 0; i < captions.size(); ++i) {
    to.add(encode(pool.caption(captions[i], {.seed = seed, .step = step, .sample = i})));
  }
}

}  // namespace radapt
