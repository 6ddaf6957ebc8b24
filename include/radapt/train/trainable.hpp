#pragma once
/// The trainable side of a model: flat buffers in one layout for parameters, gradients, moments and average, and the
/// trees that point into them. Frozen leaves of the parameter tree point to the base weights, which are shared and
/// not copied.
#include <string>
#include <utility>
#include <vector>

#include "radapt/core/const_weights.hpp"
#include "radapt/core/error.hpp"
#include "radapt/train/optimizer.hpp"

namespace radapt {

/// The reason type of a policy that trains nothing in a model.
template <class Model, class Tune>
struct check_tuning {
  static constexpr bool this_policy_trains_something_in_this_model = trains_any<Model, Tune>;
  static_assert(
      this_policy_trains_something_in_this_model,
      "radapt: this tuning policy trains nothing in this model. Read check_tuning<model, policy>; to fix: name a "
      "role that the model has (an adapter policy adds role::adapter), or use tune::everything.");
};

/// State of training Model under Tune: everything that changes from step to step.
template <class Model, class Tune, class T>
class Trainable : check_tuning<Model, Tune> {
 public:
  /// Where a trained tensor lies in every flat buffer.
  struct Slot {
    std::string name;
    Index offset, size, rank;
    Index position;  ///< among all tensors of the model
  };

  /// Elements of one flat buffer, the padding behind every tensor included; `classes` is the value of a dynamic extent.
  static Index elements(Index classes) {
    Gradients<Model, Tune, T> tree{};
    return bind<T>(tree, nullptr, classes);
  }

  /// Copies the trainable tensors of `base`, which is never written.
  Trainable(ConstWeights<Model, T> base, DecayRule rule, const MemorySource& source = host_memory)
      : base_(std::move(base)) {
    const auto tensors = base_.tensors();
    const auto frozen = leaves<T>(base_values_);
    for (Index k = 0; k < tensors.size(); ++k) {
      // One type of tree for what is frozen and what is trained: nothing that takes it writes to what is frozen.
      *frozen[k].place = {const_cast<T*>(tensors[k].data), base_.classes()};
    }
    values_ = base_values_;
    const auto gradients = leaves<T>(gradient_tree_);  // null where the policy freezes
    for (const bool decayed : {true, false}) {
      for (Index k = 0; k < tensors.size(); ++k) {
        const Tensor<const T>& tensor = tensors[k];
        if (gradients[k].place == nullptr || decays(rule, tensor.name(), tensor.rank()) != decayed) { continue; }
        slots_.push_back({tensor.name(), size_, tensor.size(), tensor.rank(), k});
        size_ += padded_elements<T>(tensor.size());
      }
      if (decayed) { decayed_ = size_; }
    }
    for (Buffer<T>* b : {&parameters_, &gradients_, &first_moment_, &second_moment_}) { *b = Buffer<T>(size_, source); }
    const auto values = leaves<T>(values_);
    for (const Slot& slot : slots_) {
      const T* from = tensors[slot.position].data;
      T* own = parameters_.data() + slot.offset;
      std::copy(from, from + slot.size, own);
      values[slot.position].place->data = own;
      *gradients[slot.position].place = {gradients_.data() + slot.offset, base_.classes()};
    }
  }
  Trainable(const Trainable&) = delete;
  Trainable& operator=(const Trainable&) = delete;

  /// The trained tensors, and the others of the base.
  const Values<Model, T>& values() const { return values_; }
  /// The base, where a backend's kernels read it.
  const ConstWeights<Model, T>& base() const { return base_; }
  /// All its tensors, to read only.
  const Values<Model, T>& base_values() const { return base_values_; }
  Gradients<Model, Tune, T>& gradients() { return gradient_tree_; }
  const std::vector<Slot>& slots() const { return slots_; }
  Index size() const { return size_; }
  /// The first `decayed()` elements of every buffer are those that weight decay applies to.
  Index decayed() const { return decayed_; }

  Buffer<T>& parameter_buffer() { return parameters_; }
  Buffer<T>& gradient_buffer() { return gradients_; }
  Buffer<T>& first_moment() { return first_moment_; }
  Buffer<T>& second_moment() { return second_moment_; }

  /// The base weights with the trained tensors of `from`, a buffer of this layout, in their places.
  Weights<Model, T> assemble(const Buffer<T>& from) const {
    Weights<Model, T> out = base_.copy();
    const auto tensors = out.tensors();
    for (const Slot& slot : slots_) {
      std::copy(from.data() + slot.offset, from.data() + slot.offset + slot.size, tensors[slot.position].data);
    }
    return out;
  }

  const Slot& slot(const std::string& name) const {
    for (const Slot& s : slots_) {
      if (s.name == name) { return s; }
    }
    fail({.what = "trainable tensor '" + name + "'",
          .expected = "one of the tensors that the tuning policy trains",
          .got = "a frozen or unknown name",
          .hint = ""});
  }

 private:
  ConstWeights<Model, T> base_;
  std::vector<Slot> slots_;
  Index size_ = 0, decayed_ = 0;
  Buffer<T> parameters_, gradients_, first_moment_, second_moment_;
  Values<Model, T> base_values_{}, values_{};
  Gradients<Model, Tune, T> gradient_tree_{};
};

}  // namespace radapt
