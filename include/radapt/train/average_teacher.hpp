#pragma once
/// The moving average that a term with loss::FromAverage learns from (methods.md 7.12).
#include <algorithm>

#include "radapt/backend/run.hpp"
#include "radapt/loss/terms.hpp"
#include "radapt/op/elementwise.hpp"

namespace radapt {

/// One buffer in the layout of the trained tensors, and the model that has them in the places of the base's.
template <class Model, class T>
class AverageTeacher {
 public:
  /// Begins at the trained tensors of `state`, the trainer's, as they are.
  template <class State>
  void begin(State& state, const MemorySource& source = host_memory) {
    buffer_ = Buffer<T>(state.size(), source);
    std::copy(state.parameter_buffer().begin(), state.parameter_buffer().end(), buffer_.begin());
    values_ = state.base_values();
    const auto places = leaves<T>(values_);
    for (const auto& slot : state.slots()) { places[slot.position].place->data = buffer_.data() + slot.offset; }
  }

  /// teacher = m teacher + (1 - m) weights, when `steps` of `total` have been done and the schedule says so.
  template <class Backend>
  void follow(Context<Backend>& c, const loss::AverageSchedule& schedule, Buffer<T>& parameters, std::uint64_t steps,
              std::uint64_t total) {
    if (!schedule.moves_after(steps)) { return; }
    // weights + m (teacher - weights): what stands still does so to the bit.
    const Matrix<T> teacher{buffer_.data(), 1, buffer_.size()}, weights{parameters.data(), 1, buffer_.size()};
    run(c, op::scaled_add<T>{.y = teacher, .x = teacher, .z = weights, .factor = -1.0});
    run(c, op::scaled_add<T>{.y = teacher, .x = weights, .z = teacher, .factor = schedule.momentum_at(steps, total)});
  }

  const Values<Model, T>& values() const { return values_; }
  /// Empty before `begin`.
  Buffer<T>& buffer() { return buffer_; }

 private:
  Buffer<T> buffer_;
  Values<Model, T> values_{};
};

}  // namespace radapt
