#pragma once
/// The stream that kernels are launched on: one by one, or those of a step as one graph.
#include <cstring>
#include <vector>

#include "radapt/backend/cuda/kernels/runtime.cuh"
#include "radapt/core/memory.hpp"

namespace radapt::detail::gpu {

/// Pinned memory that holds what copies will read when they run; a stack that stops growing.
class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    for (const Block& b : blocks_) { runtime::give_back_host_memory(b.data); }
  }
  /// A copy of it, which stays until `release`.
  const void* of(const void* data, Index bytes) {
    while (at_ < blocks_.size() && used_ + bytes > blocks_[at_].bytes) {
      ++at_;
      used_ = 0;
    }
    if (at_ == blocks_.size()) {
      const Index whole = bytes > smallest ? bytes : smallest;
      blocks_.push_back({static_cast<char*>(runtime::take_host_memory(whole)), whole});
    }
    char* const copy = blocks_[at_].data + used_;
    used_ += padded(bytes);
    held_ += padded(bytes);
    std::memcpy(copy, data, bytes);
    return copy;
  }
  void release() { at_ = used_ = held_ = 0; }
  /// Bytes since the last `release`.
  Index held() const { return held_; }

 private:
  struct Block {
    char* data;
    Index bytes;
  };
  static constexpr Index smallest = Index{1} << 20;
  std::vector<Block> blocks_;
  Index at_ = 0, used_ = 0, held_ = 0;
};

/// While a step is recorded nothing runs. Whoever waits has what was recorded until then run as a graph. A graph that
/// has the form of the one at the same place of the step before takes over what was made for that one; which rows are
/// kept and how long captions are changes grids and arguments, and not the form.
class Launches {
 public:
  explicit Launches(bool steps_are_graphs) : steps_are_graphs_(steps_are_graphs), stream_(runtime::make_stream()) {}
  Launches(const Launches&) = delete;
  Launches& operator=(const Launches&) = delete;
  ~Launches() {
    abandon();
    for (const runtime::GraphExec& made : made_) { runtime::destroy_graph_exec(made); }
    runtime::destroy_stream(stream_);
  }

  runtime::Stream stream() const { return stream_; }

  /// What is launched from here to `finish` is one step.
  void begin_step() {
    if (!steps_are_graphs_) { return; }
    if (recording_) { finish(); }  // of a step that ended with an error
    place_ = 0;
    record();
  }
  /// Has what was recorded run, and records no more.
  void submit() {
    if (!recording_) { return; }
    recording_ = false;
    ++lost_;  // unless all goes well
    const OwnedGraph graph{runtime::end_capture(stream_)};
    if (place_ == made_.size()) { made_.push_back({}); }
    runtime::GraphExec& made = made_[place_++];
    if (made != runtime::GraphExec{} && !runtime::update(made, graph.graph)) {
      runtime::destroy_graph_exec(made);
      made = {};
    }
    if (made == runtime::GraphExec{}) { made = runtime::instantiate(graph.graph); }
    runtime::launch_graph(made, stream_);
    --lost_;
  }
  /// How often something that was recorded did not run. What it would have filled is not filled.
  Index lost() const { return lost_; }
  void finish() {
    submit();
    runtime::synchronize(stream_);
    staging_.release();
  }
  /// For a result in the middle of a step, which goes on being recorded. What copy_back() launches is not: it may write
  /// to ordinary memory of the host.
  template <class F>
  void wait(F&& copy_back) {
    const bool goes_on = recording_;
    submit();
    copy_back();
    finish();
    if (goes_on) { record(); }
  }
  void wait() {
    wait([] {});
  }
  /// Drops what was recorded: nobody has waited for it.
  void abandon() noexcept {
    if (!recording_) { return; }
    recording_ = false;
    ++lost_;
    runtime::drop_capture(stream_);
  }

  /// `from`, ordinary memory of the host, may be written again as soon as this returns. What is small does not wait for
  /// the stream either, as the runtime may: it goes through pinned memory, like everything that is recorded.
  void copy_to_device(void* to, const void* from, Index bytes) {
    if (recording_ || (bytes <= small_bytes && staging_.held() + bytes <= most_staged)) {
      runtime::copy_input_to_device(to, staging_.of(from, bytes), bytes, stream_);
    } else {
      runtime::copy_to_device(to, from, bytes, stream_);
    }
  }

 private:
  struct OwnedGraph {
    explicit OwnedGraph(runtime::Graph g) : graph(g) {}
    OwnedGraph(const OwnedGraph&) = delete;
    OwnedGraph& operator=(const OwnedGraph&) = delete;
    ~OwnedGraph() { runtime::destroy_graph(graph); }
    runtime::Graph graph;
  };
  static constexpr Index small_bytes = Index{1} << 18, most_staged = Index{1} << 24;

  void record() {
    runtime::begin_capture(stream_);
    recording_ = true;
  }

  bool steps_are_graphs_, recording_ = false;
  runtime::Stream stream_;
  std::vector<runtime::GraphExec> made_;  ///< by place in the step
  Index place_ = 0, lost_ = 0;
  Staging staging_;
};

}  // namespace radapt::detail::gpu
