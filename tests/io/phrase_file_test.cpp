/// Phrases from text files: comments, blanks, line ends, and lines that are none.
#include "radapt/io/phrase_file.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "support/error_text.hpp"
#include "support/temporary_folder.hpp"

namespace {

struct PhraseFile {
  radapt_test::TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "phrases.txt";
  explicit PhraseFile(const std::string& content) { std::ofstream(path, std::ios::binary) << content; }
  std::string message() const {
    return radapt_test::error_of([&] { radapt::load_phrases(path); });
  }
};

}  // namespace

TEST_CASE("a phrase on each line, with comments, blanks and either line end") {
  const PhraseFile file(
      "\xef\xbb\xbf# places\n{} on a beach.\r\n\n   \t\n  {} caf\xc3\xa9.  \n# {} not this\nblurry {}.");
  CHECK(radapt::load_phrases(file.path).phrases() ==
        std::vector<std::string>{"{} on a beach.", "{} caf\xc3\xa9.", "blurry {}."});
}

TEST_CASE("a line that is no phrase is named by file and line") {
  const PhraseFile without("# one\n{} at night.\n\non a beach.\n");
  CHECK(without.message().find("phrases.txt:4") != std::string::npos);
  CHECK(without.message().find("a phrase without {}: 'on a beach.'") != std::string::npos);
  const PhraseFile twice("{} and {}.\n");
  CHECK(twice.message().find("phrases.txt:1") != std::string::npos);
  CHECK(twice.message().find("more braces than one {}") != std::string::npos);
  const PhraseFile control("{} at night.\n{} a\x01 b.\n");
  CHECK(control.message().find("phrases.txt:2") != std::string::npos);
  CHECK(control.message().find("a control character: '{} a\\x01 b.'") != std::string::npos);
}

TEST_CASE("a file without phrases, and no file") {
  CHECK(PhraseFile("").message().find("at least one phrase") != std::string::npos);
  CHECK(PhraseFile("# nothing\n\n").message().find("empty lines and comments only") != std::string::npos);
  CHECK(radapt_test::fails_with("nothing of that name", [] { radapt::load_phrases("/absent/phrases.txt"); }));
}
