/// The list of the golden table's families is the file's, every test it names is there, and what is not covered yet is
/// said aloud.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "support/golden_tables.hpp"

using namespace radapt_test;

TEST_CASE("every family of the golden table is tested, or listed as not covered yet") {
  const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
  std::set<std::string> stored, listed;
  for (const std::string& tensor : open_tables().names()) { stored.insert(tensor.substr(0, tensor.find('.'))); }
  std::string not_covered;
  for (const TableFamily& family : table_families) {
    const std::string name(family.name);
    CAPTURE(name);
    CHECK(listed.insert(name).second);
    if (family.test == not_covered_yet) {
      not_covered += " " + name;
      continue;
    }
    std::ifstream file(tests / family.test);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const auto has = [&](const std::string& part) { return text.find(part) != std::string::npos; };
    const bool with_others = has("walk_tables(") && has('"' + std::string(family.test) + '"') && has('"' + name + '"');
    CHECK_MESSAGE((with_others || has("walk_family(\"" + name + '"')),
                  "the test that the list names does not walk this family");
  }
  CHECK(stored == listed);
  if (!not_covered.empty()) { MESSAGE("not covered yet:", not_covered); }
}
