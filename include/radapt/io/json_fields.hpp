#pragma once
/// Reading the members of a JSON object by key, with type and range checked and file and key named in every error.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "radapt/core/error.hpp"
#include "radapt/io/quoted_name.hpp"

namespace radapt {

/// An object of a JSON document, read key by key. The document has to outlive it.
class JsonFields {
 public:
  /// `where` is the key path of the object for messages: empty for the document, else ending in a dot.
  JsonFields(const nlohmann::json& object, std::string file, std::string where = {})
      : object_(&object), file_(std::move(file)), where_(std::move(where)) {
    if (!object.is_object()) {
      wrong(where_.empty() ? "the content" : where_.substr(0, where_.size() - 1), "an object", object);
    }
  }

  /// The member `key`; null where there is none.
  const nlohmann::json* find(const std::string& key) const {
    const auto found = object_->find(key);
    return found == object_->end() ? nullptr : &*found;
  }
  bool contains(const std::string& key) const { return find(key) != nullptr; }
  /// Whether `key` is there with a value other than null.
  bool has_value(const std::string& key) const {
    const nlohmann::json* const value = find(key);
    return value != nullptr && !value->is_null();
  }

  /// The object under `key`, or under `instead` where that is present and not null; an empty one where neither is.
  JsonFields object(const std::string& key, const std::string& instead = {}) const {
    static const nlohmann::json empty = nlohmann::json::object();
    const std::string& from = !instead.empty() && has_value(instead) ? instead : key;
    return JsonFields(has_value(from) ? *find(from) : empty, file_, where_ + from + ".");
  }

  /// A whole number from `least` to `most`; `otherwise` where the key is absent. Error: absent without `otherwise`.
  std::uint64_t whole(const std::string& key, std::uint64_t least, std::uint64_t most,
                      std::optional<std::uint64_t> otherwise = std::nullopt) const {
    const nlohmann::json* const value = present(key, otherwise.has_value());
    return value == nullptr ? *otherwise : whole_of(*value, where_ + key, least, most);
  }

  /// A number from `least` to `most`; `otherwise` where the key is absent. Error: absent without `otherwise`.
  double number(const std::string& key, double least, double most,
                std::optional<double> otherwise = std::nullopt) const {
    const nlohmann::json* const value = present(key, otherwise.has_value());
    return value == nullptr ? *otherwise : number_of(*value, where_ + key, least, most);
  }

  /// true or false; `otherwise` where the key is absent.
  bool boolean(const std::string& key, bool otherwise) const {
    const nlohmann::json* const value = find(key);
    if (value == nullptr) { return otherwise; }
    if (!value->is_boolean()) { wrong(where_ + key, "true or false", *value); }
    return value->get<bool>();
  }

  /// A text; `otherwise` where the key is absent.
  std::string text(const std::string& key, const std::string& otherwise) const {
    const nlohmann::json* const value = find(key);
    if (value == nullptr) { return otherwise; }
    if (!value->is_string()) { wrong(where_ + key, "a text", *value); }
    return value->get<std::string>();
  }

  /// A list of `count` numbers from `least` to `most`; `otherwise` where the key is absent.
  std::vector<double> numbers(const std::string& key, std::size_t count, double least, double most,
                              std::vector<double> otherwise) const {
    const nlohmann::json* const value = find(key);
    if (value == nullptr) { return otherwise; }
    if (!value->is_array() || value->size() != count) {
      wrong(where_ + key, "a list of " + std::to_string(count) + " numbers", *value);
    }
    std::vector<double> numbers;
    for (const nlohmann::json& item : *value) { numbers.push_back(number_of(item, where_ + key, least, most)); }
    return numbers;
  }

  /// One side of a square: a whole number, or a list of two that are equal. `otherwise` where the key is absent; error
  /// without it.
  std::uint64_t square(const std::string& key, std::uint64_t least, std::uint64_t most,
                       std::optional<std::uint64_t> otherwise = std::nullopt) const {
    const nlohmann::json* const value = present(key, otherwise.has_value());
    if (value == nullptr) { return *otherwise; }
    if (!value->is_array()) { return whole_of(*value, where_ + key, least, most); }
    if (value->size() != 2 || (*value)[0] != (*value)[1]) { wrong(where_ + key, "the side of a square", *value); }
    return whole_of((*value)[0], where_ + key, least, most);
  }

  /// Fails unless `key` is absent, null or equal to `only`: for settings that radapt knows in one form only.
  void require(const std::string& key, const nlohmann::json& only) const {
    const nlohmann::json* const value = find(key);
    if (value != nullptr && !value->is_null() && *value != only) {
      fail({.what = "reading '" + file_ + "': key '" + where_ + key + "'",
            .expected = spell(only),
            .got = spell(*value),
            .hint = "radapt knows this setting in no other form"});
    }
  }

  /// Fails: the value of `key` is not what is expected.
  [[noreturn]] void wrong_value(const std::string& key, const std::string& expected) const {
    const nlohmann::json* const value = find(key);
    wrong(where_ + key, expected, value == nullptr ? nlohmann::json() : *value);
  }

  const std::string& file() const { return file_; }

 private:
  /// A value for messages, made printable and short.
  static std::string spell(const nlohmann::json& value) {
    if (value.is_string()) { return quoted_name(value.get_ref<const std::string&>()); }
    if (value.is_structured() && value.size() > 4) { return std::string("a long ") + value.type_name(); }
    std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return text.size() > 80 ? text.substr(0, 80) + "..." : text;
  }

  [[noreturn]] void wrong(const std::string& key, std::string expected, const nlohmann::json& got) const {
    fail({.what = "reading '" + file_ + "': key '" + key + "'",
          .expected = std::move(expected),
          .got = spell(got),
          .hint = {}});
  }

  const nlohmann::json* present(const std::string& key, bool optional) const {
    const nlohmann::json* const value = find(key);
    if (value == nullptr && !optional) {
      fail({.what = "reading '" + file_ + "'", .expected = "a key '" + where_ + key + "'", .got = "none", .hint = {}});
    }
    return value;
  }

  std::uint64_t whole_of(const nlohmann::json& value, const std::string& key, std::uint64_t least,
                         std::uint64_t most) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least || value.get<std::uint64_t>() > most) {
      wrong(key, "a whole number from " + std::to_string(least) + " to " + std::to_string(most), value);
    }
    return value.get<std::uint64_t>();
  }

  double number_of(const nlohmann::json& value, const std::string& key, double least, double most) const {
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!(number >= least && number <= most)) {
      wrong(key, "a number from " + spell(least) + " to " + spell(most), value);
    }
    return number;
  }

  const nlohmann::json* object_;
  std::string file_, where_;
};

}  // namespace radapt
