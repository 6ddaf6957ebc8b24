#pragma once
/// Tables in text files: comma or tab separated, quoted as RFC 4180 says, columns found by their names.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"
#include "radapt/io/file.hpp"
#include "radapt/io/near_names.hpp"

namespace radapt {

/// How a table is written down.
struct CsvOptions {
  char separator = ',';  ///< between fields; open_clip's training files use a tab
  bool header = true;    ///< whether the first record holds the names of the columns; else they are "0", "1", ...
  bool quotes = true;    ///< whether fields may be quoted; else a quote is a sign like any other
};

/// A table as text: every row has one field for each column.
class CsvTable {
 public:
  CsvTable(std::string name, std::vector<std::string> columns, std::vector<std::vector<std::string>> rows)
      : name_(std::move(name)), columns_(std::move(columns)), rows_(std::move(rows)) {}

  const std::vector<std::string>& columns() const { return columns_; }
  const std::vector<std::vector<std::string>>& rows() const { return rows_; }
  Index size() const { return rows_.size(); }

  /// Position of the column `wanted`. Error: there is none; the message lists names like it.
  Index column(std::string_view wanted) const {
    const auto found = std::find(columns_.begin(), columns_.end(), wanted);
    if (found == columns_.end()) {
      const std::string near = near_names(wanted, columns_);
      std::string all;
      for (Index i = 0; i < std::min<Index>(columns_.size(), 20); ++i) {
        all += (i == 0 ? "" : ", ") + quoted_name(columns_[i]);
      }
      fail({.what = "reading '" + name_ + "'",
            .expected = "a column " + quoted_name(wanted),
            .got = all,
            .hint = near.empty() ? std::string() : "Names like it: " + near});
    }
    return static_cast<Index>(found - columns_.begin());
  }
  /// The field of a row and a column, both from 0. Error: std::out_of_range where the table has none.
  const std::string& at(Index row, Index column) const { return rows_.at(row).at(column); }

 private:
  std::string name_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

namespace detail {

/// Splits text into records of fields, as RFC 4180 says: a field in quotes may hold separators, line breaks and doubled
/// quotes; a line ends with LF or CR LF. Lines are counted for messages.
class CsvText {
 public:
  CsvText(std::string_view text, const std::string& name, const CsvOptions& options)
      : text_(text), name_(name), separator_(options.separator), quotes_(options.quotes) {
    const char separator = separator_;
    if (separator == '"' || separator == '\n' || separator == '\r' || separator == '\0') {
      fail({.what = "reading '" + name + "'",
            .expected = "a separator between fields",
            .got = "another sign",
            .hint = {}});
    }
    if (text_.starts_with("\xef\xbb\xbf")) { text_.remove_prefix(3); }  // the byte order mark of UTF-8
  }

  bool ended() const { return at_ == text_.size(); }
  Index line() const { return line_; }

  std::vector<std::string> record() {
    std::vector<std::string> fields;
    while (true) {
      fields.push_back(field());
      if (ended()) { return fields; }
      const char c = text_[at_++];
      if (c == separator_) { continue; }
      if (c == '\r') { ++at_; }
      ++line_;
      return fields;
    }
  }

 private:
  /// Whether a field ends here: at a separator, a line break or the end.
  bool at_end_of_field() const {
    if (ended()) { return true; }
    const char c = text_[at_];
    return c == separator_ || c == '\n' || (c == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
  }
  std::string field() {
    std::string value;
    if (ended() || text_[at_] != '"' || !quotes_) {
      while (!at_end_of_field()) {
        if (text_[at_] == '"' && quotes_) { wrong("a quote only at the beginning of a field", "one inside"); }
        value += text_[at_++];
      }
      return value;
    }
    const Index first_line = line_;
    for (++at_;; ++at_) {
      if (ended()) {
        line_ = first_line;
        wrong("a quote that closes the field", "the end of the file");
      }
      if (text_[at_] == '"') {
        if (at_ + 1 == text_.size() || text_[at_ + 1] != '"') { break; }
        ++at_;
      } else if (text_[at_] == '\n') {
        ++line_;
      }
      value += text_[at_];
    }
    ++at_;
    if (!at_end_of_field()) { wrong("a separator or the end of the line after a closing quote", "more text"); }
    return value;
  }
  [[noreturn]] void wrong(const std::string& expected, const std::string& got) const {
    fail({.what = "reading '" + name_ + "', line " + std::to_string(line_),
          .expected = expected,
          .got = got,
          .hint = "A field with a separator, a quote or a line break stands in quotes, and quotes in it are doubled; "
                  "CsvOptions::quotes turns this off"});
  }

  std::string_view text_;
  const std::string& name_;
  char separator_;
  bool quotes_;
  std::size_t at_ = 0;
  Index line_ = 1;
};

}  // namespace detail

/// The table in `text`; `name` stands for it in messages. Fields are taken as they are: spaces count. Lines with
/// nothing on them are left out where the table has more than one column. Errors: no header, a column name twice, a row
/// with another number of fields, quotes that do not close or stand inside a field; each with its line.
inline CsvTable parse_csv(std::string_view text, const std::string& name, const CsvOptions& options = {}) {
  detail::CsvText reader(text, name, options);
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  bool first = true;
  while (!reader.ended()) {
    const Index line = reader.line();
    std::vector<std::string> record = reader.record();
    if (first) {
      first = false;
      for (Index i = 0; i < record.size(); ++i) { columns.push_back(options.header ? record[i] : std::to_string(i)); }
      std::vector<std::string> sorted = columns;
      std::sort(sorted.begin(), sorted.end());
      const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
      if (twice != sorted.end()) {
        fail({.what = "reading '" + name + "'",
              .expected = "every column name once",
              .got = quoted_name(*twice) + " twice",
              .hint = {}});
      }
      if (options.header) { continue; }
    }
    if (record.size() == 1 && record[0].empty() && columns.size() > 1) { continue; }
    if (record.size() != columns.size()) {
      fail({.what = "reading '" + name + "', line " + std::to_string(line),
            .expected = std::to_string(columns.size()) + " fields, as in the first line",
            .got = std::to_string(record.size()),
            .hint = "Check the separator, and quote fields that hold one"});
    }
    rows.push_back(std::move(record));
  }
  if (first && options.header) {
    fail(
        {.what = "reading '" + name + "'", .expected = "a line with column names", .got = "an empty file", .hint = {}});
  }
  return CsvTable(name, std::move(columns), std::move(rows));
}

/// The table in the file `path`; see parse_csv.
inline CsvTable read_csv(const std::filesystem::path& path, const CsvOptions& options = {}) {
  const std::vector<std::byte> bytes = read_file(path);
  return parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string(), options);
}

}  // namespace radapt
