#pragma once
/// Scores of samples by classes, logits or probabilities: tables of rows, owned and as views, in float or double.
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/view.hpp"

namespace radapt {

/// A table that owns its numbers: (rows, width), one row behind the other. A vector that a session filled is moved in.
template <class T>
struct Scores {
  std::vector<T> values;
  Index width = 0;  ///< numbers in a row: classes, or the width of features

  Index rows() const { return width == 0 ? 0 : values.size() / width; }
  std::span<const T> row(Index i) const { return {values.data() + i * width, width}; }
};

/// The numbers of a vector or span as rows of `width`, without copying. A number of values that is no multiple of the
/// width is an error.
template <class Values>
auto rows_of(const Values& values, Index width) {
  using T = std::remove_const_t<std::remove_pointer_t<decltype(std::data(values))>>;
  const Index size = std::size(values);
  if (width == 0 || size % width != 0) {
    fail({.what = "rows_of",
          .expected = "a multiple of the width " + std::to_string(width) + " as number of values",
          .got = std::to_string(size),
          .hint = "Tables are (rows, width), one row behind the other"});
  }
  return Matrix<const T>(std::data(values), size / width, width);
}

/// What the functions on tables take: Scores, or a Matrix such as rows_of makes.
template <class T>
Matrix<const T> view_of(const Scores<T>& table) {
  return rows_of(table.values, table.width);
}
template <class T>
Matrix<const T> view_of(const Matrix<T>& table) {
  return table;
}
template <class T>
Matrix<const T> view_of(const Matrix<const T>& table) {
  return table;
}

/// A table of numbers in float or double.
template <class X>
concept score_table = requires(const X& table) {
  view_of(table).columns;
};

namespace detail {

template <class X>
using number_of = std::remove_cv_t<std::remove_pointer_t<decltype(view_of(std::declval<const X&>()).data)>>;

/// The place of the largest number of a row, the first of equal ones.
template <class T>
Index largest(const T* row, Index width) {
  Index best = 0;
  for (Index c = 1; c < width; ++c) { best = row[c] > row[best] ? c : best; }
  return best;
}

/// Fails at the first number of a table that is not finite, and names its row.
template <class T>
void check_rows(const std::string& what, Matrix<const T> table) {
  if (table.rows == 0 || table.columns == 0) {
    fail({.what = what, .expected = "at least one row and one column", .got = "an empty table", .hint = ""});
  }
  for (Index i = 0; i < table.size(); ++i) {
    if (!std::isfinite(table.data[i])) {
      fail({.what = what + ", row " + std::to_string(i / table.columns),
            .expected = "finite numbers",
            .got = std::to_string(table.data[i]),
            .hint = ""});
    }
  }
}

/// Fails unless there is one label per row, each a column.
template <class T>
void check_labels(const std::string& what, Matrix<const T> scores, const std::vector<std::int32_t>& labels) {
  if (labels.size() != scores.rows) {
    fail({.what = what,
          .expected = std::to_string(scores.rows) + " labels, one per row",
          .got = std::to_string(labels.size()),
          .hint = ""});
  }
  for (const std::int32_t label : labels) {
    if (label < 0 || static_cast<Index>(label) >= scores.columns) {
      fail({.what = what,
            .expected = "class ids from 0 to " + std::to_string(scores.columns - 1),
            .got = std::to_string(label),
            .hint = "Scores have one column for each class"});
    }
  }
}

template <class A, class B>
void check_same_table(const std::string& what, const A& first, const B& second) {
  if (first.rows != second.rows || first.columns != second.columns) {
    const auto text = [](Index rows, Index columns) {
      return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
    };
    fail({.what = what,
          .expected = "tables of one shape, " + text(first.rows, first.columns),
          .got = text(second.rows, second.columns),
          .hint = "Both models must score the same samples and the same classes"});
  }
}

}  // namespace detail
}  // namespace radapt
