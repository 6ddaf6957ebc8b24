#pragma once
/// Runs the CUDA kernels on the host's processor, so that they are tested where there is no GPU: each thread of a block
/// is a fiber, blocks run one after the other, and barriers and warp operations switch between the fibers.
///
/// What this finds: wrong indices, missing barriers between a write and a read by another thread of the block (fibers
/// run to their next barrier, so an early reader sees poison or old values), barriers that not all threads reach, host
/// memory that was handed to a kernel (see HostOnly), shared memory read before it is written, results that are read
/// without waiting for them (see Queue), accesses of several elements that are not aligned. What it cannot find:
/// races inside a warp, too many registers, anything about time.
#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/on_host_only.hpp"
#include "cuda/on_host_streams.hpp"
#include "radapt/core/element.hpp"
#include "radapt/core/error.hpp"
#include "radapt/core/memory.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define RADAPT_UNROLL
#define RADAPT_KEEP_LOOP
/// Blocks run one at a time, so one copy serves all.
#define __shared__ static

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace radapt_test::on_host {

/// What a thread of a kernel is.
struct Thread {
  dim3 index;
  unsigned linear = 0;
  enum class State { ready, at_block_barrier, at_warp_barrier, finished } state = State::finished;
  bool started = false;
  void* resume[5];  ///< of __builtin_setjmp
};

/// A block of threads, and the only one that runs.
class Block {
 public:
  static constexpr unsigned warp_size = 32, most_threads = 1024;
  static constexpr Index stack_bytes = 128 * 1024;

  static Block& current() { return only_; }

  void run(dim3 grid, unsigned threads, const std::function<void()>& body) {
    if (threads == 0 || threads > most_threads) { die("a block has 1 to 1024 threads"); }
    body_ = &body;
    block_dim = dim3(threads);
    grid_dim = grid;
    for (unsigned z = 0; z < grid.z; ++z) {
      for (unsigned y = 0; y < grid.y; ++y) {
        for (unsigned x = 0; x < grid.x; ++x) {
          block_index = dim3(x, y, z);
          run_block(threads);
        }
      }
    }
  }

  void block_barrier() { wait(Thread::State::at_block_barrier); }
  /// Every lane of the warp gives 16 bytes at most, and reads those of all.
  template <class T>
  const T* exchange(const T& value) {
    static_assert(sizeof(T) <= slot_bytes);
    Warp& warp = warps_[thread_->linear / warp_size];
    const unsigned lane = thread_->linear % warp_size;
    const unsigned parity = warp.parity[lane] ^= 1U;  // a second buffer: a quick lane may be one operation ahead
    std::memcpy(warp.slots[parity] + lane * sizeof(T), &value, sizeof(T));
    wait(Thread::State::at_warp_barrier);
    return reinterpret_cast<const T*>(warp.slots[parity]);
  }
  void warp_barrier() { wait(Thread::State::at_warp_barrier); }
  unsigned lane() const { return thread_->linear % warp_size; }

  dim3 block_dim, grid_dim, block_index;
  dim3 thread_index() const { return thread_->index; }

 private:
  static constexpr Index slot_bytes = 32;
  struct Warp {
    alignas(16) unsigned char slots[2][warp_size * slot_bytes];
    unsigned parity[warp_size];
  };

  [[noreturn]] static void die(const char* why) {
    std::fprintf(stderr, "on_host: %s\n", why);
    std::abort();
  }

  void run_block(unsigned threads) {
    count_ = threads;
    while (stacks_.size() < threads) { stacks_.emplace_back(new char[stack_bytes]); }
    for (unsigned i = 0; i < threads; ++i) {
      Thread& t = threads_[i];
      t.index = dim3(i, 0, 0);
      t.linear = i;
      t.state = Thread::State::ready;
    }
    for (Warp& w : warps_) { std::memset(w.parity, 0, sizeof(w.parity)); }
    const unsigned warps = (threads + warp_size - 1) / warp_size;
    for (;; ascending_ = !ascending_) {
      for (unsigned i = 0; i < warps; ++i) { run_warp(ascending_ ? i : warps - 1 - i); }
      const auto all = [&](auto is) { return std::all_of(threads_.begin(), threads_.begin() + threads, is); };
      if (all([](const Thread& t) { return t.state == Thread::State::finished; })) { return; }
      if (!all([](const Thread& t) {
            return t.state == Thread::State::finished || t.state == Thread::State::at_block_barrier;
          })) {
        die("a barrier that not all threads of a block or a warp reach");
      }
      for (unsigned i = 0; i < threads; ++i) {
        if (threads_[i].state == Thread::State::at_block_barrier) { threads_[i].state = Thread::State::ready; }
      }
    }
  }
  /// Runs a warp as far as it gets without the others: what it does too early shows.
  void run_warp(unsigned warp) {
    const unsigned begin = warp * warp_size, end = std::min(begin + warp_size, count_);
    for (bool ran = true; ran;) {
      ran = false;
      for (unsigned i = begin; i < end; ++i) {
        if (threads_[i].state == Thread::State::ready) {
          resume(threads_[i]);
          ran = true;
        }
      }
      release_warp(warp);
    }
  }
  void release_warp(unsigned warp) {
    const unsigned begin = warp * warp_size, end = std::min(begin + warp_size, count_);
    for (unsigned i = begin; i < end; ++i) {
      if (threads_[i].state != Thread::State::at_warp_barrier) { return; }
    }
    for (unsigned i = begin; i < end; ++i) { threads_[i].state = Thread::State::ready; }
  }

  // The compiler's own jumps: those of the C library check and scramble what they keep, a third of all time here. They
  // have to leave from another function than the one where they arrive. AddressSanitizer takes every one for the end of
  // the frames on a stack, and they all live on.
  [[noreturn]] [[gnu::noinline]] [[gnu::no_sanitize_address]] static void jump(void** to) { __builtin_longjmp(to, 1); }

  [[gnu::noinline]] [[gnu::no_sanitize_address]] void resume(Thread& t) {
    thread_ = &t;
    if (__builtin_setjmp(scheduler_) != 0) { return; }
    if (t.started) { jump(t.resume); }
    t.started = true;  // once: a fiber then runs one thread after the other
    ucontext_t start;
    getcontext(&start);
    start.uc_stack.ss_sp = stacks_[t.linear].get();
    // Stacks that end at the same place of a page would share one set of the first cache.
    start.uc_stack.ss_size = stack_bytes - t.linear % 64 * 64;
    start.uc_link = nullptr;
    makecontext(&start, enter, 0);
    setcontext(&start);
  }
  static void enter() {
    Block& block = current();
    for (;;) {
      (*block.body_)();
      block.wait(Thread::State::finished);
    }
  }
  [[gnu::noinline]] [[gnu::no_sanitize_address]] void wait(Thread::State state) {
    Thread& t = *thread_;
    t.state = state;
    if (__builtin_setjmp(t.resume) == 0) { jump(behind(t)); }
  }
  /// Where to go on behind thread t: in the next one of its warp that is ready, as the scheduler would, or there.
  void** behind(const Thread& t) {
    const unsigned end = std::min((t.linear / warp_size + 1) * warp_size, count_);
    for (unsigned i = t.linear + 1; i < end; ++i) {
      if (threads_[i].state != Thread::State::ready) { continue; }
      if (!threads_[i].started) { break; }
      thread_ = &threads_[i];
      return thread_->resume;
    }
    return scheduler_;
  }

  static Block only_;

  const std::function<void()>* body_ = nullptr;
  Thread* thread_ = nullptr;
  unsigned count_ = 0;
  bool ascending_ = true;  ///< the order of warps, which changes at every barrier
  std::vector<Thread> threads_ = std::vector<Thread>(most_threads);
  std::vector<std::unique_ptr<char[]>> stacks_;
  std::vector<Warp> warps_ = std::vector<Warp>(most_threads / warp_size);
  void* scheduler_[5];
};
inline Block Block::only_;

}  // namespace radapt_test::on_host

#define threadIdx (::radapt_test::on_host::Block::current().thread_index())
#define blockIdx (::radapt_test::on_host::Block::current().block_index)
#define blockDim (::radapt_test::on_host::Block::current().block_dim)
#define gridDim (::radapt_test::on_host::Block::current().grid_dim)

inline void __syncthreads() { radapt_test::on_host::Block::current().block_barrier(); }
inline void __syncwarp(unsigned = ~0U) { radapt_test::on_host::Block::current().warp_barrier(); }
template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned distance) {
  auto& block = radapt_test::on_host::Block::current();
  return block.exchange(value)[block.lane() ^ distance];
}
template <class T>
T __shfl_sync(unsigned, T value, unsigned lane) {
  return radapt_test::on_host::Block::current().exchange(value)[lane % 32];
}

namespace radapt::detail::gpu {

namespace runtime {

using Stream = int;
using Event = radapt_test::on_host::EventState*;
enum class StreamOf { launches, copies };
using radapt_test::on_host::Queue;

inline int current_device() { return Queue::all().device; }
inline void set_device(int device) { Queue::all().device = device; }
inline void return_to_device(int device) noexcept { Queue::all().device = device; }
inline std::string device_name() { return "the host's processor, standing in for a GPU"; }
inline Stream make_stream(StreamOf use = StreamOf::launches) {
  return Queue::all().make_stream(use == StreamOf::copies);
}
inline void destroy_stream(Stream stream) { Queue::all().destroy_stream(stream); }
inline void synchronize(Stream stream) {
  ++radapt_test::on_host::Counts::all().waits;
  Queue::all().run(stream);
}
inline Event make_event() { return new radapt_test::on_host::EventState; }
using Graph = radapt_test::on_host::Recorded*;
using GraphExec = radapt_test::on_host::Recorded*;
inline void begin_capture(Stream stream) { Queue::all().begin_capture(stream); }
inline Graph end_capture(Stream stream) { return new radapt_test::on_host::Recorded(Queue::all().end_capture(stream)); }
inline void destroy_graph(Graph graph) { delete graph; }
inline void drop_capture(Stream stream) noexcept {
  Queue::all().next_capture_fails = false;
  Queue::all().end_capture(stream);
}
inline void destroy_graph_exec(GraphExec made) { delete made; }
inline GraphExec instantiate(Graph graph) {
  ++radapt_test::on_host::Counts::all().graphs_made;
  return new radapt_test::on_host::Recorded(*graph);
}
inline bool update(GraphExec made, Graph graph) {
  if (!made->has_form_of(*graph)) { return false; }
  ++radapt_test::on_host::Counts::all().graphs_changed;
  *made = *graph;
  return true;
}
inline void launch_graph(GraphExec made, Stream stream) { Queue::all().add(stream, *made); }
inline void destroy_event(Event event) {
  Queue::all().run_all();
  delete event;
}
inline void record(Event event, Stream stream) { Queue::all().record(stream, event); }
inline void wait_for(Stream stream, Event event) { Queue::all().wait(stream, event); }
inline void synchronize(Event event) { Queue::all().run_until(event); }
inline void* take_device_memory(Index bytes) {
  void* const memory = host_memory.take(bytes);
  std::memset(memory, 0xA5, bytes);
  return memory;
}
inline void give_back_device_memory(void* memory) {
  Queue::all().run_all();
  host_memory.give_back(memory);
}
inline void* take_cleared_device_memory(Index bytes) { return radapt_test::on_host::DeviceOnly::take(bytes); }
inline void give_back_cleared_device_memory(void* memory) {
  Queue::all().run_all();
  radapt_test::on_host::DeviceOnly::give_back(memory);
}
inline void* take_shared_memory(Index bytes) { return host_memory.take(bytes); }
inline void give_back_shared_memory(void* memory) { give_back_device_memory(memory); }
inline void* take_host_memory(Index bytes) { return host_memory.take(bytes); }
inline void give_back_host_memory(void* memory) { give_back_device_memory(memory); }
inline void copy_to_device(void* to, const void* from, Index bytes, Stream stream) {
  ++radapt_test::on_host::Counts::all().copies_to_device;
  const char* const begin = static_cast<const char*>(from);
  Queue::all().refuse_capture(stream, "a copy from memory that may change before the graph runs");
  Queue::all().add(stream, "copy", [to, content = std::vector<char>(begin, begin + bytes)] {
    std::memcpy(to, content.data(), content.size());
  });
}
inline void copy_input_to_device(void* to, const void* from, Index bytes, Stream stream) {
  ++radapt_test::on_host::Counts::all().copies_to_device;
  Queue::all().add(stream, "copy", [=] { std::memcpy(to, from, bytes); });
}
inline void copy_to_host(void* to, const void* from, Index bytes, Stream stream) {
  Queue::all().refuse_capture(stream, "a copy to memory that may be pageable");
  Queue::all().add(stream, "copy back", [=] { std::memcpy(to, from, bytes); });
}
inline void clear(void* memory, Index bytes, Stream stream) {
  Queue::all().add(stream, "clear", [=] { std::memset(memory, 0, bytes); });
}

}  // namespace runtime

/// A GPU stops at an access of several elements at an address that is no multiple of its size.
inline void check_alignment(const void* x, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(x) % bytes != 0) {
    std::fprintf(stderr, "on_host: an access at once that is not aligned to %zu bytes\n", bytes);
    std::abort();
  }
}

/// What tensor_core.cuh declares, from the same layout of fragments. Sums in double: the order on a GPU is not
/// specified.
inline std::uint32_t pack_bf16(float low, float high) {
  return static_cast<std::uint32_t>(bf16(low).bits) | static_cast<std::uint32_t>(bf16(high).bits) << 16;
}
inline void multiply_accumulate(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  struct Fragments {
    std::uint32_t a[4], b[2];
  } mine;
  std::copy(a, a + 4, mine.a);
  std::copy(b, b + 2, mine.b);
  auto& block = radapt_test::on_host::Block::current();
  const Fragments* const all = block.exchange(mine);
  struct Pair {
    double low, high;
    explicit Pair(std::uint32_t word)
        : low(std::bit_cast<float>(word << 16)), high(std::bit_cast<float>(word & 0xffff0000U)) {}
  };
  const unsigned g = block.lane() / 4, t = block.lane() % 4;
  double sums[4] = {c[0], c[1], c[2], c[3]};
  for (unsigned i = 0; i < 8; ++i) {  // two elements of each sum
    const auto& left = all[g * 4 + i % 4].a;
    const Pair upper(left[2 * (i / 4)]), lower(left[1 + 2 * (i / 4)]);
    const Pair first(all[2 * t * 4 + i % 4].b[i / 4]), second(all[(2 * t + 1) * 4 + i % 4].b[i / 4]);
    const auto add = [](double& sum, const Pair& x, const Pair& y) { sum = sum + x.low * y.low + x.high * y.high; };
    add(sums[0], upper, first);
    add(sums[1], upper, second);
    add(sums[2], lower, first);
    add(sums[3], lower, second);
  }
  for (unsigned i = 0; i < 4; ++i) { c[i] = static_cast<float>(sums[i]); }
}
/// The row that each lane names, for all lanes: row r of matrix m is entry 8m + r.
struct MatrixRow {
  std::uint16_t x[8];
};
inline const MatrixRow* exchange_matrix_rows(const std::uint32_t* row) {
  check_alignment(row, sizeof(MatrixRow));
  MatrixRow mine;
  std::memcpy(mine.x, row, sizeof(mine));
  return radapt_test::on_host::Block::current().exchange(mine);
}
inline void load_matrices(std::uint32_t (&words)[4], const std::uint32_t* row) {
  const MatrixRow* const rows = exchange_matrix_rows(row);
  const unsigned lane = radapt_test::on_host::Block::current().lane(), g = lane / 4, t = lane % 4;
  for (unsigned m = 0; m < 4; ++m) {
    const MatrixRow& r = rows[8 * m + g];
    words[m] = static_cast<std::uint32_t>(r.x[2 * t]) | static_cast<std::uint32_t>(r.x[2 * t + 1]) << 16;
  }
}
inline void load_transposed_matrices(std::uint32_t (&words)[4], const std::uint32_t* row) {
  const MatrixRow* const rows = exchange_matrix_rows(row);
  const unsigned lane = radapt_test::on_host::Block::current().lane(), g = lane / 4, t = lane % 4;
  for (unsigned m = 0; m < 4; ++m) {
    const MatrixRow &even = rows[8 * m + 2 * t], &odd = rows[8 * m + 2 * t + 1];
    words[m] = static_cast<std::uint32_t>(even.x[g]) | static_cast<std::uint32_t>(odd.x[g]) << 16;
  }
}

/// Arguments are copied, as a launch does.
template <class... Parameters, class... Arguments>
void launch_kernel(runtime::Stream stream, const char* name, dim3 blocks, unsigned threads,
                   void (*kernel)(Parameters...), const Arguments&... arguments) {
  using namespace radapt_test::on_host;
  ++Counts::all().kernels;
  Queue::all().add(stream, name, [=] {
    const std::function<void()> body = [&] { kernel(Parameters(arguments)...); };
    HostOnly::protect(true);
    Block::current().run(blocks, threads, body);
    HostOnly::protect(false);
  });
}

}  // namespace radapt::detail::gpu
