#pragma once
/// Walking every case of one family of the golden table, for a method whose tests have a file of their own.
#include <set>
#include <string>

#include "support/golden_tables.hpp"

namespace radapt_test {

/// Calls check(case) for every case of the family. Fails if there is none, and for a tensor that no check asked for.
template <class Check>
void walk_family(const std::string& family, Check&& check) {
  const auto file = open_tables();
  std::set<std::string> cases;
  for (const std::string& tensor : file.names()) {
    if (tensor.starts_with(family + '.')) { cases.insert(tensor.substr(0, tensor.find('.', family.size() + 1))); }
  }
  CHECK_FALSE(cases.empty());
  for (const std::string& one : cases) {
    CAPTURE(one);
    TableCase table_case(file, one);
    check(table_case);
    for (const std::string& forgotten : table_case.unread()) {
      FAIL_CHECK("no check of this case asks for its tensor '", forgotten, "'");
    }
  }
}

}  // namespace radapt_test
