#pragma once
/// The state behind a `cuda`: its stream, and the device memory that calls work in.
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "radapt/backend/cuda/cuda.hpp"
#include "radapt/backend/cuda/kernels/device_memory.cuh"
#include "radapt/backend/cuda/kernels/launches.cuh"
#include "radapt/backend/cuda/kernels/rounded_weights.cuh"

namespace radapt::detail::gpu {

/// A stack of device memory for single calls. Kernels of one stream run one after the other, so what a call gives back
/// can be handed to the next one at once. It grows while calls meet new sizes, and then no more.
class Workspace {
 public:
  struct Mark {
    Index block = 0, used = 0;
  };
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() {
    for (const Block& b : blocks_) { give_back_counted_device_memory(b.data); }
  }

  Mark mark() const { return at_; }
  void release(Mark m) { at_ = m; }
  char* take(Index bytes) {
    bytes = padded_for_device(bytes);
    while (at_.block < blocks_.size() && at_.used + bytes > blocks_[at_.block].bytes) { at_ = {at_.block + 1, 0}; }
    if (at_.block == blocks_.size()) {
      const Index whole = bytes > smallest ? bytes : smallest;
      blocks_.push_back({static_cast<char*>(take_counted_device_memory(whole)), whole});
    }
    char* const data = blocks_[at_.block].data + at_.used;
    at_.used += bytes;
    return data;
  }

 private:
  struct Block {
    char* data;
    Index bytes;
  };
  static constexpr Index smallest = Index{4} << 20;
  static constexpr Index padded_for_device(Index bytes) { return (bytes + 255) / 256 * 256; }
  std::vector<Block> blocks_;
  Mark at_;
};

/// Device copies of small arrays that calls are given in host memory: offsets of captions, token ids, labels. Every
/// layer of a tower is given the same ones, so they are found by their content and copied when it is new.
class Mirrors {
 public:
  static constexpr Index most_bytes = Index{1} << 18, count = 16;

  /// `launches` order the copy behind every kernel that may still read what was there before.
  const char* of(const void* data, Index bytes, Launches& launches) {
    Entry* oldest = &entries_[0];
    for (Entry& e : entries_) {
      if (e.content.size() == bytes && std::memcmp(e.content.data(), data, bytes) == 0) {
        e.used = ++uses_;
        return e.copy;
      }
      if (e.used < oldest->used) { oldest = &e; }
    }
    if (oldest->capacity < bytes) { take(*oldest, bytes, launches); }
    const char* const begin = static_cast<const char*>(data);
    oldest->content.assign(begin, begin + bytes);
    oldest->used = ++uses_;
    launches.copy_to_device(oldest->copy, data, bytes);
    return oldest->copy;
  }

  /// Copies that were recorded have not run.
  void forget() {
    for (Entry& e : entries_) { e.content.clear(); }
  }

  Mirrors() = default;
  Mirrors(const Mirrors&) = delete;
  Mirrors& operator=(const Mirrors&) = delete;
  ~Mirrors() {
    for (Entry& e : entries_) { give_back(e); }
  }

 private:
  struct Entry {
    std::vector<char> content;
    char* copy = nullptr;
    Index capacity = 0;
    std::uint64_t used = 0;
  };
  void take(Entry& e, Index bytes, Launches& launches) {
    if (e.copy != nullptr) { launches.wait(); }  // somebody may still read it
    give_back(e);
    const Index whole = bytes > most_bytes / 4 ? most_bytes : most_bytes / 4;
    e.copy = static_cast<char*>(take_counted_device_memory(whole));
    e.capacity = whole;
  }
  static void give_back(Entry& e) {
    give_back_counted_device_memory(e.copy);
    e.copy = nullptr;
    e.capacity = 0;
  }

  std::array<Entry, count> entries_;
  std::uint64_t uses_ = 0;
};

/// Has calls of this thread go to a GPU, and then again where they went before.
class OnDevice {
 public:
  explicit OnDevice(int device) : before_(runtime::current_device()), device_(device) {
    if (device_ != before_) { runtime::set_device(device_); }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() {
    if (device_ != before_) { runtime::return_to_device(before_); }
  }

 private:
  int before_, device_;
};

/// Of the GPU that is current in the thread that makes it.
class Device {
 public:
  Device(CudaProducts products, CudaSteps steps)
      : name_(runtime::device_name()),
        number_(runtime::current_device()),
        products_(products),
        launches_(steps == CudaSteps::graphs) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    launches_.abandon();  // before the memory that it would work in is given back
    if (copies_) { runtime::destroy_stream(*copies_); }
  }

  int number() const { return number_; }

  const std::string& name() const { return name_; }
  Launches& launches() { return launches_; }
  runtime::Stream stream() const { return launches_.stream(); }
  /// For copies that run beside it; made when it is first asked for.
  runtime::Stream copies() {
    if (!copies_) { copies_ = runtime::make_stream(runtime::StreamOf::copies); }
    return *copies_;
  }
  Workspace& workspace() { return workspace_; }
  Mirrors& mirrors() {
    forget_what_was_lost();
    return mirrors_;
  }
  RoundedWeights& rounded_weights() {
    forget_what_was_lost();
    return rounded_weights_;
  }
  CudaProducts products() const { return products_; }
  /// What a vendor's library keeps between calls; made when it is first asked for.
  template <class V>
  V& vendor() {
    if (vendor_ == nullptr) { vendor_ = std::make_shared<V>(); }
    return *static_cast<V*>(vendor_.get());
  }

 private:
  void forget_what_was_lost() {
    if (lost_ == launches_.lost()) { return; }
    lost_ = launches_.lost();
    mirrors_.forget();
    rounded_weights_.forget();
  }

  std::string name_;
  int number_;
  CudaProducts products_;
  Launches launches_;
  std::optional<runtime::Stream> copies_;
  Workspace workspace_;
  Mirrors mirrors_;
  RoundedWeights rounded_weights_;
  std::shared_ptr<void> vendor_;
  Index lost_ = 0;  ///< recordings that had been lost when copies were last looked at
};

}  // namespace radapt::detail::gpu
