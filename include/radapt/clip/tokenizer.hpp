#pragma once
/// The tokenizer of CLIP's text encoders: byte-level byte-pair encoding with the text rules of OpenAI, open_clip or
/// transformers.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "radapt/clip/tokenizer/byte_pair_encoding.hpp"
#include "radapt/clip/tokenizer/html_unescape.hpp"
#include "radapt/clip/tokenizer/text_pieces.hpp"
#include "radapt/clip/tokenizer/text_repair.hpp"
#include "radapt/clip/tokenizer/tokenizer_json.hpp"
#include "radapt/clip/tokenizer/unicode_text.hpp"
#include "radapt/clip/tokenizer/vocabulary.hpp"
#include "radapt/core/error.hpp"

namespace radapt {

/// Whose tokenizer to reproduce. The rules differ in what becomes of a text before it is split, in the markers that a
/// text may contain, and in the padding; the byte-pair encoding is the same.
enum class TokenizerRules {
  /// Text repair, HTML character references replaced twice, white space collapsed, full lower-casing. The markers are
  /// `<|startoftext|>` and `<|endoftext|>`, in any case. Padding with 0.
  openai,
  /// As openai, but with the markers `<start_of_text>` and `<end_of_text>`.
  open_clip,
  /// Canonical composition, white space collapsed, lower-casing character by character, as the tokenizers library does
  /// for transformers. The markers are `<|startoftext|>` and `<|endoftext|>`, in small letters. Padding with the end
  /// marker.
  huggingface,
};

/// The number of ids that CLIP's text encoders take.
inline constexpr std::size_t clip_context_length = 77;

/// What may be chosen about a tokenizer.
struct TokenizerOptions {
  TokenizerRules rules = TokenizerRules::openai;
  /// Whether texts are repaired first (`repair_text`). Unset: yes with the rules of OpenAI and open_clip, which use
  /// ftfy for it, and no with those of transformers, which do not repair.
  std::optional<bool> repair_text = std::nullopt;
  /// The token whose id stands for a byte that the vocabulary lacks. Unset: what the vocabulary's files say.
  std::optional<std::string> unknown_token = std::nullopt;
  /// The token whose id fills a context. Unset: what the files say, and else what the rules say.
  std::optional<std::string> padding_token = std::nullopt;
};

/// Turns texts into token ids and back. Immutable, so that any number of threads may use one.
///
/// Every factory throws `radapt::error` for a file that is missing, damaged or not a CLIP vocabulary.
class Tokenizer {
 public:
  /// From OpenAI's and open_clip's `bpe_simple_vocab_16e6.txt.gz`, which may be unpacked.
  static Tokenizer from_bpe_file(const std::filesystem::path& path, const TokenizerOptions& options = {}) {
    return Tokenizer(read_bpe_file(path, markers_of(options.rules)), options);
  }

  /// From `merges` alone, by CLIP's rule: ids 0 to 255 are the bytes, 256 to 511 the bytes at the end of a word, 512 +
  /// k is merge k, and then come the start and the end marker. No merges at all make a tokenizer of bytes.
  static Tokenizer from_merges(Merges merges, const TokenizerOptions& options = {}) {
    return Tokenizer(clip_vocabulary(std::move(merges), markers_of(options.rules), "the given merges"), options);
  }

  /// From transformers' `vocab.json` and `merges.txt`.
  static Tokenizer from_vocabulary_files(const std::filesystem::path& vocab_json,
                                         const std::filesystem::path& merges_txt,
                                         const TokenizerOptions& options = {.rules = TokenizerRules::huggingface}) {
    return Tokenizer(read_vocabulary_files(vocab_json, merges_txt), options);
  }

  /// From the tokenizers library's `tokenizer.json` with a BPE model. With the rules of transformers its normaliser is
  /// carried out as written; with other rules only its vocabulary and markers count.
  static Tokenizer from_tokenizer_json(const std::filesystem::path& path,
                                       const TokenizerOptions& options = {.rules = TokenizerRules::huggingface}) {
    return Tokenizer(TokenizerJson(path).read(options.rules == TokenizerRules::huggingface), options);
  }

  /// From what `folder` holds: `tokenizer.json`, or else `vocab.json` and `merges.txt`, or else
  /// `bpe_simple_vocab_16e6.txt.gz`. Without `options` the rules are open_clip's beside an `open_clip_config.json` that
  /// names no tokenizer of transformers; else the first two have those of transformers and the last those of OpenAI.
  /// With the rules of transformers, `tokenizer_config.json` and `special_tokens_map.json` are asked for the padding
  /// token and, beside `vocab.json`, the unknown token.
  static Tokenizer from_folder(const std::filesystem::path& folder,
                               const std::optional<TokenizerOptions>& options = std::nullopt) {
    const auto has = [&](const char* name) { return std::filesystem::exists(folder / name); };
    const bool json = has("tokenizer.json"), pair = has("vocab.json") && has("merges.txt");
    constexpr const char* list = "bpe_simple_vocab_16e6.txt.gz";
    if (!json && !pair) {
      if (!has(list)) {
        fail({.what = "looking for a tokenizer in '" + folder.string() + "'",
              .expected = std::string("tokenizer.json, vocab.json with merges.txt, or ") + list,
              .got = "none of them"});
      }
      return from_bpe_file(folder / list,
                           options.value_or(TokenizerOptions{.rules = rules_beside(folder, TokenizerRules::openai)}));
    }
    TokenizerOptions chosen =
        options.value_or(TokenizerOptions{.rules = rules_beside(folder, TokenizerRules::huggingface)});
    if (chosen.rules == TokenizerRules::huggingface) {
      if (!chosen.padding_token) { chosen.padding_token = configured_token(folder, "pad_token"); }
      if (!chosen.unknown_token && !json) { chosen.unknown_token = configured_token(folder, "unk_token"); }
    }
    return json ? from_tokenizer_json(folder / "tokenizer.json", chosen)
                : from_vocabulary_files(folder / "vocab.json", folder / "merges.txt", chosen);
  }

  /// The ids of `text`, without start and end marker and of any length. Fails for text that is not UTF-8.
  std::vector<std::int64_t> encode(std::string_view text) const {
    std::u32string characters = decode_utf8(text, "a text to tokenize");
    if (repairs_) { characters = radapt::repair_text(characters); }
    std::vector<std::int64_t> ids;
    if (rules_ == TokenizerRules::huggingface) {
      encode_normalized(characters, ids);
    } else {
      characters = collapse_white_space(strip(unescape_html(unescape_html(characters))));
      encode_pieces(lower_case(strip(characters)), true, ids);
    }
    return ids;
  }

  /// The input of a text encoder: the start marker, the ids of `text`, the end marker, and padding up to `length` ids.
  /// Of a text with more than `length - 2` ids the first are kept; the end marker is always there.
  std::vector<std::int64_t> context(std::string_view text, std::size_t length = clip_context_length) const {
    if (length < 2) {
      fail({.what = "assembling a context",
            .expected = "a length of at least 2, for the two markers",
            .got = std::to_string(length)});
    }
    std::vector<std::int64_t> ids = encode(text);
    ids.resize(std::min(ids.size(), length - 2));
    ids.insert(ids.begin(), start_);
    ids.push_back(end_);
    ids.resize(length, padding_);
    return ids;
  }

  /// The contexts of several texts, one row of `length` ids after the other.
  std::vector<std::int64_t> contexts(const std::vector<std::string>& texts,
                                     std::size_t length = clip_context_length) const {
    std::vector<std::int64_t> rows;
    rows.reserve(texts.size() * length);
    for (const std::string& text : texts) {
      const std::vector<std::int64_t> row = context(text, length);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
  }

  /// The text of `ids` up to the first end marker, without start markers. Words have one space between them, which is
  /// not always how they were written; bytes that are no UTF-8 become U+FFFD. Fails for an id that the vocabulary
  /// lacks.
  std::string decode(const std::vector<std::int64_t>& ids) const {
    std::string bytes;
    for (const std::int64_t id : ids) {
      if (id == end_) { break; }
      if (id == start_) { continue; }
      const auto found = token_of_.find(id);
      if (found == token_of_.end()) {
        fail({.what = "decoding token ids",
              .expected = "ids of " + name_ + ", which are below " + std::to_string(vocabulary_size_),
              .got = std::to_string(id)});
      }
      std::string_view token = found->second;
      const bool ends_word = !suffix_.empty() && token.size() > suffix_.size() && token.ends_with(suffix_);
      if (ends_word) { token.remove_suffix(suffix_.size()); }
      bytes += bytes_of_symbols(token);
      if (ends_word) { bytes += ' '; }
    }
    if (bytes.ends_with(' ')) { bytes.pop_back(); }
    return replace_malformed_utf8(bytes);
  }

  /// The id of the marker at the start of a text.
  std::int64_t start_of_text() const { return start_; }
  /// The id of the marker at the end of a text, at whose place the text encoder reads its feature.
  std::int64_t end_of_text() const { return end_; }
  /// The id that fills a context behind the end marker.
  std::int64_t padding() const { return padding_; }
  /// One more than the largest id: the rows that an embedding of these tokens needs.
  std::int64_t vocabulary_size() const { return vocabulary_size_; }
  /// The rules that were chosen.
  TokenizerRules rules() const { return rules_; }
  /// Whether texts are repaired before anything else.
  bool repairs_text() const { return repairs_; }

 private:
  Tokenizer(const Vocabulary& vocabulary, const TokenizerOptions& options)
      : name_(vocabulary.what),
        rules_(options.rules),
        repairs_(options.repair_text.value_or(options.rules != TokenizerRules::huggingface)),
        suffix_(vocabulary.suffix),
        start_(id_of(vocabulary, vocabulary.start_token, "the start marker")),
        end_(id_of(vocabulary, vocabulary.end_token, "the end marker")),
        padding_(padding_of(vocabulary, options)),
        steps_(vocabulary.steps),
        splits_at_markers_(vocabulary.splits_at_markers),
        encoding_(rules_of(vocabulary, options), vocabulary.what) {
    if (start_ == end_) {
      fail({.what = "reading " + name_, .expected = "two markers", .got = "the same token at both ends"});
    }
    for (const auto& [token, id] : vocabulary.ids) {
      decode_utf8(token, "a token of " + name_);
      token_of_.emplace(id, token);
      vocabulary_size_ = std::max(vocabulary_size_, id + 1);
    }
    if (rules_ == TokenizerRules::huggingface) {
      gather_added_tokens(vocabulary);
    } else {
      const auto& markers = markers_of(rules_);
      markers_ = {{decode_utf8(markers[0], "a marker"), start_}, {decode_utf8(markers[1], "a marker"), end_}};
    }
  }

  static const std::array<std::string_view, 2>& markers_of(TokenizerRules rules) {
    return rules == TokenizerRules::open_clip ? open_clip_markers : openai_markers;
  }

  static std::int64_t id_of(const Vocabulary& vocabulary, const std::string& token, const std::string& role) {
    const auto found = vocabulary.ids.find(token);
    if (found == vocabulary.ids.end()) {
      fail({.what = "looking for " + role + " in " + vocabulary.what,
            .expected = "an id for '" + replace_malformed_utf8(token) + "'",
            .got = "none"});
    }
    return found->second;
  }

  static std::int64_t padding_of(const Vocabulary& vocabulary, const TokenizerOptions& options) {
    const bool as_files_say = options.rules == TokenizerRules::huggingface;
    const std::optional<std::string> named =
        options.padding_token || !as_files_say ? options.padding_token : vocabulary.padding_token;
    if (named) { return id_of(vocabulary, *named, "the padding token"); }
    return as_files_say ? id_of(vocabulary, vocabulary.end_token, "the end marker") : 0;
  }

  static BytePairRules rules_of(const Vocabulary& vocabulary, const TokenizerOptions& options) {
    BytePairRules rules{.ids = vocabulary.ids, .merges = vocabulary.merges, .suffix = vocabulary.suffix};
    const std::optional<std::string>& unknown =
        options.unknown_token ? options.unknown_token : vocabulary.unknown_token;
    if (unknown) { rules.unknown_id = id_of(vocabulary, *unknown, "the unknown token"); }
    rules.order =
        options.rules == TokenizerRules::huggingface ? MergeOrder::one_at_a_time : MergeOrder::all_of_one_rank;
    return rules;
  }

  /// open_clip's rules beside its configuration, unless that names a tokenizer of transformers; else `otherwise`.
  static TokenizerRules rules_beside(const std::filesystem::path& folder, TokenizerRules otherwise) {
    const std::filesystem::path path = folder / "open_clip_config.json";
    if (!std::filesystem::exists(path)) { return otherwise; }
    const nlohmann::json file = parse_json(read_vocabulary_text(path), "read '" + path.string() + "'");
    const auto name = nlohmann::json::json_pointer("/model_cfg/text_cfg/hf_tokenizer_name");
    const bool names_another = file.is_object() && file.contains(name) && !file.at(name).is_null();
    return names_another ? otherwise : TokenizerRules::open_clip;
  }
  /// The token that a configuration file in `folder` names under `key`, as text or as an object with its content.
  static std::optional<std::string> configured_token(const std::filesystem::path& folder, const char* key) {
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
      const std::filesystem::path path = folder / name;
      if (!std::filesystem::exists(path)) { continue; }
      const std::string what = "read '" + path.string() + "'";
      const nlohmann::json file = parse_json(read_vocabulary_text(path), what);
      if (!file.is_object()) { fail({.what = what, .expected = "an object", .got = file.dump().substr(0, 80)}); }
      const auto found = file.find(key);
      if (found == file.end() || found->is_null()) { continue; }
      const nlohmann::json token = found->is_object() ? found->value("content", nlohmann::json()) : *found;
      if (!token.is_string()) {
        fail({.what = what, .expected = std::string("a token as ") + key, .got = found->dump().substr(0, 80)});
      }
      return token.get<std::string>();
    }
    return std::nullopt;
  }

  /// Tokens looked for in the text as given come first, then those of the normalised text, whose own text is
  /// normalised.
  void gather_added_tokens(const Vocabulary& vocabulary) {
    for (AddedToken token : vocabulary.added) {
      if (token.normalized) { token.content = normalize(token.content); }
      if (!token.content.empty()) { (token.normalized ? late_added_ : markers_).push_back(std::move(token)); }
    }
    for (const std::string& marker : {vocabulary.start_token, vocabulary.end_token}) {
      const std::int64_t id = vocabulary.ids.at(marker);
      const auto same = [&](const AddedToken& token) { return token.id == id; };
      const bool known = std::any_of(vocabulary.added.begin(), vocabulary.added.end(), same);
      if (!known) { markers_.push_back({decode_utf8(marker, "a marker"), id, false}); }
    }
  }

  std::u32string normalize(std::u32string_view text) const {
    std::u32string out(text);
    for (const NormalizerStep step : steps_) {
      switch (step) {
        case NormalizerStep::compose:
          out = compose(out);
          break;
        case NormalizerStep::collapse_white_space:
          out = collapse_white_space(out);
          break;
        case NormalizerStep::lower_case_each:
          out = lower_case_each(out);
          break;
      }
    }
    return out;
  }

  /// Splits `text` at `tokens`, the longest one at the leftmost place first, appends the ids of those found and hands
  /// what lies between them to `rest`.
  template <class Rest>
  static void split_at_tokens(std::u32string_view text, const std::vector<AddedToken>& tokens,
                              std::vector<std::int64_t>& ids, Rest rest) {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
      const AddedToken* longest = nullptr;
      for (const AddedToken& token : tokens) {
        const bool longer = longest == nullptr || token.content.size() > longest->content.size();
        if (longer && text.substr(at).starts_with(token.content)) { longest = &token; }
      }
      if (longest == nullptr) {
        ++at;
        continue;
      }
      rest(text.substr(begin, at - begin));
      ids.push_back(longest->id);
      at += longest->content.size();
      begin = at;
    }
    rest(text.substr(begin));
  }

  void encode_normalized(std::u32string_view text, std::vector<std::int64_t>& ids) const {
    split_at_tokens(text, markers_, ids, [&](std::u32string_view given) {
      split_at_tokens(normalize(given), late_added_, ids,
                      [&](std::u32string_view normalized) { encode_pieces(normalized, false, ids); });
    });
  }

  /// Encodes piece by piece. `with_markers`: pieces that spell a marker become its id; case is ignored then.
  void encode_pieces(std::u32string_view text, bool with_markers, std::vector<std::int64_t>& ids) const {
    std::vector<std::u32string_view> markers;
    if (with_markers) {
      markers = {markers_[0].content, markers_[1].content};
    } else if (splits_at_markers_) {
      const std::vector<std::u32string_view> ends{U"<|startoftext|>", U"<|endoftext|>"};
      for_each_piece(text, ends, false, [&](std::u32string_view piece) {
        for_each_piece(piece, markers, false,
                       [&](std::u32string_view part) { encoding_.append_word(encode_utf8(part), ids); });
      });
      return;
    }
    for_each_piece(text, markers, with_markers, [&](std::u32string_view piece) {
      const auto marker = std::find(markers.begin(), markers.end(), piece);
      if (marker != markers.end()) {
        ids.push_back(markers_[static_cast<std::size_t>(marker - markers.begin())].id);
      } else {
        encoding_.append_word(encode_utf8(piece), ids);
      }
    });
  }

  std::string name_;
  TokenizerRules rules_;
  bool repairs_;
  std::string suffix_;
  std::int64_t start_, end_, padding_;
  std::int64_t vocabulary_size_ = 0;
  std::vector<NormalizerStep> steps_;
  bool splits_at_markers_;
  std::vector<AddedToken> markers_;     ///< looked for in the text as given
  std::vector<AddedToken> late_added_;  ///< looked for in the normalised text
  BytePairEncoding encoding_;
  std::unordered_map<std::int64_t, std::string> token_of_;
};

}  // namespace radapt
