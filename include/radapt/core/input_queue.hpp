#pragma once
/// Inputs that are on their way to a backend while it works on the ones before.
#include <optional>
#include <span>
#include <string>

#include "radapt/core/context.hpp"
#include "radapt/core/error.hpp"
#include "radapt/core/memory.hpp"

namespace radapt {

/// A backend whose copies from input memory run beside its launches.
template <class Backend>
concept copies_beside_launches = requires(typename Backend::InputCopy& copy, void* to, const void* from) {
  typename Backend::InputCopy;
  copy.begin(to, from, Index{});
  copy.precede_launches();
  copy.finish();
};

/// Two inputs, such as the pixels of two batches: one that a pass reads, and the next one.
///
///     radapt::InputQueue<Backend> pixels(trainer.context(), elements_of_a_batch);
///     load(pixels.room());
///     pixels.send(elements);
///     for (...) {
///       load(pixels.room());                                       // the next batch
///       pixels.send(elements);                                     // copied while the step below runs
///       trainer.step({.pixels = pixels.receive(), .captions = ...});
///     }
///
/// A backend that reads the host's memory gets what lies in `room`, and nothing is copied.
template <class Backend, class T = float>
class InputQueue {
 public:
  /// Takes all memory: two inputs of up to `elements` in input memory, and as many in memory of the backend where it
  /// copies. `context` must outlive the queue.
  InputQueue(Context<Backend>& context, Index elements) : slots_{Slot(context, elements), Slot(context, elements)} {}

  /// Where the next input is written: room for as many elements as the queue was made for. Waits until what was here
  /// before has been copied. Error: two inputs were sent and not received.
  std::span<T> room() {
    if (sent_ - received_ == 2) { refuse("room", "at most one input that was sent and not received", "two"); }
    Slot& slot = slots_[sent_ % 2];
    if constexpr (copies_beside_launches<Backend>) { slot.copy.finish(); }
    return {slot.host.data(), slot.host.size()};
  }

  /// Sends the first `elements` of `room`, which must stay as they are until the next call of `room`. Errors: those of
  /// `room`, more elements than it has.
  void send(Index elements) {
    Slot& slot = slots_[sent_ % 2];
    if (sent_ - received_ == 2) { refuse("send", "at most one input that was sent and not received", "two"); }
    if (elements > slot.host.size()) {
      refuse("send", "at most " + std::to_string(slot.host.size()) + " elements", std::to_string(elements));
    }
    if constexpr (copies_beside_launches<Backend>) {
      slot.copy.begin(slot.device.data(), slot.host.data(), elements * sizeof(T));
    }
    slot.elements = elements;
    ++sent_;
  }

  /// The oldest input that was sent and not received, for what is launched on the context from now on and before the
  /// input after the next one is sent. Error: there is none.
  std::span<const T> receive() {
    if (sent_ == received_) { refuse("receive", "an input that was sent", "none"); }
    Slot& slot = slots_[received_++ % 2];
    if constexpr (copies_beside_launches<Backend>) {
      slot.copy.precede_launches();
      return {slot.device.data(), slot.elements};
    } else {
      return {slot.host.data(), slot.elements};
    }
  }

 private:
  struct OnTheHost {
    OnTheHost(Context<Backend>&, Index most) : host(most, input_memory_of<Backend>()) {}
    Buffer<T> host;
    Index elements = 0;  ///< that were sent
  };
  template <class B>
  struct Copied : OnTheHost {
    Copied(Context<B>& context, Index most)
        : OnTheHost(context, most), device(most, device_memory_of<B>()), copy(context.device) {}
    Buffer<T> device;
    typename B::InputCopy copy;
  };
  template <class B, bool Copies>
  struct slot_of {
    using type = OnTheHost;
  };
  template <class B>
  struct slot_of<B, true> {
    using type = Copied<B>;
  };
  using Slot = typename slot_of<Backend, copies_beside_launches<Backend>>::type;

  [[noreturn]] static void refuse(const char* call, const std::string& expected, const std::string& got) {
    fail({.what = std::string("input queue: ") + call,
          .expected = expected,
          .got = got,
          .hint = "Fill room(), send(), and receive() the input before for the pass that runs meanwhile"});
  }

  Slot slots_[2];
  Index sent_ = 0, received_ = 0;
};

}  // namespace radapt
