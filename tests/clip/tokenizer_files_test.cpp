/// The vocabulary files of the tokenizer: what each kind may say, and that damaged ones are one clear error.
#include "radapt/clip/tokenizer.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "clip/tokenizer_support.hpp"
#include "support/shared_data.hpp"

using radapt::Tokenizer;
using radapt::TokenizerRules;
using radapt_test::bpe_file;
using radapt_test::check_error;
using radapt_test::content_of;
using radapt_test::error_of;
using radapt_test::Ids;
using radapt_test::merges_txt;
using radapt_test::TemporaryFolder;
using radapt_test::vocab_json;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// The tokens of transformers' test of its CLIP tokenizer, in the order of their ids.
Json toy_vocabulary() {
  const std::vector<std::string> tokens{"l",
                                        "o",
                                        "w",
                                        "e",
                                        "r",
                                        "s",
                                        "t",
                                        "i",
                                        "d",
                                        "n",
                                        "lo",
                                        "l</w>",
                                        "w</w>",
                                        "r</w>",
                                        "t</w>",
                                        "low</w>",
                                        "er</w>",
                                        "lowest</w>",
                                        "newer</w>",
                                        "wider",
                                        "<unk>",
                                        "<|startoftext|>",
                                        "<|endoftext|>"};
  Json ids = Json::object();
  for (std::size_t i = 0; i < tokens.size(); ++i) { ids[tokens[i]] = i; }
  return ids;
}
constexpr const char* toy_merges = "#version: 0.2\nl o\nlo w</w>\ne r</w>\n";

/// A tokenizer.json with the toy vocabulary, as the tokenizers library writes one for CLIP.
Json toy_tokenizer_json() {
  const auto marker = [](const char* content, int id) {
    return Json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const Json pattern{{"Regex", R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)"}};
  const Json split{{"type", "Split"}, {"pattern", pattern}, {"behavior", "Removed"}, {"invert", true}};
  const Json bytes{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const Json space{{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}};
  Json file;
  file["version"] = "1.0";
  file["truncation"] = file["padding"] = nullptr;
  file["added_tokens"] = Json::array({marker("<|startoftext|>", 21), marker("<|endoftext|>", 22)});
  file["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", Json::array({{{"type", "NFC"}}, space, {{"type", "Lowercase"}}})}};
  file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}};
  file["post_processor"] = {{"type", "RobertaProcessing"},
                            {"sep", Json::array({"<|endoftext|>", 22})},
                            {"cls", Json::array({"<|startoftext|>", 21})}};
  file["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", "<unk>"},
                   {"continuing_subword_prefix", ""},
                   {"end_of_word_suffix", "</w>"},
                   {"fuse_unk", false},
                   {"vocab", toy_vocabulary()},
                   {"merges", Json::array({"l o", "lo w</w>", Json::array({"e", "r</w>"})})}};
  return file;
}

}  // namespace

TEST_CASE("transformers' toy vocabulary") {
  const TemporaryFolder folder;
  folder.write("vocab.json", toy_vocabulary().dump());
  folder.write("merges.txt", toy_merges);
  const Ids expected{10, 2, 16, 9, 3, 2, 16};  // lo w er</w> n e w er</w>
  const Tokenizer plain = Tokenizer::from_folder(folder.path());
  CHECK(plain.encode("lower newer") == expected);
  CHECK(plain.padding() == 22);
  CHECK(plain.encode("x") == Ids{22});  // transformers' own unknown token is the end marker
  folder.write("special_tokens_map.json", R"({"unk_token": "<unk>", "pad_token": {"content": "d"}})");
  const Tokenizer configured = Tokenizer::from_folder(folder.path());
  CHECK(configured.encode("xlow") == Ids{20, 15});
  CHECK(configured.padding() == 8);
  folder.write("tokenizer_config.json", R"({"pad_token": "s", "unk_token": null})");
  CHECK(Tokenizer::from_folder(folder.path()).padding() == 5);
  CHECK(Tokenizer::from_folder(folder.path()).encode("x") == Ids{20});
  folder.write("tokenizer.json", toy_tokenizer_json().dump());
  CHECK(Tokenizer::from_folder(folder.path()).encode("lower newer<|endoftext|>") == Ids{10, 2, 16, 9, 3, 2, 16, 22});
  CHECK(Tokenizer::from_folder(folder.path(), {{.rules = TokenizerRules::openai}}).padding() == 0);
  folder.write("tokenizer_config.json", R"({"pad_token": 3})");
  check_error("a token as pad_token", [&] { Tokenizer::from_folder(folder.path()); });
  folder.write("tokenizer_config.json", R"({"pad_token": "absent"})");
  check_error("an id for 'absent'", [&] { Tokenizer::from_folder(folder.path()); });
}

TEST_CASE("beside open_clip's configuration its rules apply") {
  const TemporaryFolder folder;
  folder.write("vocab.json", toy_vocabulary().dump());
  folder.write("merges.txt", toy_merges);
  CHECK(Tokenizer::from_folder(folder.path()).rules() == TokenizerRules::huggingface);
  folder.write("open_clip_config.json", R"({"model_cfg": {"text_cfg": {"context_length": 77}}})");
  const Tokenizer own = Tokenizer::from_folder(folder.path());
  CHECK(own.rules() == TokenizerRules::open_clip);
  CHECK(own.padding() == 0);
  CHECK(own.encode("low<END_OF_TEXT>") == Ids{15, 22});
  CHECK(Tokenizer::from_folder(folder.path(), {{.rules = TokenizerRules::huggingface}}).padding() == 22);
  folder.write("open_clip_config.json", R"({"model_cfg": {"text_cfg": {"hf_tokenizer_name": "xlm-roberta-base"}}})");
  CHECK(Tokenizer::from_folder(folder.path()).rules() == TokenizerRules::huggingface);
  folder.write("open_clip_config.json", "[]");
  CHECK(Tokenizer::from_folder(folder.path()).rules() == TokenizerRules::open_clip);
}

TEST_CASE("a folder with OpenAI's file alone, and one with nothing") {
  const TemporaryFolder folder;
  check_error("got none of them", [&] { Tokenizer::from_folder(folder.path()); });
  folder.write("bpe_simple_vocab_16e6.txt.gz", "bpe#version: 0.2\na b\n");
  const Tokenizer tokenizer = Tokenizer::from_folder(folder.path());
  CHECK(tokenizer.rules() == TokenizerRules::openai);
  CHECK(tokenizer.vocabulary_size() == 515);
}

TEST_CASE("tokenizer.json: what it may say") {
  const TemporaryFolder folder;
  const auto with = [&](const std::function<void(Json&)>& change) {
    Json file = toy_tokenizer_json();
    change(file);
    return Tokenizer::from_tokenizer_json(folder.write("tokenizer.json", file.dump()));
  };
  CHECK(with([](Json&) {}).encode("Lower  x") == Ids{10, 2, 16, 20});
  CHECK(with([](Json& f) { f["normalizer"] = nullptr; }).encode("Low") == Ids{20, 1, 12});
  CHECK(with([](Json& f) { f["normalizer"] = {{"type", "Lowercase"}}; }).encode("Low") == Ids{15});
  CHECK(with([](Json& f) { f["model"].erase("type"); }).encode("low") == Ids{15});
  CHECK(with([](Json& f) { f["model"]["end_of_word_suffix"] = nullptr; }).encode("lo") == Ids{10});
  // A normalized marker is found in any case, as its own text is normalised too.
  CHECK(with([](Json&) {}).encode("<|EndOfText|>").size() > 1);
  CHECK(with([](Json& f) { f["added_tokens"][1]["normalized"] = true; }).encode("<|EndOfText|>") == Ids{22});
  // A pattern with the markers ends a piece behind one that is only spelled: the signs behind it are another piece.
  const auto joins_signs = [](Json& f) {
    f["model"]["vocab"].update({{">", 50}, {"!</w>", 51}, {">!</w>", 52}});
    f["model"]["merges"].push_back("> !</w>");
  };
  const auto has = [](const Ids& ids, std::int64_t id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  CHECK(has(with(joins_signs).encode("<|EndOfText|>!"), 52));
  const Tokenizer cuts = with([&](Json& f) {
    joins_signs(f);
    Json& pattern = f["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
    pattern = R"(<\|startoftext\|>|<\|endoftext\|>|)" + pattern.get<std::string>();
  });
  CHECK_FALSE(has(cuts.encode("<|EndOfText|>!"), 52));
  CHECK(has(cuts.encode("|>!"), 52));
  CHECK(has(cuts.encode("!<|EndOfText|>!"), 52));  // what begins before the marker is one piece with it
  const Json longer{{"id", 40}, {"content", "lo lo"}, {"normalized", true}};
  const Json shorter{{"id", 41}, {"content", "lo l"}, {"normalized", true}};
  const Tokenizer added = with([&](Json& f) {
    f["added_tokens"].push_back(shorter);
    f["added_tokens"].push_back(longer);
  });
  CHECK(added.encode("Lo  lolo l") == Ids{40, 41});
  CHECK(added.vocabulary_size() == 42);
  CHECK(added.decode({40}) == "lo lo");
  CHECK(with([](Json& f) { f["padding"] = {{"pad_token", "w"}, {"pad_id", 2}}; }).padding() == 2);
  const auto special = [](const char* token) { return Json{{"SpecialToken", {{"id", token}, {"type_id", 0}}}}; };
  const Json text{{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Tokenizer other_markers = with([&](Json& f) {
    f["post_processor"] = {{"type", "TemplateProcessing"}, {"single", Json::array({special("s"), text, special("t")})}};
  });
  CHECK(other_markers.start_of_text() == 5);
  CHECK(other_markers.end_of_text() == 6);
  CHECK(with([](Json& f) { f["post_processor"] = nullptr; }).end_of_text() == 22);
}

TEST_CASE("tokenizer.json: what is refused") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& part, const std::function<void(Json&)>& change) {
    Json file = toy_tokenizer_json();
    change(file);
    const fs::path path = folder.write("tokenizer.json", file.dump());
    check_error(part, [&] { Tokenizer::from_tokenizer_json(path); });
  };
  refused("type BPE", [](Json& f) { f["model"]["type"] = "Unigram"; });
  refused("type BPE", [](Json& f) { f["model"]["type"] = 3; });
  refused("the model of", [](Json& f) { f.erase("model"); });
  refused("an object", [](Json& f) { f = Json::array(); });
  refused("fuse_unk", [](Json& f) { f["model"]["fuse_unk"] = true; });
  refused("dropout", [](Json& f) { f["model"]["dropout"] = 0.1; });
  refused("continuing_subword_prefix", [](Json& f) { f["model"]["continuing_subword_prefix"] = "##"; });
  refused("from tokens to ids", [](Json& f) { f["model"]["vocab"] = Json::array(); });
  refused("one token for every id", [](Json& f) { f["model"]["vocab"]["o"] = 0; });
  refused("the id of 'o'", [](Json& f) { f["model"]["vocab"]["o"] = -1; });
  refused("the id of 'o'", [](Json& f) { f["model"]["vocab"]["o"] = 1.5; });
  refused("the id of 'o'", [](Json& f) { f["model"]["vocab"]["o"] = 1ULL << 40; });
  refused("the merges", [](Json& f) { f["model"]["merges"] = 7; });
  refused("merge 1", [](Json& f) { f["model"]["merges"][0] = "lo"; });
  refused("merge 1", [](Json& f) { f["model"]["merges"][0] = Json::array({"l"}); });
  refused("none for 'st'", [](Json& f) { f["model"]["merges"].push_back("s t"); });
  refused("each merge once", [](Json& f) { f["model"]["merges"].push_back("l o"); });
  refused("the unknown token", [](Json& f) { f["model"]["unk_token"] = "absent"; });
  refused("the normalizer", [](Json& f) { f["normalizer"] = {{"type", "BertNormalizer"}}; });
  refused("the normalizer", [](Json& f) { f["normalizer"] = {{"type", "Replace"}, {"content", "_"}}; });
  refused("the pre_tokenizer", [](Json& f) { f["pre_tokenizer"] = {{"type", "Whitespace"}}; });
  refused("the pre_tokenizer", [](Json& f) { f["pre_tokenizer"]["pretokenizers"][0]["invert"] = false; });
  refused("the pre_tokenizer", [](Json& f) { f["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"Regex", "."}}; });
  refused("the post_processor", [](Json& f) { f["post_processor"]["cls"] = Json::array({"absent", 21}); });
  refused("two markers", [](Json& f) { f["post_processor"]["cls"] = f["post_processor"]["sep"]; });
  refused("the post_processor", [](Json& f) { f["post_processor"] = {{"type", "TemplateProcessing"}}; });
  refused("single_word", [](Json& f) { f["added_tokens"][0]["single_word"] = true; });
  refused("the added token", [](Json& f) { f["added_tokens"][0]["id"] = 3; });
  refused("the added token", [](Json& f) { f["added_tokens"].push_back({{"id", 3}, {"content", "another"}}); });
  refused("the padding", [](Json& f) { f["padding"] = {{"pad_token", "w"}, {"pad_id", 3}}; });

  const fs::path twice = folder.write("twice.json", R"({"model": {"type": "BPE", "type": "BPE"}})");
  check_error("each key once", [&] { Tokenizer::from_tokenizer_json(twice); });
  const std::string opened(1000000, '['), closed(1000000, ']');
  for (const std::string& text : {opened + closed, "{\"model\": {\"type\": " + opened + closed + "}}"}) {
    const fs::path deep = folder.write("deep.json", text);
    check_error("at most 32 levels", [&] { Tokenizer::from_tokenizer_json(deep); });
  }
  // Cut anywhere, it is no JSON any more.
  const std::string whole = toy_tokenizer_json().dump();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const fs::path cut = folder.write("cut.json", whole.substr(0, size));
    CHECK(error_of([&] { Tokenizer::from_tokenizer_json(cut); }).find("well-formed JSON") != std::string::npos);
  }
}

TEST_CASE("damaged vocabulary files are one clear error") {
  const TemporaryFolder folder;
  const std::string packed = content_of(bpe_file());
  const auto refused = [&](const std::string& part, const std::string& content) {
    const fs::path path = folder.write("list", content);
    check_error(part, [&] { Tokenizer::from_bpe_file(path); });
  };
  refused("ends early", packed.substr(0, packed.size() / 2));
  refused("ends early", packed.substr(0, packed.size() - 1));
  refused("ends early", packed.substr(0, 5));
  refused("behind its end", packed + "x");
  std::string damaged = packed;
  damaged[damaged.size() - 8] = static_cast<char>(damaged[damaged.size() - 8] ^ 1);  // in the checksum
  refused("incorrect data check", damaged);
  refused("a line with '#version'", "i n\nt h\n");
  refused("line 3", "#version\ni n\nth\n");
  refused("line 2", "#version\ni n x\n");
  refused("line 2", "#version\n\nt h\n");
  refused("line 2", "#version\ni  n\n");
  refused("UTF-8", "#version\ni \xFF\n");
  refused("none for 'zz'", "#version\ni zz\n");
  check_error("nothing of that name", [&] { Tokenizer::from_bpe_file(folder.path() / "absent"); });
  check_error("got a folder", [&] { Tokenizer::from_bpe_file(folder.path()); });

  const fs::path good_merges = folder.write("merges.txt", toy_merges);
  const auto refused_ids = [&](const std::string& part, const std::string& content) {
    const fs::path path = folder.write("vocab.json", content);
    check_error(part, [&] { Tokenizer::from_vocabulary_files(path, good_merges); });
  };
  refused_ids("each key once", R"({"l": 0, "l": 1})");
  refused_ids("id 0 for 'l' and for 'o'", R"({"l": 0, "o": 0})");
  refused_ids("well-formed JSON", "{\"l\": 0");
  refused_ids("well-formed JSON", "{\"\xFF\": 0}");
  refused_ids("neither pair", R"({"l": 0, "o": 1})");
  refused_ids("from tokens to ids", "{}");
  refused_ids("none for 'l'", R"({"<|startoftext|>": 0, "<|endoftext|>": 1})");
  check_error("nothing of that name", [&] { Tokenizer::from_vocabulary_files(vocab_json(), folder.path() / "no"); });
}
