#pragma once
/// Progress of a loop that usually ends at once: shown only when it takes longer than a moment.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "radapt/train/progress.hpp"

namespace radapt::task {

/// Like Progress, but silent for the first `patience` seconds. For metrics, which take milliseconds on most data and
/// minutes on some.
class LateProgress {
 public:
  LateProgress(std::string_view label, std::uint64_t total, double patience = 1.0, ProgressOptions options = {})
      : label_(label),
        total_(total),
        patience_(patience),
        options_(std::move(options)),
        start_(std::chrono::steady_clock::now()) {}

  /// `steps` more are done.
  void advance(std::uint64_t steps = 1) {
    done_ += steps;
    if (!shown_.has_value()) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
      if (elapsed.count() < patience_) { return; }
      shown_.emplace(label_, total_, options_);
    }
    shown_->update(done_);
  }
  /// Whether anything has been shown.
  bool shown() const { return shown_.has_value(); }

 private:
  std::string label_;
  std::uint64_t total_, done_ = 0;
  double patience_;
  ProgressOptions options_;
  std::chrono::steady_clock::time_point start_;
  std::optional<Progress> shown_;
};

}  // namespace radapt::task
