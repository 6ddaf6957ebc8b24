#pragma once
/// The expected values of tests/oracle: walking every case of a file, so that no case and no entry of one is forgotten.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "radapt/core/shape.hpp"
#include "radapt/core/tree.hpp"
#include "radapt/io/json_document.hpp"
#include "radapt/io/mapped_file.hpp"

namespace radapt_test {

/// One case. It remembers which of its entries were asked for.
class OracleCase {
 public:
  explicit OracleCase(const nlohmann::json& entries) : entries_(&entries) {
    for (const auto& [name, entry] : entries.items()) { unread_.insert(name); }
    unread_.erase("case");
  }

  bool has(const std::string& name) const { return entries_->contains(name); }
  std::string word(const std::string& name) {
    unread_.erase(name);
    return entries_->at(name).get<std::string>();
  }
  std::vector<std::string> words(const std::string& name) {
    unread_.erase(name);
    return entries_->at(name).get<std::vector<std::string>>();
  }
  double number(const std::string& name) {
    unread_.erase(name);
    return entries_->at(name).get<double>();
  }
  radapt::Index count(const std::string& name) { return static_cast<radapt::Index>(number(name)); }
  radapt::Index extent(const std::string& name, std::size_t axis) const {
    return entries_->at(name).at("shape").at(axis).get<radapt::Index>();
  }
  /// A tensor, a list or one number. As float: an input, which must be exact there.
  template <class T = double>
  std::vector<T> read(const std::string& name) {
    unread_.erase(name);
    const auto& entry = entries_->at(name);
    const auto wide = entry.is_number() ? std::vector{entry.get<double>()}
                                        : (entry.is_array() ? entry : entry.at("values")).get<std::vector<double>>();
    std::vector<T> values(wide.size());
    bool exact = true;
    for (std::size_t i = 0; i < wide.size(); ++i) {
      values[i] = static_cast<T>(wide[i]);
      exact = exact && static_cast<double>(values[i]) == wide[i];
    }
    CAPTURE(name);
    REQUIRE(exact);
    return values;
  }
  std::vector<std::int32_t> labels(const std::string& name) { return read<std::int32_t>(name); }

  /// Reads `prefix + name` of every leaf of a tree into it.
  template <class Tree>
  void read_into(Tree& tree, const std::string& prefix = "") {
    radapt::each_named(
        [&](const std::string& name, auto& leaf) {
          using T = std::remove_cvref_t<decltype(*leaf.data)>;
          const auto values = read<T>(prefix + name);
          REQUIRE(values.size() == leaf.size());
          std::copy(values.begin(), values.end(), leaf.data);
        },
        "", tree);
  }

  const std::set<std::string>& unread() const { return unread_; }

 private:
  const nlohmann::json* entries_;
  std::set<std::string> unread_;
};

/// A family of a file: how many cases it has, and what compares one of them.
struct OracleFamily {
  std::string name;
  std::size_t cases;
  std::function<void(OracleCase&)> check;
};

/// Runs every case of tests/oracle/`file`. Fails for a file that is missing, a case of another family, a family with
/// another number of cases, and an entry that no check asked for.
inline void walk_oracle(const std::string& file, const std::vector<OracleFamily>& families) {
  const std::filesystem::path path = std::filesystem::path(RADAPT_SOURCE_DIR) / "tests" / "oracle" / file;
  REQUIRE_MESSAGE(std::filesystem::exists(path), path.string() << " does not exist; tests/oracle/README.md says how "
                                                                  "it is made");
  const radapt::MappedFile bytes(path);
  const nlohmann::json document = radapt::parse_json(bytes.bytes(), path.string());
  std::vector<std::size_t> visited(families.size());
  for (const nlohmann::json& entries : document.at("cases")) {
    OracleCase one(entries);
    const std::string family = one.word("family"), name = entries.at("case").get<std::string>();
    CAPTURE(family);
    CAPTURE(name);
    const auto known = std::find_if(families.begin(), families.end(), [&](const auto& f) { return f.name == family; });
    REQUIRE(known != families.end());
    ++visited[static_cast<std::size_t>(known - families.begin())];
    known->check(one);
    for (const std::string& forgotten : one.unread()) {
      FAIL_CHECK("no check of this case asks for its entry '", forgotten, "'");
    }
  }
  for (std::size_t i = 0; i < families.size(); ++i) {
    CAPTURE(families[i].name);
    CHECK(visited[i] == families[i].cases);
  }
}

/// max |x - expected| over the largest of |expected|, or over 1e-3 where that is less: what is zero by its formula is
/// some 1e-17 on either side, and no other result of these cases is so small throughout.
template <class A, class B>
double oracle_error(const A& x, const B& expected) {
  if (std::size(x) != std::size(expected)) { return INFINITY; }
  double error = 0, largest = 1e-3;
  for (std::size_t i = 0; i < std::size(x); ++i) {
    const double difference = std::abs(static_cast<double>(x[i]) - static_cast<double>(expected[i]));
    error = difference > error || std::isnan(difference) ? difference : error;
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return error / largest;
}

/// Bounds of that error. In double both sides round at 1e-16, in sums of at most a hundred terms, and a scale of
/// logits of up to 100 multiplies what a cosine is off. In float the same at 6e-8.
template <class T>
inline constexpr double oracle_bound = sizeof(T) == 8 ? 1e-12 : 1e-5;

}  // namespace radapt_test
