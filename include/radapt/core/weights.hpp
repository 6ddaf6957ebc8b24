#pragma once
/// Weights of a model: one aligned buffer, and the tree of views into it.
#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "radapt/core/error.hpp"
#include "radapt/core/memory.hpp"
#include "radapt/core/tensors.hpp"

namespace radapt {

/// Points the leaves of `tree` into `memory`, each aligned, in the order of the tree; returns the elements used. With a
/// null `memory` it only counts. Leaves that are Frozen are passed over.
template <class T, class Tree>
Index bind(Tree& tree, T* memory, Index leading = 1) {
  Index used = 0;
  for (const Leaf<T>& leaf : leaves<T>(tree)) {
    if (leaf.place == nullptr) { continue; }
    *leaf.place = {memory == nullptr ? nullptr : memory + used, leading};
    used += padded_elements<T>(leaf.extents.size(leading));
  }
  return used;
}

/// Owned weights of model M in element type T. Two models have different trees, so their weights cannot be mixed.
template <class M, class T = float>
class Weights {
 public:
  using model = M;
  using element = T;
  using Tree = Values<M, T>;
  using ConstTree = Values<M, const T>;

  /// Zeroed weights. `classes` is the value of a dynamic extent, for models that have one.
  explicit Weights(Index classes = 1, const MemorySource& source = host_memory) : classes_(classes) {
    buffer_ = Buffer<T>(bind<T>(tree_, nullptr, classes), source);
    bind(tree_, buffer_.data(), classes);
  }
  Weights(const Weights& other, const MemorySource& source = host_memory) : Weights(other.classes_, source) {
    copy_from(other);
  }
  Weights& operator=(const Weights& other) {
    if (this != &other) { *this = Weights(other); }
    return *this;
  }
  /// What is moved from has no elements any more: only giving it a value is allowed.
  Weights(Weights&& other) noexcept
      : classes_(other.classes_), buffer_(std::move(other.buffer_)), tree_(std::exchange(other.tree_, {})) {}
  Weights& operator=(Weights&& other) noexcept {
    classes_ = other.classes_;
    buffer_ = std::move(other.buffer_);
    if (this != &other) { tree_ = std::exchange(other.tree_, {}); }
    return *this;
  }

  Tree& tree() { return tree_; }
  const Tree& tree() const { return tree_; }
  Index classes() const { return classes_; }
  /// Whether the elements have been moved to other weights.
  bool moved_away() const {
    Tree counted{};
    return buffer_.size() == 0 && bind<T>(counted, nullptr, classes_) > 0;
  }
  /// All elements, the padding between tensors (zeros) included.
  Buffer<T>& buffer() { return buffer_; }
  const Buffer<T>& buffer() const { return buffer_; }

  /// The tensors by name, in the order of the tree; they point into the buffer.
  std::vector<Tensor<T>> tensors() & { return list_tensors(buffer_.data()); }
  std::vector<Tensor<const T>> tensors() const& { return list_tensors(buffer_.data()); }
  std::vector<Tensor<const T>> tensors() const&& = delete;  // gone with the weights: give them a name first

  /// The tensor of that name. Error: there is none.
  Tensor<T> tensor(const std::string& name) & { return find(tensors(), name); }
  Tensor<const T> tensor(const std::string& name) const& { return find(tensors(), name); }
  Tensor<const T> tensor(const std::string& name) const&& = delete;

  /// Copies from weights of the same model with as many classes, in this or another element type. Error: others.
  template <class U>
  void copy_from(const Weights<M, U>& other) {
    if (other.classes() != classes_ || moved_away() || other.moved_away()) {
      fail({.what = "copying weights",
            .expected = "weights of " + std::to_string(classes_) + " classes on both sides",
            .got = other.classes() != classes_ ? std::to_string(other.classes()) + " classes"
                                               : "weights that were moved away",
            .hint = "The classes are those of the head"});
    }
    if constexpr (std::is_same_v<T, U>) {
      std::copy(other.buffer().begin(), other.buffer().end(), buffer_.begin());
    } else {
      const auto from = other.tensors();
      const auto to = tensors();
      for (Index k = 0; k < to.size(); ++k) {
        for (Index i = 0; i < to[k].size(); ++i) { to[k].data[i] = static_cast<T>(from[k].data[i]); }
      }
    }
  }

 private:
  template <class U>
  static Tensor<U> find(const std::vector<Tensor<U>>& all, const std::string& name) {
    for (const Tensor<U>& tensor : all) {
      if (tensor.name() == name) { return tensor; }
    }
    fail({.what = "tensor '" + name + "'",
          .expected = "the name of one of the " + std::to_string(all.size()) + " tensors of this model",
          .got = "no such tensor",
          .hint = all.empty() ? "" : "Names are open_clip's, such as '" + all.front().name() + "'"});
  }
  template <class U>
  std::vector<Tensor<U>> list_tensors(U* memory) const {
    std::vector<Tensor<U>> all;
    for (TensorFacts& facts : describe<M>()) {
      all.push_back({std::move(facts), memory, classes_});
      memory += padded_elements<T>(all.back().size());
    }
    return all;
  }

  Index classes_ = 1;
  Buffer<T> buffer_;
  Tree tree_{};
};

}  // namespace radapt
