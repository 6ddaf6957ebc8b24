#pragma once
/// Shows how far a long loop is: one line redrawn on a terminal, a few lines in a log.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace radapt {

/// Where and how `Progress` writes.
struct ProgressOptions {
  /// Where progress is shown. `automatic` asks whether the standard error stream is a terminal; with a `sink` it means
  /// `log`.
  enum class Mode { automatic, terminal, log, quiet };

  Mode mode = Mode::automatic;
  std::size_t columns = 80;            ///< the width of a terminal line; longer lines are cut off, at least 20
  double redraw_seconds = 0.1;         ///< the least time between two drawings on a terminal
  std::function<double()> clock = {};  ///< seconds since any fixed moment; empty: the steady clock
  std::function<void(std::string_view)> sink = {};  ///< takes what is written; empty: the standard error stream
};

/// How far a loop is: `train   42% [========>           ] 420/1000  35.1/s  0:12<0:16  loss 1.234`
///
/// On a terminal one line is redrawn, at most every `redraw_seconds`. In a log (a file or a pipe) one line is written
/// each time another tenth is done; with an unknown total (0), each time the count has doubled. Between these moments
/// `advance` costs a few comparisons and one look at the clock. The rate is the mean since the start. An object is for
/// one thread.
class Progress {
 public:
  /// `total` is the number of steps to come, 0 if unknown.
  explicit Progress(std::string_view label, std::uint64_t total = 0, ProgressOptions options = {})
      : label_(one_line(label)), total_(total), options_(std::move(options)) {
    if (options_.mode == ProgressOptions::Mode::automatic) {
      options_.mode =
          !options_.sink && error_stream_is_terminal() ? ProgressOptions::Mode::terminal : ProgressOptions::Mode::log;
    }
    options_.columns = std::max<std::size_t>(options_.columns, 20);
    if (!quiet()) { start_ = now(); }
    if (terminal()) { draw(start_); }
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Ends the line. A loop that was left early shows the count it reached, not the total.
  ~Progress() {
    try {
      finish();
    } catch (...) {  // a sink that throws must not end the program while another error is on its way
    }
  }

  /// `steps` more are done. `extra` is shown last, such as "loss 1.234"; it is kept until another is given.
  void advance(std::uint64_t steps = 1, std::string_view extra = {}) { update(current_ + steps, extra); }

  /// `current` steps are done in all; a count below an earlier one is taken as it is.
  void update(std::uint64_t current, std::string_view extra = {}) {
    current_ = current;
    if (quiet() || finished_) { return; }
    if (!extra.empty()) { extra_ = extra; }
    if (terminal()) {
      const double time = now();
      if (time - drawn_ >= options_.redraw_seconds) { draw(time); }
    } else if (milestone()) {
      write_log_line();
    }
  }

  /// Shows the last state and ends the line. Later calls do nothing.
  void finish(std::string_view extra = {}) {
    if (quiet() || finished_) { return; }
    finished_ = true;
    if (!extra.empty()) { extra_ = extra; }
    if (terminal()) {
      draw(now());
      write("\n");
    } else if (logged_ != current_ || current_ == 0 || !extra.empty()) {
      write_log_line();
    }
  }

  std::uint64_t current() const { return current_; }
  std::uint64_t total() const { return total_; }

  /// A duration as 0:07, 12:34 or 1:02:03; "?" if it is not a number of seconds of at least 0 and at most about 30
  /// years.
  static std::string clock_text(double seconds) {
    if (!(seconds >= 0 && seconds <= 1e9)) { return "?"; }
    const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
    const auto two_digits = [](std::uint64_t part) { return (part < 10 ? "0" : "") + std::to_string(part); };
    const std::string tail = ":" + two_digits(whole % 60);
    const std::uint64_t minutes = whole / 60;
    return minutes < 60 ? std::to_string(minutes) + tail
                        : std::to_string(minutes / 60) + ":" + two_digits(minutes % 60) + tail;
  }

 private:
  bool quiet() const { return options_.mode == ProgressOptions::Mode::quiet; }
  bool terminal() const { return options_.mode == ProgressOptions::Mode::terminal; }

  static bool error_stream_is_terminal() {
#if __has_include(<unistd.h>)
    return ::isatty(2) == 1;
#else
    return false;
#endif
  }
  double now() const {
    if (options_.clock) { return options_.clock(); }
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  void write(std::string_view text) const {
    if (options_.sink) {
      options_.sink(text);
    } else {
      std::fwrite(text.data(), 1, text.size(), stderr);
      std::fflush(stderr);
    }
  }

  /// Line breaks, escapes and other control characters would break the redrawing of the line.
  static std::string one_line(std::string_view text) {
    std::string line(text);
    for (char& letter : line) {
      if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F) { letter = ' '; }
    }
    return line;
  }
  /// Cuts a text after `most` characters of UTF-8, never inside one.
  static void cut(std::string& text, std::size_t most) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U && ++characters > most) {
        text.resize(i);
        return;
      }
    }
  }

  double share() const {
    return total_ == 0 ? 0 : std::min(1.0, static_cast<double>(current_) / static_cast<double>(total_));
  }

  /// Three significant digits: 0.0123/s, 1.23/s, 12.3/s, 1234/s.
  static std::string rate_text(double rate) {
    const int decimals = rate >= 100 ? 0 : rate >= 10 ? 1 : rate >= 1 ? 2 : 4;
    char text[64];
    std::snprintf(text, sizeof text, "%.*f/s", decimals, std::min(rate, 1e15));
    return text;
  }

  /// Counts, rate and times: what both forms of the line share. A rate needs a little time, or it is noise.
  std::string numbers(double elapsed) const {
    std::string text = std::to_string(current_);
    if (total_ != 0) { text += "/" + std::to_string(total_); }
    const double rate = elapsed > 1e-3 ? static_cast<double>(current_) / elapsed : 0;
    if (rate > 0) { text += "  " + rate_text(rate); }
    text += "  " + clock_text(elapsed);
    if (rate > 0 && current_ < total_) { text += "<" + clock_text(static_cast<double>(total_ - current_) / rate); }
    if (!extra_.empty()) { text += "  " + one_line(extra_); }
    return text;
  }
  std::string percent() const {
    // Rounded down, so that 100% means done.
    const std::string number = std::to_string(static_cast<int>(share() * 100));
    return std::string(3 - std::min<std::size_t>(3, number.size()), ' ') + number + "%";
  }

  void draw(double time) {
    drawn_ = time;
    std::string line = label_ + " ";
    if (total_ != 0) {
      constexpr std::size_t width = 20;
      const auto done = static_cast<std::size_t>(share() * width);
      line += percent() + " [" + std::string(done, '=') + (done < width ? ">" : "") +
              std::string(done < width ? width - done - 1 : 0, ' ') + "] ";
    }
    line += numbers(time - start_);
    cut(line, options_.columns - 1);  // a full line would wrap on some terminals
    // Back to the first column, the line, and the rest of the old line erased (ECMA-48: EL).
    write("\r" + line + "\x1b[K");
  }

  /// The least count with `tenths` tenths of the total done; in two parts, so that no total overflows.
  std::uint64_t tenth(std::uint64_t tenths) const { return total_ / 10 * tenths + (total_ % 10 * tenths + 9) / 10; }

  /// Whether the log is due for a line. Remembers it.
  bool milestone() {
    if (total_ == 0) {
      if (current_ < next_) { return false; }
      next_ = std::max(next_, current_) * 2;
      return true;
    }
    if (next_ > 10 || current_ < tenth(next_)) { return false; }
    while (next_ <= 10 && current_ >= tenth(next_)) { ++next_; }
    return true;
  }
  void write_log_line() {
    logged_ = current_;
    write(label_ + " " + (total_ != 0 ? percent() + " " : "") + numbers(now() - start_) + "\n");
  }

  std::string label_;
  std::uint64_t total_;
  ProgressOptions options_;
  std::string extra_;
  std::uint64_t current_ = 0;
  std::uint64_t next_ = 1;    ///< the next tenth, or the next count if there is no total
  std::uint64_t logged_ = 0;  ///< the count in the last log line
  double start_ = 0;
  double drawn_ = 0;
  bool finished_ = false;
};

}  // namespace radapt
