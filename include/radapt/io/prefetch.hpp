#pragma once
/// Inputs that are made and copied while a backend works on the ones before.
#include <cstdint>
#include <functional>
#include <future>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "radapt/core/context.hpp"
#include "radapt/core/error.hpp"
#include "radapt/core/input_queue.hpp"
#include "radapt/core/memory.hpp"

namespace radapt {

/// A row of inputs, such as the pixels of every batch of a run, handed out one after the other:
///
///     const auto fill = [&](std::uint64_t step, std::span<float> room) { load(step, room); };
///     radapt::Prefetch<Backend> pixels(trainer.context(), elements, steps, fill);
///     for (std::uint64_t step = 0; step < steps; ++step) { trainer.step({.pixels = pixels.next(), .captions = ...}); }
///
/// Where the backend copies beside its launches (`copies_beside_launches`), three inputs are on their way: while one is
/// worked on, the next is copied and the one behind it is made, on a thread of its own. Elsewhere the processors are
/// busy with the work itself, and an input is made when it is asked for. Inputs are made in order, one at a time, and
/// are the same either way.
template <class Backend, class T = float>
class Prefetch {
 public:
  /// Writes input `number`, counted from 0.
  using Fill = std::function<void(std::uint64_t number, std::span<T> room)>;

  /// Inputs that may exist at once. What belongs to an input beside its elements, such as labels, `fill` writes to
  /// place number % alive.
  static constexpr std::uint64_t alive = copies_beside_launches<Backend> ? 3 : 1;

  /// `fill` is called for as many inputs as `count` says, with room for `elements` each time, and not before `next` is.
  /// `context` and what `fill` refers to must outlive this.
  Prefetch(Context<Backend>& context, Index elements, std::uint64_t count, Fill fill)
      : elements_(elements), count_(count), fill_(std::move(fill)), places_(made(context, elements)) {}
  Prefetch(const Prefetch&) = delete;  // the thread knows where this is
  Prefetch& operator=(const Prefetch&) = delete;

  /// The next input, for what is launched from now on and before the next call. Errors: those of `fill`, after which
  /// there is no next input; more than `count` were asked for.
  std::span<const T> next() {
    if (next_ == count_ || failed_) {
      fail({.what = "prefetch: next",
            .expected = failed_ ? "inputs that could be made" : "at most " + std::to_string(count_) + " inputs",
            .got = failed_ ? "an error in the one before" : "one more",
            .hint = "Ask for as many as it was made for"});
    }
    failed_ = true;
    if constexpr (copies_beside_launches<Backend>) {
      if (next_ == 0) {
        begin(0);
        send();
        begin(1);
      }
      send();
      const std::span<const T> input = places_.receive();
      begin(next_ + 2);
      failed_ = false;
      ++next_;
      return input;
    } else {
      fill_(next_, {places_.data(), elements_});
      failed_ = false;
      ++next_;
      return {places_.data(), elements_};
    }
  }

 private:
  using Places = std::conditional_t<copies_beside_launches<Backend>, InputQueue<Backend, T>, Buffer<T>>;

  static Places made(Context<Backend>& context, Index elements) {
    if constexpr (copies_beside_launches<Backend>) {
      return {context, elements};
    } else {
      return Places(elements, input_memory_of<Backend>());
    }
  }
  void begin(std::uint64_t number) {
    if (number >= count_) { return; }
    made_ = std::async(std::launch::async, [this, number, room = places_.room()] { fill_(number, room); });
  }
  void send() {
    if (!made_.valid()) { return; }
    made_.get();
    places_.send(elements_);
  }

  Index elements_;
  std::uint64_t count_, next_ = 0;
  bool failed_ = false;
  Fill fill_;
  Places places_;
  std::future<void> made_;  ///< of the input that is being made; destroyed first, it waits for its thread
};

}  // namespace radapt
