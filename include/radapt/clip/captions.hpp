#pragma once
/// Captions packed at their own length, from start to end of text.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/sequences.hpp"

namespace radapt {

/// Token ids of a batch of captions, one behind the other. Everything behind end-of-text is cut off: causal attention
/// and pooling at end-of-text never read it (clip_compat.md 1.2), so no time is spent on it either.
class Captions {
 public:
  /// `context` and `vocabulary` are the model's; ids are checked against them here, once.
  Captions(Index context, Index vocabulary) : context_(context), vocabulary_(vocabulary) {}

  /// Captions for model M.
  template <class M>
  static Captions of() {
    return Captions(M::arch::context, M::arch::vocabulary);
  }

  /// Appends a caption and pools it at the first largest id: the rule of OpenAI's and open_clip's models, and of HF
  /// configs whose eos_token_id is 2. `ids` is a whole context or ends with end-of-text.
  void add(std::span<const std::int64_t> ids) {
    Index last = 0;
    for (Index t = 0; t < ids.size(); ++t) { last = ids[t] > ids[last] ? t : last; }
    append(ids, last);
  }

  /// Appends a caption and pools it at the first `end_of_text`, as HF does with any other eos_token_id. A caption
  /// without that token is an error: other libraries read position 0 then, silently.
  void add(std::span<const std::int64_t> ids, std::int64_t end_of_text) {
    for (Index t = 0; t < ids.size(); ++t) {
      if (ids[t] == end_of_text) {
        append(ids, t);
        return;
      }
    }
    fail({.what = "caption " + std::to_string(size()),
          .expected = "the end-of-text token " + std::to_string(end_of_text),
          .got = std::to_string(ids.size()) + " ids without it",
          .hint = "Truncate so that the last id is kept, or pool by the largest id"});
  }

  /// Appends caption `i` of `from`, which was checked when it was added there. Errors: there are not as many, captions
  /// of a larger context or vocabulary.
  void add(const Captions& from, Index i) {
    from.check_fit(context_, vocabulary_, "adding a caption of another batch");
    from.check_there(i);
    const Index begin = from.offsets_[i], end = from.offsets_[i + 1];
    for (Index t = begin; t < end; ++t) { ids_.push_back(from.ids_[t]); }
    offsets_.push_back(ids_.size());
  }

  /// Takes the memory for up to that many captions and tokens.
  void reserve(Index captions, Index tokens) {
    ids_.reserve(tokens);
    offsets_.reserve(captions + 1);
  }
  void clear() {
    ids_.clear();
    offsets_.assign(1, 0);
  }
  Index size() const { return offsets_.size() - 1; }
  /// What ids and lengths were checked against.
  Index context() const { return context_; }
  Index vocabulary() const { return vocabulary_; }
  /// Error: they were made for a model with a larger context or vocabulary than these.
  void check_fit(Index context, Index vocabulary, const char* what) const {
    if (context_ <= context && vocabulary_ <= vocabulary) { return; }
    const auto words = [](Index tokens, Index ids) {
      return std::to_string(tokens) + " tokens of " + std::to_string(ids);
    };
    fail({.what = what,
          .expected = "captions for a model with a context of " + words(context, vocabulary),
          .got = "captions for " + words(context_, vocabulary_),
          .hint = "Make them with Captions::of<Model>() of the model that reads them"});
  }
  const std::int32_t* ids() const { return ids_.data(); }
  Sequences sequences() const { return {.count = size(), .offsets = offsets_.data()}; }

  /// Captions first .. first + count - 1 as sequences whose rows begin at 0, written through `offsets` (count + 1),
  /// which must outlive the result; their ids begin at ids(first).
  Sequences slice(Index first, Index count, std::span<Index> offsets) const {
    for (Index i = 0; i <= count; ++i) { offsets[i] = offsets_[first + i] - offsets_[first]; }
    return {.count = count, .offsets = offsets.data()};
  }
  const std::int32_t* ids(Index first) const { return ids_.data() + offsets_[first]; }
  /// The ids of one caption. Error: there are not as many.
  std::span<const std::int32_t> caption(Index i) const {
    check_there(i);
    return {ids(i), tokens(i, 1)};
  }
  /// Tokens in captions first .. first + count - 1.
  Index tokens(Index first, Index count) const { return offsets_[first + count] - offsets_[first]; }

 private:
  void check_there(Index i) const {
    if (i < size()) { return; }
    fail({.what = "caption " + std::to_string(i),
          .expected = "one of " + std::to_string(size()),
          .got = "a number behind the last",
          .hint = "They are counted from 0"});
  }
  void append(std::span<const std::int64_t> ids, Index last) {
    if (ids.empty() || last >= context_) {
      fail({.what = "caption " + std::to_string(size()),
            .expected = "1 to " + std::to_string(context_) + " tokens up to end-of-text",
            .got = std::to_string(ids.empty() ? 0 : last + 1),
            .hint = "Truncate it to the model's context; Tokenizer::context does"});
    }
    for (Index t = 0; t <= last; ++t) {
      if (ids[t] < 0 || static_cast<Index>(ids[t]) >= vocabulary_) {
        fail({.what = "caption " + std::to_string(size()) + ", token " + std::to_string(t),
              .expected = "an id from 0 to " + std::to_string(vocabulary_ - 1),
              .got = std::to_string(ids[t]),
              .hint = "Is this the tokenizer that the model was trained with?"});
      }
    }
    for (Index t = 0; t <= last; ++t) { ids_.push_back(static_cast<std::int32_t>(ids[t])); }
    offsets_.push_back(ids_.size());
  }

  Index context_, vocabulary_;
  std::vector<std::int32_t> ids_;
  std::vector<Index> offsets_{0};
};

}  // namespace radapt
