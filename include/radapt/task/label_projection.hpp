#pragma once
/// Scoring a model on a data set that has other classes than its head (methods.md 0.5): a subset of the columns, or the
/// largest logit among the columns that mean the same.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt::task {

/// Which columns of the logits each class of a data set is scored by. It is applied to logits, before any softmax:
/// probabilities over the classes that are left then follow from these alone.
class LabelProjection {
 public:
  /// Class i of the data set is scored by the largest logit of the columns `columns[i]`, as ObjectNet's classes by the
  /// ImageNet classes that they cover. A column may serve several classes. Errors: no class, a class without columns, a
  /// column outside 0 .. model_classes - 1 or twice in one class.
  LabelProjection(Index model_classes, std::vector<std::vector<std::int32_t>> columns)
      : model_classes_(model_classes), columns_(std::move(columns)) {
    if (columns_.empty()) { wrong("at least one class", "none"); }
    for (Index i = 0; i < columns_.size(); ++i) {
      std::vector<std::int32_t> sorted = columns_[i];
      std::sort(sorted.begin(), sorted.end());
      if (sorted.empty()) { wrong("a column for class " + std::to_string(i), "none"); }
      if (sorted.front() < 0 || static_cast<Index>(sorted.back()) >= model_classes) {
        wrong("columns from 0 to " + std::to_string(model_classes == 0 ? 0 : model_classes - 1) + " for class " +
                  std::to_string(i),
              std::to_string(sorted.front() < 0 ? sorted.front() : sorted.back()));
      }
      const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
      if (twice != sorted.end()) {
        wrong("every column once for class " + std::to_string(i), std::to_string(*twice) + " twice");
      }
    }
  }

  /// Keeps the columns `kept` in their order: column kept[i] becomes class i, as for ImageNet-R and ImageNet-A. Errors:
  /// as above, and a column that is kept twice.
  static LabelProjection subset(Index model_classes, std::span<const std::int32_t> kept) {
    std::vector<std::vector<std::int32_t>> columns;
    std::vector<std::int32_t> sorted(kept.begin(), kept.end());
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) { wrong("every column once", std::to_string(*twice) + " twice"); }
    for (const std::int32_t column : kept) { columns.push_back({column}); }
    return LabelProjection(model_classes, std::move(columns));
  }

  Index model_classes() const { return model_classes_; }
  /// Classes of the data set.
  Index classes() const { return columns_.size(); }
  const std::vector<std::vector<std::int32_t>>& columns() const { return columns_; }

  /// Logits (N, model_classes) to logits (N, classes). Error: another number of columns.
  std::vector<float> operator()(std::span<const float> logits) const {
    if (model_classes_ == 0 || logits.size() % model_classes_ != 0) {
      wrong("rows of " + std::to_string(model_classes_) + " logits", std::to_string(logits.size()) + " numbers");
    }
    const Index rows = logits.size() / model_classes_;
    std::vector<float> out;
    out.reserve(rows * classes());
    for (Index i = 0; i < rows; ++i) {
      const float* const row = logits.data() + i * model_classes_;
      for (const auto& columns : columns_) {
        float largest = row[columns.front()];
        for (const std::int32_t column : columns) {
          // A NaN must not be hidden by the maximum; what reads the logits then reports it.
          largest = row[column] > largest || row[column] != row[column] ? row[column] : largest;
        }
        out.push_back(largest);
      }
    }
    return out;
  }

  /// Labels (N) that name columns of the model to labels that name classes of the data set. Errors: a column that no
  /// class has, or more than one.
  std::vector<std::int32_t> relabel(std::span<const std::int32_t> labels) const {
    constexpr std::int32_t none = -1, several = -2;
    std::vector<std::int32_t> class_of(model_classes_, none);
    for (Index i = 0; i < columns_.size(); ++i) {
      for (const std::int32_t column : columns_[i]) {
        auto& owner = class_of[static_cast<Index>(column)];
        owner = owner == none ? static_cast<std::int32_t>(i) : several;
      }
    }
    std::vector<std::int32_t> out;
    out.reserve(labels.size());
    for (const std::int32_t label : labels) {
      const bool inside = label >= 0 && static_cast<Index>(label) < model_classes_;
      const std::int32_t owner = inside ? class_of[static_cast<Index>(label)] : none;
      if (owner < 0) {
        wrong("labels that belong to one class of the data set",
              "label " + std::to_string(label) + ", which belongs to " + (owner == none ? "none" : "several"));
      }
      out.push_back(owner);
    }
    return out;
  }

 private:
  [[noreturn]] static void wrong(const std::string& expected, const std::string& got) {
    fail({.what = "LabelProjection", .expected = expected, .got = got, .hint = {}});
  }

  Index model_classes_;
  std::vector<std::vector<std::int32_t>> columns_;
};

}  // namespace radapt::task
