#pragma once
/// The content of a vocabulary, and how CLIP's text formats hold it: the list of merges, vocab.json and merges.txt.
#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "radapt/clip/tokenizer/byte_pair_encoding.hpp"
#include "radapt/clip/tokenizer/unicode_text.hpp"
#include "radapt/core/error.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/quoted_name.hpp"

namespace radapt {

/// The merges that CLIP takes from its list, which has more: they make 512 + 48894 + 2 = 49408 tokens.
inline constexpr std::size_t clip_merge_count = 48894;

/// The most bytes that a vocabulary file may have, packed or unpacked; CLIP's has 3.1 MB.
inline constexpr std::size_t most_vocabulary_bytes = std::size_t{1} << 28U;

/// The two spellings of the markers: of OpenAI and transformers, and of open_clip.
inline constexpr std::array<std::string_view, 2> openai_markers{"<|startoftext|>", "<|endoftext|>"};
inline constexpr std::array<std::string_view, 2> open_clip_markers{"<start_of_text>", "<end_of_text>"};

/// A token that is found in a text as it stands, before any splitting into pieces.
struct AddedToken {
  std::u32string content;
  std::int64_t id = 0;
  bool normalized = false;  ///< it is looked for in the normalised text, else in the text as given
};

/// One step of the normalisation that a tokenizer.json asks for.
enum class NormalizerStep { compose, collapse_white_space, lower_case_each };

/// Everything that a vocabulary's files say.
struct Vocabulary {
  std::string what;  ///< names the vocabulary in errors
  TokenIds ids;      ///< of all tokens, the markers included
  Merges merges;
  std::string suffix{end_of_word};
  std::optional<std::string> unknown_token;
  std::string start_token, end_token;
  std::optional<std::string> padding_token;
  std::vector<AddedToken> added;  ///< besides start and end token
  std::vector<NormalizerStep> steps{NormalizerStep::compose, NormalizerStep::collapse_white_space,
                                    NormalizerStep::lower_case_each};
  bool splits_at_markers = false;  ///< pieces end where CLIP's markers do, spelled in the text
};

/// A vocabulary's file as text.
inline std::string read_vocabulary_text(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path, most_vocabulary_bytes);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// The content of gzip data; `what` names it in the error for data that is cut short or damaged.
inline std::string unpack_gzip(std::string_view packed, const std::string& what) {
  struct Stream : z_stream {
    Stream() : z_stream{} {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { inflateEnd(this); }
  } stream;
  constexpr int gzip_only = 16 + MAX_WBITS;
  if (inflateInit2(&stream, gzip_only) != Z_OK) { fail({.what = what, .got = "no memory to unpack it"}); }
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());  // at most most_vocabulary_bytes
  std::string out;
  std::array<char, 65536> chunk{};
  for (int state = Z_OK; state != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    state = inflate(&stream, Z_NO_FLUSH);
    if (state == Z_BUF_ERROR || (state == Z_OK && stream.avail_in == 0 && stream.avail_out != 0)) {
      fail({.what = what,
            .expected = "complete gzip data",
            .got = "data that ends early",
            .hint = "The file was cut short: fetch it again."});
    }
    if (state != Z_OK && state != Z_STREAM_END) {
      fail({.what = what,
            .expected = "gzip data",
            .got = stream.msg != nullptr ? stream.msg : "damaged data",
            .hint = "The file is damaged: fetch it again."});
    }
    out.append(chunk.data(), chunk.size() - stream.avail_out);
    if (out.size() > most_vocabulary_bytes) {
      fail({.what = what,
            .expected = "at most " + std::to_string(most_vocabulary_bytes) + " bytes when unpacked",
            .got = "more"});
    }
  }
  if (stream.avail_in != 0) {
    fail({.what = what,
          .expected = "one gzip stream",
          .got = std::to_string(stream.avail_in) + " bytes behind its end"});
  }
  return out;
}

/// Splits `left right` at its one space; `where` names the line in the error.
inline std::pair<std::string, std::string> parse_merge(std::string_view line, const std::string& where) {
  const std::size_t space = line.find(' ');
  const bool two_parts = space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
                         line.find(' ', space + 1) == std::string_view::npos;
  if (!two_parts) {
    fail(
        {.what = where, .expected = "two symbols with one space between them", .got = quoted_name(line.substr(0, 80))});
  }
  decode_utf8(line, where);
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

/// The merges in `text`: one a line, after a first line that begins with or names a `#version`; at most `most` of them,
/// what follows is ignored. `needs_version` makes that first line compulsory.
inline Merges parse_merges(std::string_view text, const std::string& what, std::size_t most, bool needs_version) {
  Merges merges;
  for (std::size_t number = 1; !text.empty() && merges.size() < most; ++number) {
    const std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.ends_with('\r')) { line.remove_suffix(1); }
    const std::string where = "line " + std::to_string(number) + " of " + what;
    if (number == 1) {
      const bool version = line.find("#version") != std::string_view::npos;
      if (version) { continue; }
      if (needs_version) {
        fail({.what = where,
              .expected = "a line with '#version' in it",
              .got = quoted_name(line.substr(0, 80)),
              .hint = "This is not CLIP's list of merges."});
      }
    }
    merges.push_back(parse_merge(line, where));
  }
  return merges;
}

/// The vocabulary that CLIP makes of its merges: ids 0 to 255 are the byte symbols, 256 to 511 the same at the end of a
/// word, 512 + k is merge k, and the last two are the start and the end of a text.
inline Vocabulary clip_vocabulary(Merges merges, const std::array<std::string_view, 2>& markers, std::string what) {
  Vocabulary vocabulary;
  vocabulary.what = std::move(what);
  vocabulary.ids.reserve(merges.size() + 514);
  const auto add = [&](std::string token) {
    const auto id = static_cast<std::int64_t>(vocabulary.ids.size());
    const auto [found, is_first] = vocabulary.ids.emplace(std::move(token), id);
    if (!is_first) {
      fail({.what = "reading " + vocabulary.what,
            .expected = "a new token from every merge",
            .got = "'" + replace_malformed_utf8(found->first) + "' again at id " + std::to_string(id) + " after id " +
                   std::to_string(found->second)});
    }
  };
  for (const std::string_view suffix : {std::string_view{}, end_of_word}) {
    for (const std::uint8_t byte : byte_symbols.byte_of_id) { add(byte_symbol(byte) + std::string(suffix)); }
  }
  for (const auto& [left, right] : merges) { add(left + right); }
  for (const std::string_view marker : markers) { add(std::string(marker)); }
  vocabulary.merges = std::move(merges);
  vocabulary.start_token = markers[0];
  vocabulary.end_token = markers[1];
  return vocabulary;
}

/// JSON from `text`. Errors: a key twice in an object, since one of the values would be lost; more than 32 levels,
/// since what follows walks over values by calling itself.
inline nlohmann::json parse_json(const std::string& text, const std::string& what) {
  std::vector<std::unordered_set<std::string>> keys;
  constexpr int most_levels = 32;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    const bool begins =
        event == nlohmann::json::parse_event_t::object_start || event == nlohmann::json::parse_event_t::array_start;
    if (begins && depth >= most_levels) {
      fail({.what = what, .expected = "at most " + std::to_string(most_levels) + " levels of nesting", .got = "more"});
    }
    if (event == nlohmann::json::parse_event_t::object_start) { keys.emplace_back(); }
    if (event == nlohmann::json::parse_event_t::object_end) { keys.pop_back(); }
    if (event == nlohmann::json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      fail({.what = what, .expected = "each key once", .got = "'" + parsed.get<std::string>() + "' twice"});
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch);
  } catch (const nlohmann::json::exception& problem) {
    fail({.what = what, .expected = "well-formed JSON", .got = problem.what()});
  }
}

/// A token id from JSON: an integer from 0 to 2^31 - 1. `where` names it in the error.
inline std::int64_t parse_token_id(const nlohmann::json& value, const std::string& where) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7FFFFFFF) {
    fail({.what = where, .expected = "an integer from 0 to 2147483647", .got = value.dump().substr(0, 80)});
  }
  return static_cast<std::int64_t>(value.get<std::uint64_t>());
}

/// The ids in a JSON object that maps every token to its id. Fails for anything else and for an id that two tokens
/// share.
inline TokenIds parse_token_ids(const nlohmann::json& object, const std::string& what) {
  if (!object.is_object() || object.empty()) {
    fail({.what = what, .expected = "an object from tokens to ids", .got = object.dump().substr(0, 80)});
  }
  TokenIds ids;
  std::unordered_map<std::int64_t, std::string> owner;
  for (const auto& [token, value] : object.items()) {
    const std::int64_t id = parse_token_id(value, "the id of '" + token + "' in " + what);
    const auto [other, is_first] = owner.emplace(id, token);
    if (!is_first) {
      fail({.what = what,
            .expected = "one token for every id",
            .got = "id " + std::to_string(id) + " for '" + other->second + "' and for '" + token + "'"});
    }
    ids.emplace(token, id);
  }
  return ids;
}

/// Finds the start and the end token of `vocabulary` by their usual names.
inline void find_markers(Vocabulary& vocabulary) {
  for (const auto& markers : {openai_markers, open_clip_markers}) {
    if (vocabulary.ids.count(std::string(markers[0])) != 0 && vocabulary.ids.count(std::string(markers[1])) != 0) {
      vocabulary.start_token = markers[0];
      vocabulary.end_token = markers[1];
      return;
    }
  }
  fail({.what = "reading " + vocabulary.what,
        .expected = "the tokens <|startoftext|> and <|endoftext|>, or <start_of_text> and <end_of_text>",
        .got = "neither pair",
        .hint = "This is not the vocabulary of a CLIP text encoder."});
}

/// The vocabulary in `bpe_simple_vocab_16e6.txt.gz`, or in the same text unpacked or with fewer merges.
inline Vocabulary read_bpe_file(const std::filesystem::path& path, const std::array<std::string_view, 2>& markers) {
  const std::string what = "'" + path.string() + "'";
  std::string text = read_vocabulary_text(path);
  if (text.starts_with("\x1F\x8B")) { text = unpack_gzip(text, "unpack " + what); }
  return clip_vocabulary(parse_merges(text, what, clip_merge_count, true), markers, what);
}

/// The vocabulary in transformers' `vocab.json` and `merges.txt`.
inline Vocabulary read_vocabulary_files(const std::filesystem::path& vocab_json,
                                        const std::filesystem::path& merges_txt) {
  Vocabulary vocabulary;
  vocabulary.what = "'" + vocab_json.string() + "'";
  vocabulary.ids = parse_token_ids(parse_json(read_vocabulary_text(vocab_json), "read " + vocabulary.what),
                                   "read " + vocabulary.what);
  vocabulary.merges = parse_merges(read_vocabulary_text(merges_txt), "'" + merges_txt.string() + "'",
                                   std::numeric_limits<std::size_t>::max(), false);
  find_markers(vocabulary);
  vocabulary.unknown_token = vocabulary.end_token;
  return vocabulary;
}

}  // namespace radapt
