/// CLIP's tokenizer against ids of the original tokenizers, with each origin's rules.
#include "radapt/clip/tokenizer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
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

namespace {

/// OpenAI's tokenizer, read once.
const Tokenizer& openai() {
  static const Tokenizer tokenizer = Tokenizer::from_bpe_file(bpe_file());
  return tokenizer;
}

std::string repaired(std::string_view text) {
  return radapt::encode_utf8(radapt::repair_text(radapt::decode_utf8(text, "a test")));
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
  for (const auto& known : cases) {
    CAPTURE(known.first);
    CHECK(tokenizer.encode(known.first) == known.second);
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
  // A merge that ranks before the one that makes its part: OpenAI first merges every "a b", tokenizers looks again
  // after each and finds "ab a".
  const radapt::Merges ill{{"ab", "a"}, {"a", "b"}};
  CHECK(Tokenizer::from_merges(ill).encode("ababc") == Ids{513, 513, 256 + 66});
  CHECK(Tokenizer::from_merges(ill, {.rules = TokenizerRules::huggingface}).encode("ababc") == Ids{512, 65, 256 + 66});
  check_error("expected an id for each part", [] { Tokenizer::from_merges({{"a", "zz"}}); });
  check_error("expected a new token from every merge", [] {
    Tokenizer::from_merges({{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"a", "bc"}});
  });
  check_error("expected a new token from every merge", [] { Tokenizer::from_merges({{"a", "b"}, {"a", "b"}}); });
  check_error("an empty one", [] { Tokenizer::from_merges({{"", "zz"}}); });
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
  for (const auto& known : cases) {
    CAPTURE(known.first);
    CHECK(repaired(known.first) == known.second);
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
        const auto known = [&](std::int64_t id) { return id >= 0 && id < tokenizer->vocabulary_size(); };
        CHECK(std::all_of(ids.begin(), ids.end(), known));
        tokenizer->decode(ids);
      });
      ++(message.empty() ? encoded : refused);
      if (!message.empty()) { CHECK(message.find("expected UTF-8") != std::string::npos); }
    }
  }
  CHECK(encoded > 5000);
  CHECK(refused > 500);
}
