#pragma once
/// Weights of a model: one aligned buffer, and the tree of views into it.
#include <type_traits>

#include "radapt/core/memory.hpp"
#include "radapt/core/tree.hpp"

namespace radapt {

/// Points the leaves of `tree` into `memory`, each aligned, in the order of the tree; returns the elements used. With a
/// null `memory` it only counts. Leaves that are Frozen are passed over.
template <class T, class Tree>
Index bind(Tree& tree, T* memory, Index leading = 1) {
  Index used = 0;
  each(
      [&](auto& leaf) {
        if constexpr (wanted<decltype(leaf)> && !std::is_same_v<std::remove_reference_t<decltype(leaf)>, Frozen>) {
          leaf.leading = leading;
          leaf.data = memory == nullptr ? nullptr : memory + used;
          used += padded_elements<T>(leaf.size());
        }
      },
      tree);
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
  explicit Weights(Index classes = 1) : classes_(classes) {
    buffer_ = Buffer<T>(bind<T>(tree_, nullptr, classes));
    bind(tree_, buffer_.data(), classes);
  }
  Weights(const Weights& other) : Weights(other.classes_) { copy_from(other); }
  Weights& operator=(const Weights& other) {
    if (this != &other) { *this = Weights(other); }
    return *this;
  }
  Weights(Weights&& other) noexcept = default;
  Weights& operator=(Weights&& other) noexcept = default;

  Tree& tree() { return tree_; }
  const Tree& tree() const { return tree_; }
  Index classes() const { return classes_; }
  /// All elements, the padding between tensors (zeros) included.
  Buffer<T>& buffer() { return buffer_; }
  const Buffer<T>& buffer() const { return buffer_; }

  /// Copies from weights of the same model, in this or another element type.
  template <class U>
  void copy_from(const Weights<M, U>& other) {
    each(
        [](auto& to, const auto& from) {
          for (Index i = 0; i < to.size(); ++i) { to.data[i] = static_cast<T>(from.data[i]); }
        },
        tree_, other.tree());
  }

 private:
  Index classes_ = 1;
  Buffer<T> buffer_;
  Tree tree_{};
};

}  // namespace radapt
