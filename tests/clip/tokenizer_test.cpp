/// CLIP's tokenizer against ids of the original tokenizers, with each origin's rules, and against hostile files.
#include "radapt/clip/tokenizer.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/shared_data.hpp"

using radapt::Tokenizer;
using radapt::TokenizerRules;
using Ids = std::vector<std::int64_t>;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A folder of its own that is gone when the test ends.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int made = 0;
    const std::string name = "radapt_tokenizer_" + std::to_string(::getpid()) + "_" + std::to_string(made++);
    path_ = fs::temp_directory_path() / name;
    fs::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// The message of the radapt::error that `action` throws; empty if it throws none. Other exceptions fail the test.
std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const radapt::error& problem) { return problem.what(); }
  return {};
}

/// Checks that `action` throws radapt::error with `part` in its message.
void check_error(const std::string& part, const std::function<void()>& action) {
  const std::string message = error_of(action);
  CAPTURE(part);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

std::string content_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

fs::path bpe_file() { return radapt_test::shared_data("data/clip_bpe/bpe_simple_vocab_16e6.txt.gz"); }
fs::path vocab_json() { return radapt_test::shared_data("data/clip_bpe/vocab.json"); }
fs::path merges_txt() { return radapt_test::shared_data("data/clip_bpe/merges.txt"); }

/// OpenAI's tokenizer, read once.
const Tokenizer& openai() {
  static const Tokenizer tokenizer = Tokenizer::from_bpe_file(bpe_file());
  return tokenizer;
}

std::string repaired(std::string_view text) {
  return radapt::encode_utf8(radapt::repair_text(radapt::decode_utf8(text, "a test")));
}

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

TEST_CASE("every row of the recorded cases has its ids") {
  const Tokenizer unrepaired = Tokenizer::from_bpe_file(bpe_file(), {.repair_text = false});
  const Tokenizer open_clip = Tokenizer::from_bpe_file(bpe_file(), {.rules = TokenizerRules::open_clip});
  std::map<std::string, int> rows;
  std::istringstream lines(content_of(radapt_test::shared_data("fixtures/tokenizer_cases.tsv")));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) { continue; }
    std::istringstream fields(line);
    std::string rule, json, numbers;
    std::getline(fields, rule, '\t');
    std::getline(fields, json, '\t');
    std::getline(fields, numbers);
    std::istringstream stream(numbers);
    const Ids expected{std::istream_iterator<std::int64_t>(stream), {}};
    const std::string text = Json::parse(json).get<std::string>();
    CAPTURE(line);
    ++rows[rule];
    if (rule == "openai") {  // the same with and without repair
      CHECK(openai().encode(text) == expected);
      CHECK(unrepaired.encode(text) == expected);
    } else if (rule == "openai+ftfy") {
      CHECK(openai().encode(text) == expected);
    } else if (rule == "openai-ftfy") {
      CHECK(unrepaired.encode(text) == expected);
    } else if (rule == "open_clip") {
      CHECK(open_clip.encode(text) == expected);
    } else if (rule == "openai/77") {
      CHECK(openai().context(text) == expected);
    } else {
      FAIL("an unknown rule set: " << rule);
    }
  }
  const std::map<std::string, int> all{
      {"openai", 391}, {"openai+ftfy", 55}, {"openai-ftfy", 55}, {"open_clip", 9}, {"openai/77", 10}};
  CHECK(rows == all);
}

TEST_CASE("CLIP's vocabulary has its known ids") {
  CHECK(openai().vocabulary_size() == 49408);
  CHECK(openai().start_of_text() == 49406);
  CHECK(openai().end_of_text() == 49407);
  CHECK(openai().padding() == 0);
  const std::map<std::int64_t, std::string> anchors{{0, "!"},    {256, "!"},  {267, ","},  {512, "in"},
                                                    {513, "th"}, {514, "an"}, {515, "re"}, {49405, "jekyll"}};
  for (const auto& [id, text] : anchors) { CHECK(openai().decode({id}) == text); }
  CHECK(openai().encode("jekyll") == Ids{49405});
  CHECK(openai().encode(std::string(30, 'a')) == Ids{23126, 23126, 23126, 44413});
  Ids hundred(24, 32035);
  hundred.push_back(22819);
  CHECK(openai().encode(std::string(100, 'x')) == hundred);
  // The same rule for a word of any length, in a time that hardly grows faster than the word.
  Ids many(99999, 32035);
  many.push_back(22819);
  CHECK(openai().encode(std::string(400000, 'x')) == many);
}

TEST_CASE("all files of one vocabulary give the same ids") {
  const Tokenizer pair = Tokenizer::from_vocabulary_files(vocab_json(), merges_txt(), {});
  const std::string packed = content_of(bpe_file());
  const TemporaryFolder folder;
  const Tokenizer unpacked = Tokenizer::from_bpe_file(folder.write("plain.txt", radapt::unpack_gzip(packed, "test")));
  for (const char* text : {"A painting of a fish on a plate.", "<|STARTOFTEXT|>x", "naïve ½ 日本語 😀", ""}) {
    CHECK(pair.encode(text) == openai().encode(text));
    CHECK(unpacked.context(text) == openai().context(text));
  }
}

// Answers of the Python package tokenizers 0.23.3 on the pipeline that transformers' CLIPConverter builds from
// vocab.json and merges.txt: NFC, \s+ to one space, Lowercase; Split and ByteLevel; the markers as special, not
// normalized tokens.
TEST_CASE("the rules of transformers") {
  const Tokenizer tokenizer = Tokenizer::from_vocabulary_files(vocab_json(), merges_txt());
  CHECK_FALSE(tokenizer.repairs_text());
  const std::vector<std::pair<std::string, Ids>> cases{
      {"a photo of a cat", {320, 1125, 539, 320, 2368}},
      {"Tom &amp; Jerry", {2435, 261, 6259, 282, 9164}},
      {"\u0085a", {320}},
      {"x\x1Cy", {343, 472, 344}},
      {"it'\u017F", {585, 262, 129, 379}},
      {"\u03A3\u0391\u03A3", {139, 225, 138, 109, 139, 481}},
      {"\u0130", {328, 16384}},
      {"schÃ¶n", {844, 127, 352, 126, 370, 333}},
      {"e\u0301", {4166}},
      {"I'LL  2021 ½", {328, 1342, 273, 271, 273, 272, 33613}},
      {"a<|endoftext|>b", {320, 49407, 321}},
      {"<|StartOfText|>hi", {27, 347, 993, 6659, 4160, 91, 285, 1883}},
      {std::string("\0a", 2), {444, 320}},
  };
  for (const auto& [text, ids] : cases) {
    CAPTURE(text);
    CHECK(tokenizer.encode(text) == ids);
  }
  CHECK(tokenizer.context("a cat", 6) == Ids{49406, 320, 2368, 49407, 49407, 49407});
  const Tokenizer repairing = Tokenizer::from_vocabulary_files(
      vocab_json(), merges_txt(), {.rules = TokenizerRules::huggingface, .repair_text = true});
  CHECK(repairing.encode("schÃ¶n") == openai().encode("schön"));
  const Tokenizer filled = Tokenizer::from_vocabulary_files(
      vocab_json(), merges_txt(), {.rules = TokenizerRules::huggingface, .padding_token = "!"});
  CHECK(filled.context("a cat", 6) == Ids{49406, 320, 2368, 49407, 0, 0});
}

TEST_CASE("a context has both markers and its length") {
  CHECK(openai().context("a cat", 5) == Ids{49406, 320, 2368, 49407, 0});
  CHECK(openai().context("a cat", 4) == Ids{49406, 320, 2368, 49407});
  CHECK(openai().context("a cat", 3) == Ids{49406, 320, 49407});
  CHECK(openai().context("a cat", 2) == Ids{49406, 49407});
  CHECK(openai().contexts({"a cat", ""}, 4) == Ids{49406, 320, 2368, 49407, 49406, 49407, 0, 0});
  CHECK(openai().contexts({}).empty());
  check_error("expected a length of at least 2", [] { openai().context("a cat", 1); });
}

TEST_CASE("decoding") {
  CHECK(openai().decode(openai().context("A photo of a cat, isn't it?")) == "a photo of a cat , isn 't it ?");
  CHECK(openai().decode(openai().encode("日本語 😀")) == "日本語 😀");
  CHECK(openai().decode({openai().encode("日")[0]}) != "");
  CHECK(openai().decode({187}) == "\uFFFD");  // byte 0xFF is nowhere in UTF-8
  CHECK(openai().decode({}).empty());
  check_error("got 49408", [] { openai().decode({320, 49408}); });
  check_error("got -1", [] { openai().decode({-1}); });
}

TEST_CASE("a vocabulary from merges alone") {
  const Tokenizer bytes = Tokenizer::from_merges({});
  CHECK(bytes.vocabulary_size() == 514);
  CHECK(bytes.encode("ab") == Ids{64, 256 + 65});
  const Tokenizer toy = Tokenizer::from_merges({{"a", "b"}, {"ab", "c</w>"}, {"d", "ab"}});
  CHECK(toy.vocabulary_size() == 512 + 3 + 2);
  CHECK(toy.start_of_text() == 515);
  CHECK(toy.end_of_text() == 516);
  CHECK(toy.encode("abc dab <|endoftext|>") == Ids{513, 67, 64, 256 + 65, 516});
  CHECK(toy.encode("dabd") == Ids{514, 256 + 67});
  CHECK(toy.decode(toy.encode("abc dab")) == "abc dab");
  // A merge that ranks before the one that makes its part: OpenAI finishes a rank first, tokenizers looks again.
  const radapt::Merges ill{{"ab", "c"}, {"b", "ab"}, {"a", "b"}};
  CHECK(Tokenizer::from_merges(ill).encode("abababcc").size() == 4);
  check_error("expected an id for each part", [] { Tokenizer::from_merges({{"a", "zz"}}); });
  check_error("expected a new token from every merge", [] {
    Tokenizer::from_merges({{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"a", "bc"}});
  });
  check_error("expected a new token from every merge", [] { Tokenizer::from_merges({{"a", "b"}, {"a", "b"}}); });
  check_error("an empty one", [] { Tokenizer::from_merges({{"", "b</w>"}, {"a", "b"}}); });
}

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
  CHECK(configured.encode("xlow") == Ids{20, 10, 12});
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
  CHECK(with([](Json& f) { f["normalizer"] = {{"type", "Lowercase"}}; }).encode("Low") == Ids{10, 12});
  CHECK(with([](Json& f) { f["model"].erase("type"); }).encode("low") == Ids{10, 12});
  CHECK(with([](Json& f) { f["model"]["end_of_word_suffix"] = nullptr; }).encode("lo") == Ids{10});
  // A normalized marker is found in any case, as its own text is normalised too.
  CHECK(with([](Json&) {}).encode("<|EndOfText|>").size() > 1);
  CHECK(with([](Json& f) { f["added_tokens"][1]["normalized"] = true; }).encode("<|EndOfText|>") == Ids{22});
  const Json longer{{"id", 40}, {"content", "lo lo"}, {"normalized", true}};
  const Json shorter{{"id", 41}, {"content", "lo"}, {"normalized", true}};
  const Tokenizer added = with([&](Json& f) {
    f["added_tokens"].push_back(shorter);
    f["added_tokens"].push_back(longer);
  });
  CHECK(added.encode("Lo  lolo") == Ids{40, 41});
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

TEST_CASE("text that is not UTF-8 is an error that names the place") {
  check_error("byte 255 at offset 2", [] { openai().encode("ab\xFF"); });
  check_error("byte 195 at offset 0", [] { openai().encode("\xC3"); });
  check_error("byte 237 at offset 1", [] { openai().encode("a\xED\xA0\x80"); });  // a surrogate
  check_error("byte 192 at offset 0", [] { openai().encode("\xC0\x80"); });       // an overlong form
  check_error("byte 244 at offset 0", [] { openai().encode("\xF4\x90\x80\x80"); });
  CHECK(error_of([] { openai().encode("\U0010FFFF\U00010000\uFFFF\u0800\u07FF\u0080"); }).empty());
}

// Answers of ftfy 6.3.1, where the comment says nothing else.
TEST_CASE("text repair") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"plain text & nothing else", "plain text & nothing else"},
      {"&lt;b&gt; &EACUTE; &SZLIG; &eacute &nosuch; &#38;#38; &#1;", "<b> É SS &eacute &nosuch; & "},
      {"<b> &amp;\n&amp;", "<b> &amp;\n&amp;"},
      {"&amp;\n<b> &amp;", "&\n<b> &amp;"},
      {"ﬁre ŉ Ǆ ﬅ", "fire 'n DŽ ſt"},
      {"Ｌ　ｶﾞ￣", "L ガ ̄"},
      {"‘a’ “b” ʼ", "'a' \"b\" '"},
      {"a\r\nb\rc\u2028d", "a\nb\nc\nd"},
      {"\x1B[1;31mred\x1B[0m\x1B[", "red["},
      {"a\x07\u206A\uFEFF\uFFFCz", "az"},
      {"e\u0301", "é"},
      {"\u0085\u0080", "…€"},
      {"schÃ¶n, donâ€™t, Â£5, ðŸ˜€", "schön, don't, £5, 😀"},
      {"Ã la mode, Ã s vezes, fÃ cil", "à la mode, às vezes, fà cil"},
      {"ÐŸÑ€Ð¸Ð²ÐµÑ‚ Ã—Â½", "Привет ×½"},
      {"ÃƒÂ©", "é"},
      {"naïve cafÃ©", "naïve café"},
      // Sound text that could be read as misread UTF-8.
      {"CAFÉ™ “IRMÔ, VOILÃ LE", "CAFÉ™ \"IRMÔ, VOILÃ LE"},
      {"Où est l'hôtel ? déjà… «è» É”", "Où est l'hôtel ? déjà… «è» É\""},
      {"Zażółć gęślą jaźń, Příliš žluťoučký, Çocuk, Þórður", "Zażółć gęślą jaźń, Příliš žluťoučký, Çocuk, Þórður"},
      // Where this repair does less than ftfy, as its documentation says: half of a misread quote that was lost before
      // (ftfy leaves only its U+FFFD), and text misread by another encoding than windows-1252, here 1251 (ftfy:
      // "don't").
      {"â€œxâ€\uFFFD", "\"xâ€\uFFFD"},
      {"donвЂ™t", "donв\u0402™t"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(repaired(text) == expected);
  }
}

// Answers of Python 3.11: html.unescape and str.lower.
TEST_CASE("character references and lower case") {
  const auto unescaped = [](std::string_view text) {
    return radapt::encode_utf8(radapt::unescape_html(radapt::decode_utf8(text, "a test")));
  };
  CHECK(unescaped("&notit; &notin; &amp &#x41;&#66 &#128; &#xD800; &#1;! &nosuch; &Aacutex") ==
        "\u00ACit; \u2209 & AB \u20AC \uFFFD ! &nosuch; \u00C1x");
  CHECK(unescaped("&#99999999999999999999; && &; &# &#x; &NotEqualTilde;") == "\uFFFD && &; &# &#x; \u2242\u0338");
  CHECK(radapt::html_entities.size() == 2125);
  CHECK(radapt::lower_case(U"\u0391\u03A3 \u0391\u03A3. \u03A3\u0391 \u0391.\u03A3 \u03A3 \u0130") ==
        U"\u03B1\u03C2 \u03B1\u03C2. \u03C3\u03B1 \u03B1.\u03C2 \u03C3 i\u0307");
  CHECK(radapt::lower_case_each(U"\u0391\u03A3 \u0130") == U"\u03B1\u03C3 i\u0307");
}

TEST_CASE("random bytes and random characters never do worse than throw") {
  const Tokenizer transformers = Tokenizer::from_vocabulary_files(vocab_json(), merges_txt());
  std::mt19937 random(11);
  int encoded = 0, refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    const std::size_t length = random() % 40;
    for (std::size_t i = 0; i < length; ++i) {
      const auto bits = static_cast<std::uint32_t>(random());
      const char32_t c = (bits >> 8U) % (bits % 3 == 0 ? 0x110000U : 0x180U);
      if (round % 4 == 0) {
        text += static_cast<char>(bits);
      } else if (c < 0xD800 || c >= 0xE000) {
        radapt::append_utf8(text, c);
      }
    }
    for (const Tokenizer* tokenizer : {&openai(), &transformers}) {
      const std::string message = error_of([&] {
        const Ids ids = tokenizer->context(text);
        CHECK(ids.size() == radapt::clip_context_length);
        for (const std::int64_t id : ids) { CHECK((id >= 0 && id < tokenizer->vocabulary_size())); }
        tokenizer->decode(ids);
      });
      ++(message.empty() ? encoded : refused);
      if (!message.empty()) { CHECK(message.find("expected UTF-8") != std::string::npos); }
    }
  }
  CHECK(encoded > 5000);
  CHECK(refused > 500);
}
