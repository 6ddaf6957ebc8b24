#pragma once
/// The tokenizer.json of the tokenizers library, as far as it describes a CLIP tokenizer.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "radapt/clip/tokenizer/vocabulary.hpp"
#include "radapt/core/error.hpp"

namespace radapt {

/// Reads one tokenizer.json. What a CLIP tokenizer never has (another model, normaliser or splitting rule) is an error,
/// because ignoring it would yield other ids than the file's author saw.
class TokenizerJson {
 public:
  explicit TokenizerJson(const std::filesystem::path& path)
      : name_("'" + path.string() + "'"), root_(parse_json(read_vocabulary_text(path), "read " + name_)) {}

  /// The vocabulary. Unless `with_pipeline`, only the model and the markers count.
  Vocabulary read(bool with_pipeline) const {
    Vocabulary vocabulary;
    vocabulary.what = name_;
    const nlohmann::json& model = member(root_, "model", "");
    read_model(model, vocabulary);
    read_added_tokens(vocabulary);
    read_markers(vocabulary);
    if (with_pipeline) {
      vocabulary.steps.clear();
      read_steps(member(root_, "normalizer", ""), vocabulary.steps);
      vocabulary.splits_at_markers = check_splitting();
      read_padding(vocabulary);
    }
    return vocabulary;
  }

 private:
  [[noreturn]] void refuse(const std::string& part, const std::string& expected, const nlohmann::json& got) const {
    const std::string text = got.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    fail({.what = part + " of " + name_,
          .expected = expected,
          .got = text.size() > 200 ? text.substr(0, 200) + "..." : text});
  }

  /// The member `key` of `object`, or null where it is missing.
  const nlohmann::json& member(const nlohmann::json& object, const char* key, const std::string& part) const {
    static const nlohmann::json null;
    if (!object.is_object()) { refuse(part.empty() ? "the content" : part, "an object", object); }
    const auto found = object.find(key);
    return found == object.end() ? null : *found;
  }

  std::string text_of(const nlohmann::json& value, const std::string& part) const {
    if (!value.is_string()) { refuse(part, "text", value); }
    return value.get<std::string>();
  }

  std::string type_of(const nlohmann::json& object, const std::string& part) const {
    return text_of(member(object, "type", part), "the type of " + part);
  }

  void read_model(const nlohmann::json& model, Vocabulary& vocabulary) const {
    if (!model.is_object()) { refuse("the model", "a byte-pair encoding", model); }
    const nlohmann::json& type = member(model, "type", "the model");
    // Files of early versions have no type; their byte-pair encodings are those with merges.
    const bool byte_pairs = type.is_null() ? model.contains("merges") : type == "BPE";
    if (!byte_pairs) {
      fail({.what = "the model of " + name_,
            .expected = "type BPE, a byte-pair encoding",
            .got = type.dump().substr(0, 80),
            .hint =
                "Only the tokenizers of CLIP and open_clip's own models can be read; SigLIP's, for one, is another."});
    }
    for (const char* option : {"fuse_unk", "byte_fallback", "ignore_merges"}) {
      const nlohmann::json& value = member(model, option, "the model");
      if (!value.is_null() && value != false) { refuse(std::string("the model's ") + option, "false", value); }
    }
    if (const auto& dropout = member(model, "dropout", "the model"); !dropout.is_null() && dropout != 0) {
      refuse("the model's dropout", "none", dropout);
    }
    if (const auto& prefix = member(model, "continuing_subword_prefix", "the model");
        !prefix.is_null() && prefix != "") {
      refuse("the model's continuing_subword_prefix", "none", prefix);
    }
    const nlohmann::json& suffix = member(model, "end_of_word_suffix", "the model");
    vocabulary.suffix = suffix.is_null() ? std::string() : text_of(suffix, "the model's end_of_word_suffix");
    const nlohmann::json& unknown = member(model, "unk_token", "the model");
    if (!unknown.is_null()) { vocabulary.unknown_token = text_of(unknown, "the model's unk_token"); }
    vocabulary.ids = parse_token_ids(member(model, "vocab", "the model"), "the vocabulary of " + name_);
    read_merges(member(model, "merges", "the model"), vocabulary.merges);
  }

  void read_merges(const nlohmann::json& list, Merges& merges) const {
    if (!list.is_array()) { refuse("the merges", "a list", list); }
    merges.reserve(list.size());
    for (const nlohmann::json& entry : list) {
      const std::string where = "merge " + std::to_string(merges.size() + 1) + " of " + name_;
      if (entry.is_string()) {
        merges.push_back(parse_merge(entry.get_ref<const std::string&>(), where));
      } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
        merges.emplace_back(entry[0].get<std::string>(), entry[1].get<std::string>());
      } else {
        fail({.what = where, .expected = "two symbols", .got = entry.dump().substr(0, 80)});
      }
    }
  }

  void read_added_tokens(Vocabulary& vocabulary) const {
    const nlohmann::json& list = member(root_, "added_tokens", "");
    if (list.is_null()) { return; }
    if (!list.is_array()) { refuse("added_tokens", "a list", list); }
    std::unordered_set<std::int64_t> taken;
    for (const auto& [token, id] : vocabulary.ids) { taken.insert(id); }
    std::unordered_set<std::string> seen;
    for (const nlohmann::json& entry : list) {
      const std::string content = text_of(member(entry, "content", "an added token"), "the content of an added token");
      const std::string part = "the added token '" + content + "'";
      const std::int64_t id = parse_token_id(member(entry, "id", part), "the id of " + part + " of " + name_);
      for (const char* option : {"single_word", "lstrip", "rstrip"}) {
        const nlohmann::json& value = member(entry, option, part);
        if (!value.is_null() && value != false) { refuse(std::string(option) + " of " + part, "false", value); }
      }
      const nlohmann::json& normalized = member(entry, "normalized", part);
      if (!normalized.is_null() && !normalized.is_boolean()) {
        refuse("normalized of " + part, "a boolean", normalized);
      }
      if (content.empty() || !seen.insert(content).second) { refuse(part, "a text of its own", entry); }
      const auto [known, is_added] = vocabulary.ids.emplace(content, id);
      if (known->second != id || (is_added && !taken.insert(id).second)) {
        refuse(part, "the id that the vocabulary has for it, or one that no other token has", id);
      }
      vocabulary.added.push_back({decode_utf8(content, part), id, normalized == true});
    }
  }

  /// The tokens around every text: what the post-processor says, or else those with the usual names.
  void read_markers(Vocabulary& vocabulary) const {
    const nlohmann::json& post = member(root_, "post_processor", "");
    if (!post.is_null()) { read_post_processor(post, vocabulary); }
    if (vocabulary.start_token.empty()) {
      find_markers(vocabulary);
      return;
    }
    for (const std::string& token : {vocabulary.start_token, vocabulary.end_token}) {
      if (vocabulary.ids.count(token) == 0) { refuse("the post_processor", "tokens of the vocabulary", token); }
    }
  }

  void read_post_processor(const nlohmann::json& post, Vocabulary& vocabulary) const {
    const std::string type = type_of(post, "the post_processor");
    if (type == "ByteLevel") { return; }
    if (type == "Sequence") {
      const nlohmann::json& list = member(post, "processors", "the post_processor");
      if (!list.is_array()) { refuse("the post_processor", "a list of processors", list); }
      for (const nlohmann::json& one : list) {
        if (type_of(one, "the post_processor") == "Sequence") { refuse("the post_processor", "one sequence", one); }
        read_post_processor(one, vocabulary);
      }
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      const auto token = [&](const char* key) {
        const nlohmann::json& pair = member(post, key, "the post_processor");
        if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) {
          refuse("the post_processor", "a token and its id", pair);
        }
        return pair[0].get<std::string>();
      };
      vocabulary.start_token = token("cls");
      vocabulary.end_token = token("sep");
    } else if (type == "TemplateProcessing") {
      const nlohmann::json& single = member(post, "single", "the post_processor");
      const auto special = [&](std::size_t i) -> const nlohmann::json& {
        return member(member(single[i], "SpecialToken", "the template"), "id", "the template");
      };
      const bool around = single.is_array() && single.size() == 3 && single[0].contains("SpecialToken") &&
                          single[1].contains("Sequence") && single[2].contains("SpecialToken");
      if (!around) { refuse("the post_processor", "a template of a start token, the text and an end token", single); }
      vocabulary.start_token = text_of(special(0), "the template's start token");
      vocabulary.end_token = text_of(special(2), "the template's end token");
    } else {
      refuse("the post_processor", "ByteLevel, RobertaProcessing or TemplateProcessing", type);
    }
  }

  void read_steps(const nlohmann::json& normalizer, std::vector<NormalizerStep>& steps) const {
    if (normalizer.is_null()) { return; }
    const std::string type = type_of(normalizer, "the normalizer");
    if (type == "Sequence") {
      const nlohmann::json& list = member(normalizer, "normalizers", "the normalizer");
      if (!list.is_array()) { refuse("the normalizer", "a list of normalizers", list); }
      for (const nlohmann::json& one : list) {
        if (type_of(one, "the normalizer") == "Sequence") { refuse("the normalizer", "one sequence", one); }
        read_steps(one, steps);
      }
    } else if (type == "NFC") {
      steps.push_back(NormalizerStep::compose);
    } else if (type == "Lowercase") {
      steps.push_back(NormalizerStep::lower_case_each);
    } else if (type == "Replace" && member(normalizer, "content", "the normalizer") == " " &&
               member(normalizer, "pattern", "the normalizer") == nlohmann::json{{"Regex", "\\s+"}}) {
      steps.push_back(NormalizerStep::collapse_white_space);
    } else {
      refuse("the normalizer", "NFC, Lowercase, or white space replaced by one space", normalizer);
    }
  }

  /// The pre-tokenizer must split as CLIP does. Returns whether it names the markers in its pattern, as some files do:
  /// the ByteLevel step splits these pieces once more, by a pattern without them.
  bool check_splitting() const {
    constexpr std::string_view pattern = R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
    constexpr std::string_view markers = R"(<\|startoftext\|>|<\|endoftext\|>|)";
    const nlohmann::json& pre = member(root_, "pre_tokenizer", "");
    const std::string part = "the pre_tokenizer", expected = "CLIP's Split followed by ByteLevel";
    if (!pre.is_object() || type_of(pre, part) != "Sequence") { refuse(part, expected, pre); }
    const nlohmann::json& list = member(pre, "pretokenizers", part);
    if (!list.is_array() || list.size() != 2) { refuse(part, expected, pre); }
    const nlohmann::json& bytes = list[1];
    const nlohmann::json& use_pattern = member(bytes, "use_regex", part);
    const bool splits_again = use_pattern.is_null() || use_pattern == true;
    const nlohmann::json& regex = member(list[0], "pattern", part);
    std::string found = regex.is_object() && regex.contains("Regex") ? text_of(regex["Regex"], part) : std::string();
    const bool names_markers = splits_again && found.starts_with(markers);
    if (names_markers) { found.erase(0, markers.size()); }
    const bool splits = type_of(list[0], part) == "Split" && found == pattern &&
                        member(list[0], "behavior", part) == "Removed" && member(list[0], "invert", part) == true;
    const bool spells_bytes = type_of(bytes, part) == "ByteLevel" && member(bytes, "add_prefix_space", part) == false;
    if (!splits || !spells_bytes) { refuse(part, expected, pre); }
    return names_markers;
  }

  void read_padding(Vocabulary& vocabulary) const {
    const nlohmann::json& padding = member(root_, "padding", "");
    if (padding.is_null()) { return; }
    const std::string token = text_of(member(padding, "pad_token", "the padding"), "the padding's pad_token");
    const auto found = vocabulary.ids.find(token);
    const nlohmann::json& id = member(padding, "pad_id", "the padding");
    if (found == vocabulary.ids.end() || id != found->second) {
      refuse("the padding", "a pad_token of the vocabulary with its id as pad_id", padding);
    }
    vocabulary.padding_token = token;
  }

  std::string name_;
  nlohmann::json root_;
};

}  // namespace radapt
