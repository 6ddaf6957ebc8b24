#pragma once
/// Byte-level byte-pair encoding: the 256 byte symbols, and the merging of a word's symbols into tokens.
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "radapt/clip/tokenizer/unicode_text.hpp"
#include "radapt/core/error.hpp"

namespace radapt {

/// The characters that stand for the 256 bytes in a vocabulary, in the order of their ids: first the 188 bytes that are
/// printable in Latin-1, as themselves, and then the other 68 in ascending order, as U+0100, U+0101 and so on.
struct ByteSymbols {
  std::array<std::uint8_t, 256> byte_of_id{};
  std::array<char32_t, 256> symbol_of_byte{};

  constexpr ByteSymbols() {
    std::size_t id = 0;
    for (const bool printable : {true, false}) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        const bool own = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        if (own != printable) { continue; }
        symbol_of_byte[byte] = own ? static_cast<char32_t>(byte) : static_cast<char32_t>(0x100 + id - 188);
        byte_of_id[id++] = static_cast<std::uint8_t>(byte);
      }
    }
  }
};
inline constexpr ByteSymbols byte_symbols{};

/// The symbol of `byte` as UTF-8.
inline std::string byte_symbol(std::uint8_t byte) {
  std::string out;
  append_utf8(out, byte_symbols.symbol_of_byte[byte]);
  return out;
}

/// The bytes that a token's characters stand for. A character that stands for no byte yields its own UTF-8.
inline std::string bytes_of_symbols(std::string_view token) {
  std::string out;
  for (const char32_t c : decode_utf8(token, "a token")) {
    if (c < 0x100 && byte_symbols.symbol_of_byte[c] == c) {
      out += static_cast<char>(c);
    } else if (c >= 0x100 && c < 0x100 + 68) {
      out += static_cast<char>(byte_symbols.byte_of_id[188 + (c - 0x100)]);
    } else {
      append_utf8(out, c);
    }
  }
  return out;
}

using TokenIds = std::unordered_map<std::string, std::int64_t>;
using Merges = std::vector<std::pair<std::string, std::string>>;

/// The suffix that the last symbol of a word carries in CLIP's vocabularies.
inline constexpr std::string_view end_of_word = "</w>";

/// Which of several equal merges a round performs. The outcome differs only where a merge ranks before the merge that
/// makes one of its parts, which no trained vocabulary has.
enum class MergeOrder {
  all_of_one_rank,  ///< every occurrence of the pair of lowest rank, left to right, and only then the next rank
                    ///< (OpenAI)
  one_at_a_time,    ///< the leftmost occurrence of the pair of lowest rank, and then a fresh choice (tokenizers)
};

/// The parts of a `BytePairEncoding`.
struct BytePairRules {
  TokenIds ids{};                            ///< distinct ids from 0 to 2^31 - 1
  Merges merges{};                           ///< by rank; both parts and their concatenation have ids
  std::string suffix{end_of_word};           ///< of the last symbol of a word; may be empty
  std::optional<std::int64_t> unknown_id{};  ///< for symbols without an id
  MergeOrder order = MergeOrder::all_of_one_rank;
};

/// Turns the bytes of one word into token ids. Immutable, so that any number of threads may use one.
class BytePairEncoding {
 public:
  /// `what` names the vocabulary in errors: a merge that occurs twice, or whose parts or result have no id.
  explicit BytePairEncoding(const BytePairRules& rules, const std::string& what)
      : unknown_(rules.unknown_id), order_(rules.order) {
    const auto id_of = [&](const std::string& token) {
      const auto found = rules.ids.find(token);
      return found == rules.ids.end() ? absent : static_cast<std::int32_t>(found->second);
    };
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::string symbol = byte_symbol(static_cast<std::uint8_t>(byte));
      inner_[byte] = id_of(symbol);
      last_[byte] = id_of(symbol + rules.suffix);
    }
    merges_.reserve(rules.merges.size());
    for (std::size_t rank = 0; rank < rules.merges.size(); ++rank) {
      const auto& [left, right] = rules.merges[rank];
      const std::string name = "merge " + std::to_string(rank + 1) + " ('" + left + "', '" + right + "') of " + what;
      if (left.empty() || right.empty()) { fail({.what = name, .expected = "two parts", .got = "an empty one"}); }
      for (const std::string& token : {left, right, left + right}) {
        if (id_of(token) == absent) {
          fail({.what = name, .expected = "an id for each part and for the whole", .got = "none for '" + token + "'"});
        }
      }
      const Merge merge{static_cast<std::int32_t>(rank), id_of(left + right)};
      const bool first = merges_.emplace(pair_key(id_of(left), id_of(right)), merge).second;
      if (!first) { fail({.what = name, .expected = "each merge once", .got = "one that occurred before"}); }
    }
  }

  /// Appends the ids of the word with these bytes. Fails for a byte without an id where there is no unknown id.
  void append_word(std::string_view bytes, std::vector<std::int64_t>& out) const {
    if (bytes.empty()) { return; }
    std::vector<Part> parts(bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      parts[i] = {symbol_id(static_cast<std::uint8_t>(bytes[i]), i + 1 == bytes.size()), i - 1, i + 1};
    }
    merge(parts);
    for (std::size_t i = 0; i < parts.size(); i = parts[i].next) { out.push_back(parts[i].id); }
  }

 private:
  static constexpr std::int32_t absent = -1;
  static constexpr std::int32_t swallowed = -2;  // the id of a part that its left neighbour has taken in

  /// A token of the word, linked to its neighbours; `next` of the last is the word's size.
  struct Part {
    std::int32_t id;
    std::size_t previous, next;
  };
  struct Merge {
    std::int32_t rank, id;
  };
  /// A pair that can be merged. It is stale once either part has changed.
  struct Candidate {
    std::int32_t rank;
    std::size_t at;
    std::int32_t left, right, result;
    friend bool operator>(const Candidate& a, const Candidate& b) {
      return std::tie(a.rank, a.at) > std::tie(b.rank, b.at);
    }
  };

  static std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U) | static_cast<std::uint32_t>(right);
  }

  std::int32_t symbol_id(std::uint8_t byte, bool last) const {
    const std::int32_t id = (last ? last_ : inner_)[byte];
    if (id != absent) { return id; }
    if (!unknown_) {
      fail({.what = "encoding text",
            .expected = "an id for every byte, or an unknown token",
            .got = "none for byte " + std::to_string(byte) + (last ? " at the end of a word" : " inside a word")});
    }
    return static_cast<std::int32_t>(*unknown_);
  }

  void merge(std::vector<Part>& parts) const {
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    std::vector<Candidate> later;  // pairs that came up while their round was running
    const auto candidate_at = [&](std::size_t at) -> std::optional<Candidate> {
      if (at >= parts.size() || parts[at].next >= parts.size()) { return std::nullopt; }
      const std::int32_t left = parts[at].id, right = parts[parts[at].next].id;
      const auto found = merges_.find(pair_key(left, right));
      if (found == merges_.end()) { return std::nullopt; }
      return Candidate{found->second.rank, at, left, right, found->second.id};
    };
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      if (const auto candidate = candidate_at(i)) { queue.push(*candidate); }
    }
    while (!queue.empty()) {
      const std::int32_t rank = queue.top().rank;
      do {
        const Candidate best = queue.top();
        queue.pop();
        Part& left = parts[best.at];
        if (left.id != best.left || left.next >= parts.size() || parts[left.next].id != best.right) { continue; }
        Part& right = parts[left.next];
        left.id = best.result;
        left.next = right.next;
        right.id = swallowed;
        if (left.next < parts.size()) { parts[left.next].previous = best.at; }
        for (const std::size_t at : {left.previous, best.at}) {
          if (const auto candidate = candidate_at(at)) { later.push_back(*candidate); }
        }
      } while (order_ == MergeOrder::all_of_one_rank && !queue.empty() && queue.top().rank == rank);
      for (const Candidate& candidate : later) { queue.push(candidate); }
      later.clear();
    }
  }

  std::array<std::int32_t, 256> inner_{}, last_{};
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::optional<std::int64_t> unknown_;
  MergeOrder order_;
};

}  // namespace radapt
