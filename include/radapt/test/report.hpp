#pragma once
/// What a check of a layer found.
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "radapt/core/shape.hpp"

namespace radapt::test {

/// Everything that was compared, and every comparison that failed. Converts to true when nothing did.
class Report {
 public:
  explicit Report(std::string_view subject) : subject_(subject) {}

  explicit operator bool() const { return ok(); }
  bool ok() const { return findings_.empty() && checks_ > 0; }
  /// Failures as sentences: where, which tensor, what was found, what was expected.
  const std::vector<std::string>& findings() const { return findings_; }
  /// How many comparisons were made.
  Index checks() const { return checks_; }
  /// Largest error of a derivative, relative to the gradient it belongs to. NaN counts as a failure, not here.
  double largest_error() const { return largest_error_; }

  /// All of it, one finding on each line.
  std::string text() const {
    std::string text = subject_ + ": " + std::to_string(checks_) + " checks, " + std::to_string(findings_.size()) +
                       " failed; the largest error of a derivative that passed is " + spelt(largest_error_) + " (" +
                       (largest_.empty() ? std::string("none was compared") : largest_) + ")";
    for (const std::string& finding : findings_) { text += "\n  " + finding; }
    return text;
  }

  /// Counts a check, and keeps `sentence` if it failed.
  void expect(bool ok, std::string sentence) {
    ++checks_;
    if (!ok) { findings_.push_back(std::move(sentence)); }
  }
  /// Remembers an error that was within its bound.
  void passed(double error, const std::string& what) {
    if (error < largest_error_) { return; }
    largest_error_ = error;
    largest_ = what;
  }

  /// Three digits: `1.23e-08`.
  static std::string spelt(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", x);
    return text;
  }

 private:
  std::string subject_;
  std::vector<std::string> findings_;
  Index checks_ = 0;
  double largest_error_ = 0;
  std::string largest_;
};

}  // namespace radapt::test
