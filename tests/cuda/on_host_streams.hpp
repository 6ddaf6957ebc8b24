#pragma once
/// Streams and events of the stand-in for a GPU: what was launched and has not run.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cuda/on_host_only.hpp"
#include "radapt/core/error.hpp"
#include "radapt/core/shape.hpp"

namespace radapt_test::on_host {

using radapt::Index;

/// Kernels that were started, copies to the device, and waits of the host, since the program began: a test that expects
/// some can ask.
struct Counts {
  Index kernels = 0, copies_to_device = 0, waits = 0;
  Index graphs_made = 0, graphs_changed = 0, outside_of_graphs = 0;  ///< the last: kernels, copies and clears
  static Counts& all() {
    static Counts counts;
    return counts;
  }
};

/// Work in the order of its launches, with a name for each: a graph, or what was made of one.
struct Recorded {
  std::vector<std::pair<std::string, std::function<void()>>> works;
  /// A GPU changes arguments, grids and addresses. Here names say what cannot be changed.
  bool has_form_of(const Recorded& other) const {
    return std::equal(works.begin(), works.end(), other.works.begin(), other.works.end(),
                      [](const auto& a, const auto& b) { return a.first == b.first; });
  }
};

/// A point in a stream, done when everything before it is. Waiting means for the point that was recorded last.
struct EventState {
  int stream = 0;
  std::uint64_t recorded = 0, done = 0;
};

/// All streams. A GPU may be that far behind the host: here the kernels are always as far behind as they can be, so
/// that whoever reads a result without waiting for it reads what was there before. Between streams events alone fix an
/// order. A stream of copies is as far behind as it can be, or, where a test says so, as far ahead: a wait that is
/// missing on either side is found in one of the two.
class Queue {
 public:
  static Queue& all() {
    static Queue& queue = *new Queue;  // memory of static objects is given back after everything else
    return queue;
  }
  bool copies_run_early = false;
  bool next_capture_fails = false;

  /// The GPU that calls go to, as a thread of CUDA has one.
  int device = 0;

  int make_stream(bool for_copies) {
    streams_[++made_].for_copies = for_copies;
    streams_[made_].device = device;
    return made_;
  }
  void destroy_stream(int stream) {
    run(stream);
    streams_.erase(stream);
  }
  void add(int stream, std::string name, std::function<void()> work) {
    Stream& s = streams_[stream];
    if (s.device != device) { die("work for another GPU than the current one"); }
    if (s.captures) {
      s.captured.works.emplace_back(std::move(name), std::move(work));
      return;
    }
    ++Counts::all().outside_of_graphs;
    append(stream, {.work = std::move(work)});
  }
  void add(int stream, const Recorded& graph) {
    refuse_capture(stream, "a graph");
    for (const auto& [name, work] : graph.works) { append(stream, {.work = work}); }
  }
  void begin_capture(int stream) {
    refuse_capture(stream, "a second capture");
    streams_[stream].captures = true;
  }
  Recorded end_capture(int stream) {
    streams_[stream].captures = false;
    Recorded recorded = std::exchange(streams_[stream].captured, {});
    if (std::exchange(next_capture_fails, false)) {
      radapt::fail(
          {.what = "cuda: record a step", .expected = "success", .got = "a failure as a test wants it", .hint = ""});
    }
    return recorded;
  }
  void refuse_capture(int stream, const char* what) {
    if (streams_[stream].captures) { die(std::string("a stream that is captured gets ") + what); }
  }
  void record(int stream, EventState* event) {
    refuse_capture(stream, "an event");
    event->stream = stream;
    if (streams_[stream].items.empty()) {
      event->done = ++event->recorded;
      return;
    }
    append(stream, {.event = event, .point = ++event->recorded, .is_record = true});
  }
  void wait(int stream, EventState* event) {
    refuse_capture(stream, "a wait");
    append(stream, {.event = event, .point = event->recorded});
  }
  /// Runs a stream, and of the others what it waits for.
  void run(int stream) {
    refuse_capture(stream, "somebody who waits for it");
    run_what_is_there(stream);
  }
  void run_what_is_there(int stream) {
    const DeviceOnly::Running running;
    while (!streams_[stream].items.empty()) { advance(stream, true); }
    run_copies();
  }
  void run_until(EventState* event) {
    const DeviceOnly::Running running;
    while (event->done < event->recorded) { advance(event->stream, true); }
  }
  void run_all() {
    std::vector<int> all;
    for (const auto& [stream, items] : streams_) { all.push_back(stream); }
    for (const int stream : all) { run_what_is_there(stream); }
  }

 private:
  [[noreturn]] static void die(const std::string& why) {
    std::fprintf(stderr, "on_host: %s\n", why.c_str());
    std::abort();
  }
  /// Work, a point that an event records, or one that is waited for.
  struct Item {
    std::function<void()> work{};
    EventState* event = nullptr;
    std::uint64_t point = 0;
    bool is_record = false;
  };
  struct Stream {
    std::deque<Item> items;
    bool for_copies = false, captures = false;
    int device = 0;
    Recorded captured;
  };
  void append(int stream, Item item) {
    streams_[stream].items.push_back(std::move(item));
    run_copies();
  }
  void run_copies() {
    if (!copies_run_early) { return; }
    const DeviceOnly::Running running;
    for (auto& [stream, s] : streams_) {
      while (s.for_copies && !s.items.empty() && advance(stream, false)) {}
    }
  }
  /// Takes the next item of a stream; false where it waits for another one, which is not to be run.
  bool advance(int stream, bool run_others) {
    Item item = streams_[stream].items.front();
    if (item.event != nullptr && !item.is_record) {
      if (item.event->done < item.point && !run_others) { return false; }
      while (item.event->done < item.point) { advance(item.event->stream, true); }
    }
    streams_[stream].items.pop_front();
    if (item.work) { item.work(); }
    if (item.is_record) { item.event->done = item.point; }
    return true;
  }

  std::map<int, Stream> streams_;
  int made_ = 0;
};

}  // namespace radapt_test::on_host
