#pragma once
/// The tensors of a model as data. What is decided at run time, by name or for all tensors alike, reads these lists: a
/// walk over a tree of types is compiled once for each model, and not once for each use.
#include <string>
#include <unordered_map>
#include <vector>

#include "radapt/core/role.hpp"
#include "radapt/core/tree.hpp"

namespace radapt {

/// The extents of a tensor as data: those of a Shape.
struct Extents {
  const Index* each = nullptr;  ///< as in the Shape; the first may be `dynamic`
  Index rank = 0;

  /// Extent `i`, and the number of elements, when a dynamic leading extent is `leading`.
  constexpr Index at(Index i, Index leading = 1) const { return each[i] == dynamic ? leading : each[i]; }
  constexpr Index size(Index leading = 1) const {
    Index n = 1;
    for (Index i = 0; i < rank; ++i) { n *= at(i, leading); }
    return n;
  }
  /// As a matrix: the leading extent, 1 below rank 2, and all others together.
  constexpr Index rows(Index leading = 1) const { return rank < 2 ? 1 : at(0, leading); }
};

/// What a model says of one of its tensors.
struct TensorFacts {
  std::string name;  ///< open_clip's, e.g. `visual.transformer.resblocks.0.attn.in_proj_weight`
  Extents extents;
  bool is_adapter = false;  ///< answers to role::adapter, or is a constant of one
  bool is_head = false;     ///< answers to role::head
};

/// The tensors of model M, in the order of its tree.
template <class M>
std::vector<TensorFacts> describe() {
  std::vector<TensorFacts> all;
  const Descriptions<M> tree{};
  each_named(
      [&]<class S, class R>(const std::string& name, const Description<S, R>&) {
        all.push_back({name,
                       {S::extents, S::rank},
                       role::answers_to<R, role::adapter> || role::never_trained<R>,
                       role::answers_to<R, role::head>});
      },
      "", tree);
  return all;
}

/// A leaf of a tree: what it points to, null for a Frozen one, and its extents.
template <class T>
struct Leaf {
  Place<T>* place = nullptr;
  Extents extents;
};

/// The leaves of a tree of elements T, in its order.
template <class T, class Tree>
std::vector<Leaf<T>> leaves(Tree& tree) {
  std::vector<Leaf<T>> all;
  each(
      [&]<class L>(L& leaf) {
        if constexpr (wanted<L>) {
          all.push_back({&leaf, {L::shape::extents, L::shape::rank}});
        } else {
          all.push_back({});
        }
      },
      tree);
  return all;
}

/// One tensor of weights: a name, elements, extents.
template <class T>
struct Tensor {
  TensorFacts facts;
  T* data = nullptr;
  Index leading = 1;

  const std::string& name() const { return facts.name; }
  Index rank() const { return facts.extents.rank; }
  Index extent(Index i) const { return facts.extents.at(i, leading); }
  Index size() const { return facts.extents.size(leading); }
  Matrix<T> matrix() const {
    const Index rows = facts.extents.rows(leading);
    return {data, rows, size() / rows};
  }
};

/// Finds the tensors of a list by name.
class TensorNames {
 public:
  explicit TensorNames(const std::vector<TensorFacts>& tensors) {
    for (const TensorFacts& tensor : tensors) { position_.emplace(tensor.name, position_.size()); }
  }
  template <class T>
  explicit TensorNames(const std::vector<Tensor<T>>& tensors) {
    for (const Tensor<T>& tensor : tensors) { position_.emplace(tensor.name(), position_.size()); }
  }
  bool has(const std::string& name) const { return position_.contains(name); }
  /// Position of a name that the list has.
  Index at(const std::string& name) const { return position_.at(name); }

 private:
  std::unordered_map<std::string, Index> position_;
};

}  // namespace radapt
